# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Birth of tracks from voices that belong to no track (T14 of docs/tracker_equations.md).

They are of people who are heard before they are seen, or never seen.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.numerics import kalman_steps
from av_perception.numerics.gaussian import log_normal, propagate_covariance
from av_perception.tracking.association.heard_direction import HeardDirection

_EYE = np.eye(3)
# Log solid angle of all directions, over which clutter is uniform.
_LOG_SPHERE = float(np.log(4 * np.pi))


@dataclass(frozen=True)
class AudioBirthConfig:
    """Which frames say where a voice is, and which sequences of them are a person."""

    #: a frame gives an observation when so many sub-bands belong to no track ...
    min_subbands: float = 2.0
    #: [nat per sub-band] ... one direction explains them so much better than none does ...
    min_frame_log_ratio: float = 1.0
    #: in (0, 1), ... has this probability among directions ...
    min_weight: float = 0.6
    #: [deg] ... and an azimuth known to this standard deviation
    max_azimuth_sd_deg: float = 8.0
    #: a person is born from so many observations ...
    min_observations: int = 6
    #: [s] ... within this time ...
    window_s: float = 1.0
    #: [s] the voice activity of all that came from there within this time counts, voice or not
    memory_s: float = 3.0
    #: [s] a sequence without news for longer ends
    max_gap_s: float = 1.5
    #: [nat] ... whose log likelihood ratio to clutter exceeds this ...
    log_ratio: float = 10.0
    #: 0..1, ... when the mean voice activity is at least this: what sounds between the words as
    #: well is no voice
    min_voice: float = 0.6
    #: [deg/sqrt(s)] random walk of a direction
    speed_deg: float = 15.0
    #: [deg] standard deviation of the error that all observations of a place share (echo, map)
    direction_error_deg: float = 3.0
    #: [deg] voices nearer than this to a known person are that person's
    away_from_people_deg: float = 12.0

    def __post_init__(self):
        counts_and_shares = (
            self.min_subbands > 0
            and 0 < self.min_weight < 1
            and 0 <= self.min_voice <= 1
            and self.min_observations >= 2
        )
        if not counts_and_shares:
            raise ValueError(
                'min_subbands must be positive, min_weight and min_voice lie in 0..1, '
                'min_observations be at least 2'
            )
        positive = (
            self.max_azimuth_sd_deg,
            self.max_gap_s,
            self.speed_deg,
            self.direction_error_deg,
        )
        if not 0 < self.window_s <= self.memory_s or min(positive) <= 0:
            raise ValueError(
                'max_azimuth_sd_deg, max_gap_s, speed_deg and direction_error_deg must be '
                'positive, 0 < window_s <= memory_s'
            )


@dataclass(frozen=True)
class _Observation:
    """What a frame added to a sequence. log_ratio: to clutter [nat]; voice: voice activity."""

    stamp_ns: int
    log_ratio: float
    voice: float


@dataclass(eq=False)
class _Sequence:
    """A voice that may be a person. mean: (3,) filtered direction; covariance: (3, 3)."""

    mean: np.ndarray
    covariance: np.ndarray
    stamp_ns: int
    observations: deque[_Observation] = field(default_factory=deque)


