# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learned noise: sources that sound when nobody speaks.

What sounds like them afterwards is clutter, not a person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import AudioFeatures
from av_perception.numerics.gaussian import LOG_2PI

_KNOWN_FRAMES = 0.5  # a component heard less often is unknown (one frame, not quite forgotten)
_LEAST_COUNT = 1e-9


@dataclass(frozen=True)
class NoiseConfig:
    """What is remembered of sound that is no voice."""

    #: how many sources of noise are remembered; 0 for none
    sources: int = 4
    #: [s] time without voice before a frame counts as noise (words fade out in echoes)
    quiet_s: float = 0.5
    #: a noise explains sound after so many frames
    mature_frames: int = 12
    #: [frames] older frames are slowly forgotten
    memory_frames: int = 5000
    #: [deg] 0..180, sound from nearer than this to a known person is not learned as noise
    away_from_people_deg: float = 15.0

    def __post_init__(self):
        if self.sources < 0 or self.mature_frames < 1 or self.memory_frames < self.mature_frames:
            raise ValueError(
                'sources must not be negative and 1 <= mature_frames <= memory_frames'
            )
        if self.quiet_s < 0 or not 0 <= self.away_from_people_deg < 180:
            raise ValueError(
                'quiet_s must not be negative and away_from_people_deg must lie in [0, 180)'
            )


class NoiseModel:
    """J noise sources, a Gaussian `N(g_k; m_jk, diag v_jk)` per sub-band, learned frame by frame.

    A frame is of the source under which all its sub-bands together are likeliest; if uniform
    clutter is likelier still, it starts a new source in place of the least heard one. In the
    inference the density of clutter becomes `1 / vol(G) + sum_j N(g_k; m_jk, v_jk)`: the noise of
    VAVIT's `B_tk = 0`, with what has been heard of it.

    Parameters
    ----------
    config
        See `NoiseConfig`.
    acoustic_map
        An AcousticMap: K sub-bands, G components.
    tempering
        Exponent of the audio likelihood and of clutter alike.
    """

    def __init__(self, config: NoiseConfig, acoustic_map, tempering: float):
        self._config, self._tempering = config, tempering
        self._floor = np.asarray(acoustic_map.variance, float).min(axis=1)
        self._log_range = np.asarray(acoustic_map.log_range, float)
        shape = (config.sources, *self._floor.shape)
        self._count = np.zeros(shape)
        self._sum = np.zeros(shape)
        self._square = np.zeros(shape)
        self.frames_heard = np.zeros(config.sources)

    def learn(self, features: AudioFeatures) -> None:
        """Take one frame in which nobody spoke."""
        if not self._config.sources:
            return
        statistics = (self._count, self._sum, self._square, self.frames_heard)
        for statistic in statistics:
            statistic *= 1 - 1 / self._config.memory_frames
        heard, values = _heard_components(features)
        log_likelihood = self._log_density(heard, values).sum(1)
        source = int(log_likelihood.argmax())
        if log_likelihood[source] < -(heard @ self._log_range).sum():
            source = int(self.frames_heard.argmin())
            for statistic in statistics:
                statistic[source] = 0.0
        self._count[source] += heard
        self._sum[source] += values
        self._square[source] += values**2
        self.frames_heard[source] += 1

    def log_density(self, features: AudioFeatures) -> np.ndarray:
        """Score the sub-bands of a frame under the noises learned so far.

        Parameters
        ----------
        features
            Of one analysis window.

        Returns
        -------
        np.ndarray
            (K,) tempered log density of every valid sub-band; -inf while there is no noise.
        """
        mature = self.frames_heard >= self._config.mature_frames
        if not mature.any():
            return np.full(len(self._floor), -np.inf)
        log_density = self._log_density(*_heard_components(features))[mature]
        return np.logaddexp.reduce(self._tempering * log_density, axis=0)

    def _log_density(self, heard: np.ndarray, values: np.ndarray) -> np.ndarray:
        """(J, K) log N(g_k; m_jk, v_jk) of the components that were heard.

        Uniform where a source has no component to compare with.
        """
        count = np.maximum(self._count, _LEAST_COUNT)
        mean = self._sum / count
        variance = np.maximum(self._floor, self._square / count - mean**2) * (1 + 1 / count)
        log_density = -0.5 * ((values - mean) ** 2 / variance + np.log(variance) + LOG_2PI)
        known = self._count >= _KNOWN_FRAMES
        return np.where(heard, np.where(known, log_density, -self._log_range), 0.0).sum(-1)


def _heard_components(features: AudioFeatures) -> tuple[np.ndarray, np.ndarray]:
    """(K, G) which components carry information in valid sub-bands, and their values, else 0."""
    heard = features.present & features.valid[:, None]
    return heard, np.where(heard, features.vectors, 0.0)
