# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Birth of tracks from voices that belong to nobody: people who are heard before they are seen, or never seen."""

from __future__ import annotations

import dataclasses
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from av_perception.numerics.gaussian import LOG_2PI, propagate_covariance, symmetrize
from av_perception.tracking.association.heard_direction import HeardDirection

_SPHERE = float(
    np.log(4 * np.pi)
)  # log solid angle of all directions, over which clutter is uniform


@dataclass(frozen=True)
class AudioBirthConfig:
    """A frame gives an observation when min_subbands sub-bands belong to nobody, one direction explains them min_frame_log_ratio [nat per
    sub-band] better than none does, has the probability min_weight among directions and an azimuth known to max_azimuth_sd_deg.

    A person is born from min_observations within window_s whose log likelihood ratio to clutter exceeds log_ratio [nat], when the mean
    voice activity of all that came from there within memory_s, voice or not, is at least min_voice: what sounds between the words as well is
    no voice; max_gap_s: a sequence without news for longer ends; speed_deg: random walk of a direction
    [deg/sqrt(s)]; direction_error_deg: error that all observations of a place share (echo, map); away_from_people_deg: voices nearer than
    this to a known person are that person's.
    """

    min_subbands: float = 2.0
    min_frame_log_ratio: float = 1.0
    min_weight: float = 0.6
    max_azimuth_sd_deg: float = 8.0
    min_observations: int = 6
    window_s: float = 1.0
    memory_s: float = 3.0
    max_gap_s: float = 1.5
    log_ratio: float = 10.0
    min_voice: float = 0.6
    speed_deg: float = 15.0
    direction_error_deg: float = 3.0
    away_from_people_deg: float = 12.0

    def __post_init__(self):
        if not (
            self.min_subbands > 0
            and 0 < self.min_weight < 1
            and 0 <= self.min_voice <= 1
            and self.min_observations >= 2
        ):
            raise ValueError(
                'min_subbands must be positive, min_weight and min_voice lie in 0..1, min_observations be at least 2'
            )
        if (
            not 0 < self.window_s <= self.memory_s
            or min(
                self.max_azimuth_sd_deg, self.max_gap_s, self.speed_deg, self.direction_error_deg
            )
            <= 0
        ):
            raise ValueError(
                'max_azimuth_sd_deg, max_gap_s, speed_deg and direction_error_deg must be positive, 0 < window_s <= memory_s'
            )


@dataclass(eq=False)
class _Sequence:
    """A voice that may be a person: filtered direction (3,) and covariance (3, 3); per observation stamp [ns], log ratio, voice."""

    mean: np.ndarray
    covariance: np.ndarray
    stamp_ns: int
    observations: deque = field(default_factory=deque)


class AudioBirth:
    """Follows voices of nobody by one Kalman filter on the sphere each and scores them against clutter that is uniform over it:

        LLR = sum_{j >= 1} [ log N(B z_j; B m_j, B (S_j + R_j) B') + log 4 pi ],   B the tangent plane at the prediction m_j.

    An observation goes to the sequence under which it is likeliest, or starts a new one; so people who take turns do not disturb each
    other.
    """

    def __init__(self, config: AudioBirthConfig):
        self._config = config
        self.reset()

    def reset(self):
        """Forgets all sequences."""
        self._open: list[_Sequence] = []

    def step(self, stamp_ns: int, heard: HeardDirection, voice: float) -> HeardDirection | None:
        """One frame with an observation whose axes do not turn with the head; voice: its voice activity. Returns the direction of a person
        who was just found.
        """
        sequence = self._follow(stamp_ns, heard, voice)
        if not self._is_person(sequence):
            return None
        self._open.remove(sequence)
        return dataclasses.replace(heard, mean=sequence.mean, covariance=sequence.covariance)

    def doubt(self, stamp_ns: int, heard: HeardDirection, voice: float):
        """One frame in which the sound from there was no voice."""
        self._follow(stamp_ns, heard, voice)

    def _follow(self, stamp_ns: int, heard: HeardDirection, voice: float) -> _Sequence:
        """The sequence that takes the observation."""
        config = self._config
        self._open = [s for s in self._open if 0 < stamp_ns - s.stamp_ns <= config.max_gap_s * 1e9]
        noise = heard.covariance + np.radians(config.direction_error_deg) ** 2 * np.eye(3)
        ratios = [self._ratio(s, stamp_ns, heard.mean, noise) for s in self._open]
        if not ratios or max(ratios) < 0:
            self._open.append(
                _Sequence(heard.mean, noise, stamp_ns, deque([(stamp_ns, 0.0, voice)]))
            )
            return self._open[-1]
        sequence = self._open[int(np.argmax(ratios))]
        self._correct(sequence, stamp_ns, heard.mean, noise)
        sequence.observations.append((stamp_ns, max(ratios), voice))
        while stamp_ns - sequence.observations[0][0] > config.memory_s * 1e9:
            sequence.observations.popleft()
        return sequence

    def _spread(self, sequence: _Sequence, stamp_ns: int) -> np.ndarray:
        elapsed_s = (stamp_ns - sequence.stamp_ns) * 1e-9
        return sequence.covariance + np.radians(self._config.speed_deg) ** 2 * elapsed_s * np.eye(
            3
        )

    def _ratio(
        self, sequence: _Sequence, stamp_ns: int, observed: np.ndarray, noise: np.ndarray
    ) -> float:
        """Log likelihood ratio of an observation to clutter."""
        if observed @ sequence.mean <= 0:
            return -np.inf
        tangent = _tangent_plane(sequence.mean)
        spread = propagate_covariance(tangent, self._spread(sequence, stamp_ns) + noise)
        residual = tangent @ (observed - sequence.mean)
        return (
            -0.5
            * float(residual @ np.linalg.solve(spread, residual) + np.linalg.slogdet(spread)[1])
            - LOG_2PI
            + _SPHERE
        )

    def _correct(
        self, sequence: _Sequence, stamp_ns: int, observed: np.ndarray, noise: np.ndarray
    ):
        predicted = self._spread(sequence, stamp_ns)
        gain = predicted @ np.linalg.inv(predicted + noise)
        mean = sequence.mean + gain @ (observed - sequence.mean)
        sequence.mean, sequence.covariance, sequence.stamp_ns = (
            mean / np.linalg.norm(mean),
            symmetrize(predicted - gain @ predicted),
            stamp_ns,
        )

    def _is_person(self, sequence: _Sequence) -> bool:
        config, since_ns = self._config, sequence.stamp_ns - self._config.window_s * 1e9
        ratios = [ratio for stamp_ns, ratio, _ in sequence.observations if stamp_ns >= since_ns]
        voice = float(np.mean([voice for _, _, voice in sequence.observations]))
        return (
            len(ratios) >= config.min_observations
            and sum(ratios) > config.log_ratio
            and voice >= config.min_voice
        )


def _tangent_plane(direction: np.ndarray) -> np.ndarray:
    """(2, 3) orthonormal rows perpendicular to a unit vector."""
    return np.linalg.svd(direction[None])[2][1:]
