# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE, fourth update: the filters given the sources, by a complex Kalman smoother (E-step).

Frame l says of the row of A that belongs to microphone i: precision `E = (E[s s^H])^T / v`, the
same for all microphones, and information vector `x_i s^* / v`. So one (J, J) recursion with I
right-hand sides serves all microphones. It is the filter of `numerics/kalman.py` in information
form and the smoother of Rauch, Tung and Striebel, with the bins in the last axis.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from av_perception.numerics.small_hermitian import adjoint, inverse_and_log_det, product
from av_perception.separation.moving_mixture import Evolution, FilterPosterior, MovingMixture


def update_filters(model: MovingMixture) -> MovingMixture:
    """Smooth the filters over all frames.

    Parameters
    ----------
    model
        With sources, noise and evolution.

    Returns
    -------
    MovingMixture
        With another q(A).
    """
    precision = model.sources.second_moment.swapaxes(1, 2) / model.noise
    conjugate = model.sources.mean.conj() / model.noise
    vectors = model.spectra[:, :, None] * conjugate[:, None]
    return replace(model, filters=smooth_filters(precision, vectors, model.evolution))


def smooth_filters(
    precision: np.ndarray, vectors: np.ndarray, evolution: Evolution
) -> FilterPosterior:
    """Posterior of a random walk from evidence in information form.

    Parameters
    ----------
    precision
        (L, J, J, F) E, not negative.
    vectors
        (L, I, J, F) e, one per microphone.
    evolution
        Prior of the first filter, and of the steps.

    Returns
    -------
    FilterPosterior
        Given the evidence of all frames.
    """
    means = np.empty_like(vectors)
    covariances = np.empty_like(precision)
    before = np.empty_like(precision)  # inverse covariances of the predictions
    log_det = np.zeros((2, vectors.shape[-1]))  # sums of log|prediction|, log|filtered|
    mean, predicted = evolution.mean, evolution.start
    for frame in range(len(vectors)):
        before[frame], log_predicted = inverse_and_log_det(predicted)
        # information form of Bayes' rule
        covariance, log_precision = inverse_and_log_det(before[frame] + precision[frame])
        information = vectors[frame] + _times_rows(before[frame], mean)
        mean = _times_rows(covariance, information)
        means[frame], covariances[frame] = mean, covariance
        log_det += (log_predicted if frame else 0.0 * log_predicted, -log_precision)
        predicted = covariance + evolution.step
    entropy = _entropy(log_det, evolution.step, vectors.shape)
    return _smoothed(means, covariances, before, evolution.step, entropy)


def _smoothed(means, covariances, before, step, entropy) -> FilterPosterior:
    """Run backward in place: from what is known until a frame to what is known from all."""
    lag_one = np.empty_like(covariances[1:])
    for frame in range(len(means) - 2, -1, -1):
        gain = product(covariances[frame], before[frame + 1])
        shift = means[frame + 1] - means[frame]
        means[frame] += _times_rows(gain, shift)
        surplus = covariances[frame + 1] - covariances[frame] - step
        backward = adjoint(gain)
        lag_one[frame] = product(covariances[frame + 1], backward)
        smoothed = covariances[frame] + product(product(gain, surplus), backward)
        covariances[frame] = 0.5 * (smoothed + adjoint(smoothed))
    return FilterPosterior(means, covariances, lag_one, entropy)


def _entropy(log_det: np.ndarray, step: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(F,) by the chain rule: Cov(a_l | a_l+1) = V_l (V_l + step)^-1 step, V_l the filter's."""
    num_frames, num_microphones, num_sources, _ = shape
    log_step = inverse_and_log_det(step)[1]
    log_volume = log_det[1] - log_det[0] + (num_frames - 1) * log_step
    constant = num_frames * num_sources * (1 + np.log(np.pi))
    return num_microphones * (log_volume + constant)


def _times_rows(matrices: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(I, J, F): (J, J, F) times each of the I vectors in (I, J, F)."""
    return np.einsum('jkf,ikf->ijf', matrices, rows)
