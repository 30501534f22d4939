# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE, fifth update: how far the filters walk from frame to frame (M-step)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from av_perception.numerics.small_hermitian import adjoint
from av_perception.separation.moving_mixture import FilterPosterior, MovingMixture

_LEAST_STEP = 1e-12  # covariance, in units of its largest variance: no step is singular


def update_evolution(model: MovingMixture) -> MovingMixture:
    """Take the mean of the first filter, and the covariance of all steps of all microphones.

    With one covariance for the start and the steps (tied) it is the mean of both; a start of its
    own stays as wide as it was said to be.
    """
    filters, evolution = model.filters, model.evolution
    num_frames, num_microphones = filters.mean.shape[:2]
    steps = step_moments(filters)
    mean = filters.mean[0]
    if evolution.tied:
        total = steps + num_microphones * filters.covariance[0]
        covariance = _regular(total / (num_frames * num_microphones))
        return replace(
            model, evolution=replace(evolution, mean=mean, start=covariance, step=covariance)
        )
    if num_frames > 1:
        step = _regular(steps / ((num_frames - 1) * num_microphones))
        evolution = replace(evolution, step=step)
    return replace(model, evolution=replace(evolution, mean=mean))


def step_moments(filters: FilterPosterior) -> np.ndarray:
    """(J, J, F) sum over steps and microphones of `E[(a_l+1 - a_l)(a_l+1 - a_l)^H]`."""
    num_microphones = filters.mean.shape[1]
    shift = np.diff(filters.mean, axis=0)
    outer = np.einsum('lijf,lirf->jrf', shift, shift.conj())
    both = filters.covariance[1:].sum(axis=0) + filters.covariance[:-1].sum(axis=0)
    cross = filters.lag_one.sum(axis=0)
    return outer + num_microphones * (both - cross - adjoint(cross))


def _regular(covariance: np.ndarray) -> np.ndarray:
    """Hermitian, and so far from singular that rounding does not matter."""
    covariance = 0.5 * (covariance + adjoint(covariance))
    largest = np.einsum('jjf->jf', covariance).real.max(axis=0)
    floor = np.maximum(_LEAST_STEP * largest, np.finfo(float).tiny)
    return covariance + floor * np.eye(covariance.shape[0])[:, :, None]
