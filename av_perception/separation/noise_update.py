# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE, third update: the power of the microphones' noise (M-step)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from av_perception.numerics.small_hermitian import trace_of_product
from av_perception.separation.moving_mixture import MovingMixture
from av_perception.separation.source_update import project

LEAST_NOISE = 1e-7  # in units of the mixture's mean power


def update_noise(model: MovingMixture) -> MovingMixture:
    """Take what the sources leave unexplained: `v = E|x - A s|^2 / I`, mean over the frames."""
    num_values = model.spectra.shape[0] * model.spectra.shape[1]
    noise = np.maximum(unexplained(model) / num_values, LEAST_NOISE)
    return replace(model, noise=noise)


def unexplained(model: MovingMixture) -> np.ndarray:
    """(F,) sum over the frames of `x^H x - 2 Re x^H E[A] s + tr(E[s s^H] E[A^H A])`."""
    spectra = model.spectra
    power = (spectra.real**2 + spectra.imag**2).sum(axis=(0, 1))
    projected = project(model.filters.mean, spectra)
    aligned = np.einsum('ljf,ljf->f', projected.conj(), model.sources.mean).real
    explained = trace_of_product(model.sources.second_moment, model.filters.gram).sum(axis=0)
    return power - 2 * aligned + explained
