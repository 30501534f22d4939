# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All models by name."""

from __future__ import annotations

from av_perception.dvae.dkf import Dkf
from av_perception.dvae.dsae import Dsae
from av_perception.dvae.kvae import Kvae
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.rvae import NoncausalRvae, Rvae
from av_perception.dvae.srnn import Srnn
from av_perception.dvae.storn import Storn
from av_perception.dvae.vrnn import Vrnn
from av_perception.errors import UserError

MODELS: dict[str, type[DynamicalVae]] = {
    model.name: model
    for model in (
        DynamicalVae,
        Dkf,
        Kvae,
        Storn,
        Vrnn,
        Srnn,
        Rvae,
        NoncausalRvae,
        Dsae,
    )
}


def model_named(name: str) -> type[DynamicalVae]:
    """Look up a model. Raises UserError that lists the names that exist."""
    if name not in MODELS:
        raise UserError(f"no model is called '{name}'; known: {', '.join(MODELS)}")
    return MODELS[name]
