# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE, second update: the prior powers of the sources (M-step)."""

from __future__ import annotations

from dataclasses import replace

from av_perception.separation.moving_mixture import MovingMixture


def update_powers(model: MovingMixture) -> MovingMixture:
    """Fit the prior powers to the posterior's, `E[|s|^2]`."""
    return replace(model, powers=model.powers.updated(model.sources.power))