class AudioBirth:
    """Follows voices that belong to no track by one Kalman filter on the sphere each.

    A sequence is scored against clutter that is uniform over the sphere,

        LLR = sum_{j >= 1} [ log N(B z_j; B m_j, B (S_j + R_j) B') + log 4 pi ],

    B the tangent plane at the prediction m_j. An observation goes to the sequence under which it
    is likeliest, or starts a new one; so people who take turns do not disturb each other.
    """

    def __init__(self, config: AudioBirthConfig):
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget all sequences."""
        self._open: list[_Sequence] = []

    def step(self, stamp_ns: int, heard: HeardDirection, voice: float) -> HeardDirection | None:
        """Take one frame with an observation.

        Parameters
        ----------
        stamp_ns
            Of the frame.
        heard
            Its direction, in axes that do not turn with the head.
        voice
            Its voice activity in [0, 1].

        Returns
        -------
        HeardDirection or None
            The direction of a person who was just found.
        """
        sequence = self._follow(stamp_ns, heard, voice)
        if not self._is_person(sequence):
            return None
        self._open.remove(sequence)
        return dataclasses.replace(heard, mean=sequence.mean, covariance=sequence.covariance)

    def doubt(self, stamp_ns: int, heard: HeardDirection, voice: float) -> None:
        """Take one frame in which the sound from there was no voice; arguments as of `step`."""
        self._follow(stamp_ns, heard, voice)

    def _follow(self, stamp_ns: int, heard: HeardDirection, voice: float) -> _Sequence:
        """Find or start the sequence that takes the observation."""
        config = self._config
        self._open = [
            s for s in self._open if 0 < seconds(stamp_ns - s.stamp_ns) <= config.max_gap_s
        ]
        noise = heard.covariance + np.radians(config.direction_error_deg) ** 2 * _EYE
        ratios = [self._log_ratio(s, stamp_ns, heard.mean, noise) for s in self._open]
        if not ratios or max(ratios) < 0:
            first = _Observation(stamp_ns, 0.0, voice)
            self._open.append(_Sequence(heard.mean, noise, stamp_ns, deque([first])))
            return self._open[-1]
        sequence = self._open[int(np.argmax(ratios))]
        self._correct(sequence, stamp_ns, heard.mean, noise)
        sequence.observations.append(_Observation(stamp_ns, max(ratios), voice))
        while seconds(stamp_ns - sequence.observations[0].stamp_ns) > config.memory_s:
            sequence.observations.popleft()
        return sequence

    def _predicted_covariance(self, sequence: _Sequence, stamp_ns: int) -> np.ndarray:
        """(3, 3) of a direction that walks at random."""
        elapsed_s = seconds(stamp_ns - sequence.stamp_ns)
        walked = np.radians(self._config.speed_deg) ** 2 * elapsed_s
        return sequence.covariance + walked * _EYE

    def _log_ratio(
        self, sequence: _Sequence, stamp_ns: int, observed: np.ndarray, noise: np.ndarray
    ) -> float:
        """Log likelihood ratio of an observation to clutter, in the tangent plane."""
        if observed @ sequence.mean <= 0:
            return -np.inf
        tangent = _tangent_plane(sequence.mean)
        predicted = self._predicted_covariance(sequence, stamp_ns)
        innovation = propagate_covariance(tangent, predicted + noise)
        residual = tangent @ (observed - sequence.mean)
        return float(log_normal(residual, innovation)) + _LOG_SPHERE

    def _correct(
        self, sequence: _Sequence, stamp_ns: int, observed: np.ndarray, noise: np.ndarray
    ) -> None:
        """One Kalman step, then back onto the sphere."""
        predicted = self._predicted_covariance(sequence, stamp_ns)
        mean, covariance, _ = kalman_steps.update(sequence.mean, predicted, _EYE, observed, noise)
        sequence.mean = mean / np.linalg.norm(mean)
        sequence.covariance = covariance
        sequence.stamp_ns = stamp_ns

    def _is_person(self, sequence: _Sequence) -> bool:
        config = self._config
        recent = [
            o.log_ratio
            for o in sequence.observations
            if seconds(sequence.stamp_ns - o.stamp_ns) <= config.window_s
        ]
        voice = float(np.mean([o.voice for o in sequence.observations]))
        return (
            len(recent) >= config.min_observations
            and sum(recent) > config.log_ratio
            and voice >= config.min_voice
        )


def _tangent_plane(direction: np.ndarray) -> np.ndarray:
    """(2, 3) orthonormal rows perpendicular to a unit vector."""
    return np.linalg.svd(direction[None])[2][1:]
