# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How the weights that ship were trained: one recipe per model."""

from __future__ import annotations

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.training.speech_prior import TrainingConfig

#: Factors by which the speech is played faster; epochs take them in turn.
SPEEDS = (1.0, 0.92, 1.08)

_SIZES = DvaeConfig()
_SEQUENCES = TrainingConfig(
    sizes=_SIZES, epochs=8, steps=32, batch=24, learning_rate=1e-3, beta=0.3, warm_up=0.0
)
RECIPES = {
    'vae': TrainingConfig(model='vae', sizes=_SIZES, epochs=12, beta=0.3, speeds_in_turn=True),
}


def recipe(model: str) -> TrainingConfig:
    """Look up how a model is trained; those without a recipe of their own as the others.

    Raises
    ------
    UserError
        When no model is called so.
    """
    from dataclasses import replace

    model_named(model)
    return RECIPES.get(model) or replace(_SEQUENCES, model=model)
