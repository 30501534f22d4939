# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The lower bound of the log-likelihood that none of VEMOVE's updates lowers."""

from __future__ import annotations

import numpy as np

from av_perception.numerics.small_hermitian import inverse_and_log_det, trace_of_product
from av_perception.separation.evolution_update import step_moments
from av_perception.separation.moving_mixture import Evolution, FilterPosterior, MovingMixture
from av_perception.separation.noise_update import unexplained


def lower_bound(model: MovingMixture) -> float:
    """E log p(x, s, A) + H(q(s)) + H(q(A)) [nat], summed over frames and bins."""
    mixture = -model.spectra[..., 0].size * np.log(np.pi * model.noise)
    mixture = mixture - unexplained(model) / model.noise
    walk = _log_walk(model.filters, model.evolution) + model.filters.entropy
    return float(np.sum(mixture + walk) + _sources(model))


def _sources(model: MovingMixture) -> float:
    """E log p(s) + H(q(s))."""
    power = model.powers.power
    prior = -np.log(np.pi * power) - model.sources.power / power
    entropy = model.sources.log_det + power.shape[1] * (1 + np.log(np.pi))
    return float(prior.sum() + entropy.sum())


def _log_walk(filters: FilterPosterior, evolution: Evolution) -> np.ndarray:
    """(F,) E log p(A) under the random walk."""
    num_frames, num_microphones, num_sources = filters.mean.shape[:3]
    away = filters.mean[0] - evolution.mean
    first = np.einsum('ijf,irf->jrf', away, away.conj())
    first = first + num_microphones * filters.covariance[0]
    count = num_microphones * num_sources
    start, log_start = inverse_and_log_det(evolution.start)
    step, log_step = inverse_and_log_det(evolution.step)
    log_volume = num_microphones * (log_start + (num_frames - 1) * log_step)
    exponent = trace_of_product(start, first)
    exponent = exponent + trace_of_product(step, step_moments(filters))
    return -num_frames * count * np.log(np.pi) - log_volume - exponent
