# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The visual prior that features and latents of training talkers give: ridge regression.

No PyTorch is needed. How strong the ridge is, and how wide the prior, is found on talkers that
the regression has not seen, in turn; a prior that is too sure of itself harms.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.visual_prior import LinearVisualPrior, VisualPrior, log_density

RIDGES = (1e-3, 1e-2, 1e-1, 1.0)  # in units of the number of frames
_LEAST_VARIANCE = 1e-3
_LEAST_SCALE = 1e-6


def train_visual_prior(
    latents: Sequence[np.ndarray],
    features: Sequence[VisualFeatures],
    ridges: Sequence[float] = RIDGES,
) -> LinearVisualPrior:
    """Learn what features say of latents.

    Parameters
    ----------
    latents, features
        (T, L) of each talker, means that the encoder of the prior of speech gives clean speech,
        and features of the same frames; a frame counts as far as it is reliable.
    ridges
        Strengths to choose from, per frame and in units of the features' variance.

    Returns
    -------
    LinearVisualPrior
        With the strength and the variance that fit talkers who were left out.

    Raises
    ------
    ValueError
        When there are fewer than two talkers, or frames of both do not match.
    """
    parts = _parts(latents, features)
    total = np.sum([part.moments for part in parts], axis=0)
    errors = [
        np.sum([_left_out(total, part, ridge) for part in parts], axis=0) for ridge in ridges
    ]
    best = int(np.argmin([np.log(np.maximum(error, _LEAST_SCALE)).sum() for error in errors]))
    weights = _solved(total, ridges[best], parts[0].inputs.shape[1])
    count = total[0, 0]
    variance = np.maximum(errors[best] / count, _LEAST_VARIANCE)
    return LinearVisualPrior(
        weights[1:].T.astype(np.float32),
        weights[0].astype(np.float32),
        variance.astype(np.float32),
        *fixed_gaussian(latents),
    )


def fixed_gaussian(latents: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (L,) of latents (T, L) of talkers: what a visual prior has to beat."""
    every = np.concatenate(latents)
    variance = np.maximum(every.var(axis=0), _LEAST_VARIANCE)
    return every.mean(axis=0).astype(np.float32), variance.astype(np.float32)


class _Part:
    """One talker: rows [1, v] and z, weighed by reliability, and their second moments."""

    def __init__(self, latents: np.ndarray, features: VisualFeatures):
        root = np.sqrt(features.reliability.astype(float))[:, None]
        ones = np.ones((len(features), 1))
        self.inputs = root * np.concatenate([ones, features.values.astype(float)], axis=1)
        self.outputs = root * latents
        both = np.concatenate([self.inputs, self.outputs], axis=1)
        self.moments = both.T @ both


def _parts(latents: Sequence[np.ndarray], features: Sequence[VisualFeatures]) -> list[_Part]:
    """Those who are seen."""
    if len(latents) != len(features) or any(len(z) != len(v) for z, v in zip(latents, features)):
        raise ValueError('latents and features must be of the same frames of the same talkers')
    parts = [_Part(z, v) for z, v in zip(latents, features) if v.reliability.sum() > 0]
    if len(parts) < 2:
        raise ValueError('a visual prior needs two talkers or more who are seen')
    return parts


def _solved(moments: np.ndarray, ridge: float, num_inputs: int) -> np.ndarray:
    """(1 + D, L) regression of z on [1, v], by second moments of [1, v, z]."""
    inputs = moments[:num_inputs, :num_inputs]
    count = inputs[0, 0]
    variance = np.diag(inputs) / count - (inputs[0] / count) ** 2  # (0 for the constant)
    penalty = count * (ridge * variance + _LEAST_SCALE)
    return np.linalg.solve(inputs + np.diag(penalty), moments[:num_inputs, num_inputs:])


def _left_out(total: np.ndarray, part: _Part, ridge: float) -> np.ndarray:
    """(L,) squared errors on a talker of the regression on all others."""
    weights = _solved(total - part.moments, ridge, part.inputs.shape[1])
    return ((part.outputs - part.inputs @ weights) ** 2).sum(axis=0)


def nats_gained(
    visual: VisualPrior,
    latents: Sequence[np.ndarray],
    features: Sequence[VisualFeatures],
    fixed: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Log density of latents under a visual prior over that under a fixed Gaussian, per frame.

    Parameters
    ----------
    visual
        The prior in question.
    latents, features
        Of each talker, as for `train_visual_prior`; talkers it was not trained on.
    fixed
        Mean and variance (L,) of a `fixed_gaussian` of the training talkers.

    Returns
    -------
    np.ndarray
        (talkers,) means over the frames in which the talker is seen; NaN for one who never is.
    """
    gains = []
    for z, v in zip(latents, features):
        mean, variance = visual.prior(v)
        ahead = log_density(mean, variance, z) - log_density(fixed[0], fixed[1], z)
        seen = v.reliability > 0
        gains.append(float(ahead[seen].mean()) if seen.any() else float('nan'))
    return np.array(gains)
