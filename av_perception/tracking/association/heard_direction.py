# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where a frame's sound comes from, by the inverse regression of acoustic space learning.

It works on the statistics that the tracker has anyway. Source: Deleforge, Forbes and Horaud,
"Acoustic space learning for sound-source separation and localization on binaural manifolds",
International Journal of Neural Systems 25(1), 2015, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.audio.inverse_regression import DirectionPosterior, posterior_of
from av_perception.numerics.gaussian import propagate_covariance, quadratic
from av_perception.tracking.association.audio_statistics import AudioEvidence
from av_perception.tracking.state_space.interface import LinearMap

_SAME_SOURCE = np.cos(np.radians(25.0))  # pieces this near to the likeliest one share its source
_LEAST_WEIGHT = 1e-9
_LEAST_HORIZONTAL = 1e-6


@dataclass(frozen=True)
class HeardDirection:
    """One source of sound as a noisy observation of its direction.

    mean: (3,) unit vector; covariance: (3, 3); weight: probability that the sound came from about
    there, given that it has one direction; log_ratio: log likelihood ratio [nat per sub-band] of
    one direction to none (clutter).
    """

    mean: np.ndarray
    covariance: np.ndarray
    weight: float
    log_ratio: float


def direction_posterior(evidence: AudioEvidence, subband_weight: np.ndarray) -> DirectionPosterior:
    """Posterior `p(u | sub-bands)` of one source, as `InverseRegression` gives it.

    Parameters
    ----------
    evidence
        Of one frame; the map's sub-bands must share their pieces.
    subband_weight
        (K,) in [0, 1], how far each sub-band of the evidence counts.

    Returns
    -------
    DirectionPosterior
        A mixture with one component per piece, in the array frame.
    """
    likelihood = np.tensordot(subband_weight, evidence.statistics, 1)
    return posterior_of(evidence.piece_prior[0] + likelihood)


def locate(evidence: AudioEvidence, subband_weight: np.ndarray) -> HeardDirection:
    """Summarize the likeliest piece of the posterior and its neighbors as one Gaussian.

    Parameters
    ----------
    evidence, subband_weight
        As of `direction_posterior`.

    Returns
    -------
    HeardDirection
        In the array frame.
    """
    posterior = direction_posterior(evidence, subband_weight)
    weight = posterior.weight
    unit = posterior.mean / np.linalg.norm(posterior.mean, axis=1, keepdims=True)
    near = unit @ unit[weight.argmax()] > _SAME_SOURCE
    # The moments of the mixture of the near pieces, scaled onto the sphere.
    share = weight[near] / weight[near].sum()
    mean = share @ posterior.mean[near]
    offset = posterior.mean[near] - mean
    second = posterior.covariance[near] + offset[:, :, None] * offset[:, None, :]
    covariance = np.tensordot(share, second, 1)
    length = float(np.linalg.norm(mean))
    log_clutter = float(subband_weight @ evidence.log_clutter)
    count = max(float(subband_weight.sum()), _LEAST_WEIGHT)
    log_ratio = (posterior.log_evidence - log_clutter) / count
    total = float(weight[near].sum())
    return HeardDirection(mean / length, covariance / length**2, total, log_ratio)


def azimuth_std(direction: np.ndarray, covariance: np.ndarray) -> float:
    """Propagate the covariance of a direction to its azimuth.

    Parameters
    ----------
    direction, covariance
        (3,) unit vector and (3, 3).

    Returns
    -------
    float
        Standard deviation [rad]; infinite straight above and below.
    """
    horizontal = float(np.hypot(direction[0], direction[1]))
    if horizontal < _LEAST_HORIZONTAL:
        return np.inf
    tangent = np.array([-direction[1], direction[0], 0.0]) / horizontal
    return float(np.sqrt(quadratic(tangent, covariance))) / horizontal


def azimuth_stds(directions: LinearMap, covariances: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Propagate covariances of states to the azimuths of their directions.

    Parameters
    ----------
    directions
        Of N states, linearized.
    covariances
        (N, D, D) of the states.
    asked
        (N,) bool: of which states.

    Returns
    -------
    np.ndarray
        (N,) standard deviations [rad]; 0 where not asked or without a direction.
    """
    stds = np.zeros(len(directions.value))
    for n in np.flatnonzero(asked & directions.usable):
        spread = propagate_covariance(directions.matrix[n], covariances[n])
        stds[n] = azimuth_std(directions.value[n], spread)
    return stds
