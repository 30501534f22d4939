# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The classic gain: the least error of the log spectrum, with a decision-directed SNR.

Ephraim and Malah, "Speech enhancement using a minimum mean-square error log-spectral amplitude
estimator", IEEE Trans. ASSP 33(2), 1985. With the noise N of `noise_tracking`, gamma = |x|^2 / N,

    xi = a G'^2 gamma' + (1 - a) max(gamma - 1, 0),     (' of the frame before)
    G = xi / (1 + xi) exp(E1(gamma xi / (1 + xi)) / 2).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import exp1

from av_perception.enhancement.noise_tracking import NoiseTracker, NoiseTrackingConfig
from av_perception.spectral.transform import ShortTimeFourier

RATE = 16000  # [Hz]
_MOST_SNR = 1e6  # beyond which the gain is one
# exp(E1(v) / 2) over log v: interpolation takes a hundredth of the time of the integral.
_LOG_PLACES = np.linspace(np.log(1e-8), np.log(30.0), 4000)
_LOG_STEP = float(_LOG_PLACES[1] - _LOG_PLACES[0])
_FACTORS = np.exp(0.5 * exp1(np.exp(_LOG_PLACES)))
_RISES = np.append(np.diff(_FACTORS), 0.0)  # to the next place; the last stays


@dataclass(frozen=True)
class LsaConfig:
    """Windows, smoothing, and how much noise is left."""

    #: Windows of 32 ms every 16 ms: twice as many cost twice as much and are no better.
    transform: ShortTimeFourier = field(
        default_factory=lambda: ShortTimeFourier(size=512, hop=256, shape='sqrt_hann')
    )
    #: How the noise is followed.
    noise: NoiseTrackingConfig = field(default_factory=NoiseTrackingConfig)
    #: Weight a of the frame before in the a-priori SNR, 0..1 (1 excluded).
    snr_memory: float = 0.9
    #: Least a-priori SNR [dB].
    least_snr_db: float = -25.0
    #: Least gain [dB], at most 0: what is left of noise sounds natural.
    least_gain_db: float = -14.0

    def __post_init__(self):
        if not 0 <= self.snr_memory < 1:
            raise ValueError(f'snr_memory must lie in 0..1, not {self.snr_memory}')
        if not np.isfinite(self.least_snr_db):
            raise ValueError(f'least_snr_db must be a number, not {self.least_snr_db}')
        if not self.least_gain_db <= 0:
            raise ValueError(f'least_gain_db must not be positive, but is {self.least_gain_db}')


def log_spectral_gain(snr: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Gain of least mean-square error of the log amplitude (Ephraim and Malah 1985, equation 20).

    Parameters
    ----------
    snr
        (...) a-priori SNR xi, positive.
    ratio
        (...) a-posteriori SNR gamma, not negative.

    Returns
    -------
    np.ndarray
        (...) positive; above 1 where a bin is weaker than is plausible.
    """
    share = snr / (1 + snr)
    # (E1 is infinite at 0, where the gain is limited anyhow)
    place = (np.log(np.maximum(share * ratio, 1e-8)) - float(_LOG_PLACES[0])) / _LOG_STEP
    place = np.clip(place, 0.0, len(_FACTORS) - 1.0)
    before = place.astype(int)
    factor = _FACTORS[before] + (place - before) * _RISES[before]
    return share * factor.astype(share.dtype)


class LsaGain:
    """Gains frame by frame; a whole recording gets what a stream gets.

    Parameters
    ----------
    config
        See `LsaConfig`.
    """

    def __init__(self, config: LsaConfig | None = None):
        self._config = config or LsaConfig()
        self._tracker = NoiseTracker(self._config.transform.hop / RATE, self._config.noise)
        self._least_snr = 10 ** (0.1 * self._config.least_snr_db)
        self._least_gain = 10 ** (0.05 * self._config.least_gain_db)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self._tracker.reset()
        self._clean: np.ndarray | None = None  # power of speech in the frame before

    def update(self, power: np.ndarray, more_noise: np.ndarray | None = None) -> np.ndarray:
        """Gains of the next frames.

        Parameters
        ----------
        power
            (T, ..., F) of the sound, finite.
        more_noise
            (T, ..., F) power that is known to be noise, at least; None: nothing is known.

        Returns
        -------
        np.ndarray
            (T, ..., F) between the least gain and 1.
        """
        return self.update_with_noise(power, more_noise)[0]

    def update_with_noise(
        self,
        power: np.ndarray,
        more_noise: np.ndarray | None = None,
        presence: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `update`; gives gains and noise, (T, ..., F) each.

        `presence`: (T, ..., F) probability of speech before it is heard; None: a half.
        """
        gains = np.empty_like(power)
        noises = np.empty_like(power)
        for frame, row in enumerate(power):
            noise = self._tracker.update(row, None if presence is None else presence[frame])
            if more_noise is not None:
                noise = np.maximum(noise, more_noise[frame])
            gains[frame] = self._gain(row, noise)
            noises[frame] = noise
        return gains, noises

    def _gain(self, power: np.ndarray, noise: np.ndarray) -> np.ndarray:
        ratio = np.minimum(power / noise, _MOST_SNR)
        fresh = np.maximum(ratio - 1, 0)
        memory = self._config.snr_memory
        before = fresh if self._clean is None else np.minimum(self._clean / noise, _MOST_SNR)
        snr = np.maximum(memory * before + (1 - memory) * fresh, self._least_snr)
        gain = np.clip(log_spectral_gain(snr, ratio), self._least_gain, 1.0)
        self._clean = gain**2 * power
        return gain
