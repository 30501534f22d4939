# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the microphones of a head hear of the motors in its neck.

A geared motor whines: tones at the multiples of the passing of its teeth, whose pitch follows the
speed, as loud as the speed; a rush that the teeth modulate; a click when it sets off and when it
stops. The sound comes through the air from the neck, and through the plastic of the head, to each
microphone by another way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from av_perception.audio.propagation import SPEED_OF_SOUND

_NUM_TONES = 14
_AIR_TAPS = 65
_BODY_TAPS = 320  # 20 ms of ringing
_CLICK_S = 0.03
_STILL = 0.02  # [rad/s] slower than this the motor is silent


@dataclass(frozen=True)
class MotorSoundConfig:
    """How motors sound. Raises ValueError."""

    #: root mean square at the microphones at `loud_rate`
    level: float = 0.06
    #: [rad/s] of the joint
    loud_rate: float = 4.0
    #: teeth of the motor's pinion that pass per radian of the joint
    teeth_per_rad: float = 110.0
    #: [m] (3,) of the motors in the head's base frame
    position: tuple[float, float, float] = (-0.02, 0.0, -0.12)
    #: of the power comes through the air, in [0, 1]; the rest through the body
    air_share: float = 0.5

    def __post_init__(self):
        if self.level < 0 or self.loud_rate <= 0 or self.teeth_per_rad <= 0:
            raise ValueError('loud_rate and teeth_per_rad must be positive, level not negative')
        if not 0 <= self.air_share <= 1:
            raise ValueError(f'air_share must lie in 0..1, not {self.air_share}')


