# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a frame's sound comes from: the inverse regression of acoustic space learning, on the statistics the tracker has anyway."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.inverse_regression import DirectionPosterior, posterior_of
from av_perception.numerics.gaussian import quadratic
from av_perception.tracking.association.audio_statistics import AudioEvidence

_SAME_SOURCE = np.cos(np.radians(25.0))  # pieces this near to the likeliest one share its source


@dataclass(frozen=True)
class HeardDirection:
    """One source of sound as a noisy observation of its direction.

    mean: (3,) unit vector; covariance: (3, 3); weight: probability that the sound came from about there, given that it has one direction;
    log_ratio: log likelihood ratio [nat per sub-band] of one direction to none (clutter).
    """

    mean: np.ndarray
    covariance: np.ndarray
    weight: float
    log_ratio: float


def direction_posterior(evidence: AudioEvidence, subband_weight: np.ndarray) -> DirectionPosterior:
    """p(u | sub-bands) of one source (Deleforge, Forbes and Horaud 2015, section 4), as `InverseRegression` gives it.

    subband_weight: (K,) in [0, 1], how far each sub-band of the evidence counts. The map's sub-bands must share their pieces.
    """
    return posterior_of(
        evidence.piece_prior[0] + np.tensordot(subband_weight, evidence.statistics, 1)
    )


def locate(evidence: AudioEvidence, subband_weight: np.ndarray) -> HeardDirection:
    """The likeliest piece of the posterior and its neighbours as one Gaussian about the sphere."""
    posterior = direction_posterior(evidence, subband_weight)
    weight, toward = (
        posterior.weight,
        posterior.mean / np.linalg.norm(posterior.mean, axis=1, keepdims=True),
    )
    near = toward @ toward[weight.argmax()] > _SAME_SOURCE
    share = weight[near] / weight[near].sum()
    mean = share @ posterior.mean[near]
    offset = posterior.mean[near] - mean
    covariance = np.tensordot(
        share, posterior.covariance[near] + offset[:, :, None] * offset[:, None, :], 1
    )
    length = float(np.linalg.norm(mean))
    log_ratio = (posterior.log_evidence - float(subband_weight @ evidence.log_clutter)) / max(
        float(subband_weight.sum()), 1e-9
    )
    return HeardDirection(
        mean / length, covariance / length**2, float(weight[near].sum()), log_ratio
    )


def azimuth_deviation(direction: np.ndarray, covariance: np.ndarray) -> float:
    """Standard deviation [rad] of the azimuth of a direction (3,) with covariance (3, 3); infinite straight above and below."""
    horizontal = float(np.hypot(direction[0], direction[1]))
    if horizontal < 1e-6:
        return np.inf
    tangent = np.array([-direction[1], direction[0], 0.0]) / horizontal
    return float(np.sqrt(quadratic(tangent, covariance))) / horizontal
