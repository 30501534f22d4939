# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Power of the noise under speech, followed by the probability that speech is present.

Gerkmann and Hendriks, "Unbiased MMSE-based noise power estimation with low complexity and low
tracking delay", IEEE Trans. ASLP 20(4), 2012: with a fixed a-priori SNR xi of speech where it is,

    P = 1 / (1 + (1 - q) / q (1 + xi) exp(-|x|^2 / N * xi / (1 + xi))),
    N <- a N + (1 - a) (P N + (1 - P) |x|^2),

with the probability q that speech is present before the frame is heard: a half where nothing else
is known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Power below everything that a sound card delivers: divisors stay positive.
LEAST_POWER = 1e-12
#: Frames whose mean is the first estimate.
FIRST_FRAMES = 5
_STUCK = 0.99
_LEAST_CHANCE = 1e-3  # nobody is sure of a bin


@dataclass(frozen=True)
class NoiseTrackingConfig:
    """How fast noise may change."""

    #: A-priori SNR of speech where it is present [dB].
    speech_snr_db: float = 15.0
    #: Time over which the noise is averaged [s], positive.
    smoothing_s: float = 0.072
    #: Time over which the presence of speech is averaged, to see that it never ends [s], positive.
    presence_smoothing_s: float = 0.15

    def __post_init__(self):
        if not np.isfinite(self.speech_snr_db):
            raise ValueError(f'speech_snr_db must be a number, not {self.speech_snr_db}')
        for name in ('smoothing_s', 'presence_smoothing_s'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')


class NoiseTracker:
    """Recursive over frames; bins and channels are all alike.

    Parameters
    ----------
    hop_s
        From one frame to the next [s].
    config
        See `NoiseTrackingConfig`.
    """

    def __init__(self, hop_s: float, config: NoiseTrackingConfig | None = None):
        config = config or NoiseTrackingConfig()
        snr = 10 ** (0.1 * config.speech_snr_db)
        self._odds = 1 + snr
        self._share = snr / (1 + snr)
        self._keep = float(np.exp(-hop_s / config.smoothing_s))
        self._keep_presence = float(np.exp(-hop_s / config.presence_smoothing_s))
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._count = 0
        self._noise: np.ndarray | None = None
        self._presence: np.ndarray | None = None

    def update(self, power: np.ndarray, presence: np.ndarray | None = None) -> np.ndarray:
        """Take the next frame.

        Parameters
        ----------
        power
            (..., F) of the sound, finite.
        presence
            (..., F) probability of speech before the frame is heard, 0..1; None: a half.

        Returns
        -------
        np.ndarray
            (..., F) power of the noise, positive.
        """
        if self._noise is None or self._presence is None:
            self._noise = np.maximum(power, LEAST_POWER)
            self._presence = np.full_like(self._noise, 0.5)
        self._count += 1
        if self._count <= FIRST_FRAMES:
            # Nothing is known yet: the mean of the first frames.
            self._noise = self._noise + (power - self._noise) / self._count
            self._noise = np.maximum(self._noise, LEAST_POWER)
            return self._noise
        odds = self._odds
        if presence is not None:
            chance = np.clip(presence, _LEAST_CHANCE, 1 - _LEAST_CHANCE)
            odds = odds * (1 - chance) / chance
        present = 1 / (1 + odds * np.exp(-self._share * power / self._noise))
        self._presence += (1 - self._keep_presence) * (present - self._presence)
        # Speech that never ends is noise that grew.
        present = np.where(self._presence > _STUCK, np.minimum(present, _STUCK), present)
        expected = present * self._noise + (1 - present) * power
        noise = self._keep * self._noise + (1 - self._keep) * expected
        self._noise = np.maximum(noise, LEAST_POWER)
        return self._noise


def track_noise(
    power: np.ndarray, hop_s: float, config: NoiseTrackingConfig | None = None
) -> np.ndarray:
    """Noise (T, ..., F) under the frames of a whole recording, from its past alone.

    Parameters
    ----------
    power
        (T, ..., F) of the sound, finite.
    hop_s, config
        As for `NoiseTracker`.

    Returns
    -------
    np.ndarray
        (T, ..., F) positive.
    """
    tracker = NoiseTracker(hop_s, config)
    noise = np.empty_like(power)
    for frame, row in enumerate(power):
        noise[frame] = tracker.update(row)
    return noise
