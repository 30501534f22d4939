# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How the weights that ship were trained: one recipe per prior."""

from __future__ import annotations

from dataclasses import replace

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import model_named
from av_perception.training.speech_prior import TrainingConfig

#: Factors by which the speech is played faster.
SPEEDS = (1.0, 0.92, 1.08)

#: The published size of the VAE, 513-128-16.
SMALL = DvaeConfig()
#: More latents and a second layer in the decoder; models of sequences begin as a VAE of this size.
WIDE = DvaeConfig(latent_dim=32, memory_dim=64, deep_dim=192)

_WIDE_VAE = TrainingConfig(
    model='vae', sizes=WIDE, epochs=6, beta=0.3, warm_up=0.0, rate_warm_up=0.02
)
_SEQUENCES = replace(_WIDE_VAE, epochs=2, steps=32, batch=24, learning_rate=1e-3)
RECIPES = {
    'vae': TrainingConfig(model='vae', sizes=SMALL, epochs=12, beta=0.3, speeds_in_turn=True),
    'wide_vae': _WIDE_VAE,
    # the numbers that its linear systems move are those of the VAE's decoder
    'kvae': replace(_SEQUENCES, model='kvae', sizes=replace(WIDE, latent_dim=16, system_dim=32)),
    # its own past takes the place of the data, which is slow: fewer epochs
    'srnn': replace(_SEQUENCES, model='srnn', epochs=1),
}
#: What each begins as, where that is not the wide VAE; None: as nothing.
BEGINNINGS = {'vae': None, 'wide_vae': 'vae'}


def recipe(name: str) -> TrainingConfig:
    """Look up how a prior is trained; models without a recipe of their own as models of sequences.

    Raises
    ------
    UserError
        When no prior and no model is called so.
    """
    if name in RECIPES:
        return RECIPES[name]
    return replace(_SEQUENCES, model=model_named(name).name)


def beginning(name: str) -> str | None:
    """Name the prior that another begins as; None where it begins at random."""
    return BEGINNINGS.get(name, 'wide_vae')