class MotorSound:
    """A stream of the sound of some joints.

    Parameters
    ----------
    config
        See `MotorSoundConfig`.
    microphones
        (channels, 3) [m] in the head's base frame.
    sample_rate
        [Hz]
    num_joints
        That turn the head.
    seed
        Of tones, noise and the ways through the body.
    """

    def __init__(
        self,
        config: MotorSoundConfig,
        microphones: np.ndarray,
        sample_rate: int,
        num_joints: int = 2,
        seed: int = 0,
    ):
        self._config = config
        self._rate = sample_rate
        self._random = np.random.default_rng([seed, 5])
        self._teeth = config.teeth_per_rad * self._random.uniform(0.8, 1.25, num_joints)
        self._tone_levels = self._random.uniform(0.3, 1.0, (num_joints, _NUM_TONES))
        self._tone_levels /= np.arange(1, _NUM_TONES + 1) ** 0.6
        self._tone_phases = self._random.uniform(0, 2 * np.pi, (num_joints, _NUM_TONES))
        self._phase = np.zeros(num_joints)
        self._last = np.zeros(num_joints)  # rates before this chunk
        self._rush_filter = butter(2, (400, 5000), 'bandpass', fs=sample_rate, output='sos')
        self._rush_state = np.zeros((num_joints, len(self._rush_filter), 2))
        self._responses = self._ways(np.asarray(microphones, float))
        self._tail = np.zeros((len(microphones), self._responses.shape[1] - 1))
        click = self._random.normal(size=int(_CLICK_S * sample_rate))
        decay = np.exp(-np.arange(len(click)) / (0.006 * sample_rate))
        self._click = click * decay
        self._click_left = np.zeros(len(click))

    def render(self, rates: np.ndarray, num_samples: int) -> np.ndarray:
        """Render the next samples.

        Parameters
        ----------
        rates
            (joints, steps) [rad/s] at the ends of equal steps.
        num_samples
            N, which the steps cover.

        Returns
        -------
        np.ndarray
            (N, channels)
        """
        ends = (np.arange(rates.shape[1]) + 1) * (num_samples / rates.shape[1])
        times = np.arange(num_samples)
        dry = self._clicks(rates, ends, num_samples)
        for joint, own in enumerate(rates):
            known = np.concatenate([self._last[joint : joint + 1], own])
            rate = np.interp(times, np.concatenate([[0.0], ends]), known)
            dry += self._whine(joint, rate)
        self._last = rates[:, -1].copy()
        wet = fftconvolve(dry[None], self._responses, axes=1)
        wet[:, : self._tail.shape[1]] += self._tail
        self._tail = wet[:, num_samples:]
        return wet[:, :num_samples].T

    def _whine(self, joint: int, rate: np.ndarray) -> np.ndarray:
        """(N,) tones and rush of one motor at the rates (N,) [rad/s]."""
        speed = np.abs(rate)
        pitch = self._teeth[joint] * speed  # [Hz]
        phase = self._phase[joint] + np.cumsum(2 * np.pi * pitch / self._rate)
        self._phase[joint] = phase[-1] % (2 * np.pi * _NUM_TONES)
        order = np.arange(1, _NUM_TONES + 1)[:, None]
        audible = order * pitch < 0.45 * self._rate
        tones = np.sin(order * phase + self._tone_phases[joint][:, None]) * audible
        tone = self._tone_levels[joint] @ tones
        noise, self._rush_state[joint] = sosfilt(
            self._rush_filter, self._random.normal(size=len(rate)), zi=self._rush_state[joint]
        )
        rush = 1.5 * noise * (1 + 0.4 * np.sin(phase))
        loudness = np.where(speed > _STILL, (speed / self._config.loud_rate) ** 0.7, 0.0)
        return loudness * (tone + rush)

    def _clicks(self, rates: np.ndarray, ends: np.ndarray, num_samples: int) -> np.ndarray:
        """(N,) clicks where a joint sets off or stops."""
        known = np.concatenate([self._last[:, None], rates], axis=1)
        moving = np.abs(known) > _STILL
        changes = np.flatnonzero((moving[:, 1:] != moving[:, :-1]).any(axis=0))
        sound = np.zeros(num_samples + len(self._click))
        sound[: len(self._click_left)] += self._click_left
        for change in changes:
            start = int(ends[change] - ends[0])
            sound[start : start + len(self._click)] += 1.5 * self._click
        self._click_left = sound[num_samples:]
        return sound[:num_samples]

    def _ways(self, microphones: np.ndarray) -> np.ndarray:
        """(channels, taps) responses from the motors to the microphones."""
        config = self._config
        distance = np.linalg.norm(microphones - np.array(config.position), axis=1)
        delay = (distance - distance.min()) / SPEED_OF_SOUND * self._rate
        taps = np.arange(_AIR_TAPS) - _AIR_TAPS // 4
        air = np.sinc(taps - delay[:, None]) * np.hanning(_AIR_TAPS + 2)[1:-1]
        air *= (distance.min() / distance)[:, None]
        ringing = np.exp(-np.arange(_BODY_TAPS) / (_BODY_TAPS / 6))
        body = self._random.normal(size=(len(microphones), _BODY_TAPS)) * ringing
        low = butter(2, 2500, fs=self._rate, output='sos')
        body = sosfilt(low, body, axis=1)
        responses = np.sqrt(1 - config.air_share) * _unit_energy(body)
        responses[:, :_AIR_TAPS] += np.sqrt(config.air_share) * _unit_energy(air)
        return responses * config.level / self._dry_level()

    def _dry_level(self) -> float:
        """Root mean square of one motor at `loud_rate`."""
        tones = np.sum(self._tone_levels**2, axis=1) / 2
        impulse = np.zeros(4096)
        impulse[0] = 1.0
        rush = 1.5**2 * np.sum(sosfilt(self._rush_filter, impulse) ** 2) * (1 + 0.4**2 / 2)
        return float(np.sqrt(tones.mean() + rush))


def _unit_energy(responses: np.ndarray) -> np.ndarray:
    """Scale responses (channels, taps) together to a mean energy of one."""
    return responses / np.sqrt(np.mean(np.sum(responses**2, axis=1)))
