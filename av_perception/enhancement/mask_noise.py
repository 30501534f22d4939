# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What masks say of the noise in a voice that they took out of the sound of a microphone.

The power of a bin of the voice over that of the microphone is the square of the mask, m^2. It is
the probability that the bin is the person's, before its own power is heard (`NoiseTracker`). Two
powers are noise that is known (`LsaGain`): what surrounds everybody is followed at the microphone,
where it goes on through all pauses and does not come and go with a mask, and is as much weaker in
the voice as the mask makes it; and where the mask has almost closed, all that is left is another's
or nobody's.

Somebody talks at the microphone nearly all the time, perhaps from the first sample on. So what is
followed there (A) may fall at once, but rises slowly:

    N <- A + (N - A) exp(-hop / (fall where A < N, rise elsewhere)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.enhancement.noise_tracking import FIRST_FRAMES, LEAST_POWER, NoiseTracker

_EVERY = 2  # frames, of which one tells enough of what rises slowly


@dataclass(frozen=True)
class MaskNoiseConfig:
    """How noise is followed at the microphone, and which masks have closed."""

    #: Time over which what surrounds everybody may fall [s], positive.
    fall_s: float = 0.1
    #: Time over which it may rise [s], positive.
    rise_s: float = 4.0
    #: A mask below this has closed, 0..1; the least masks are a tenth.
    closed: float = 0.12

    def __post_init__(self):
        for name in ('fall_s', 'rise_s'):
            if not getattr(self, name) > 0:
                raise ValueError(f'{name} must be positive, not {getattr(self, name)}')
        if not 0 <= self.closed <= 1:
            raise ValueError(f'closed must lie in 0..1, not {self.closed}')


class MaskNoise:
    """Recursive over the frames of a voice and of its microphone.

    Parameters
    ----------
    hop_s
        From one frame to the next [s].
    config
        See `MaskNoiseConfig`.
    """

    def __init__(self, hop_s: float, config: MaskNoiseConfig | None = None):
        config = config or MaskNoiseConfig()
        step_s = _EVERY * hop_s
        self._tracker = NoiseTracker(step_s)
        self._keep_falling = float(np.exp(-step_s / config.fall_s))
        self._keep_rising = float(np.exp(-step_s / config.rise_s))
        self._closed = config.closed**2
        self._around: np.ndarray | None = None
        self._count = 0

    def update(self, power: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take the next frames.

        Parameters
        ----------
        power, around
            (T, F) of the voice and of the microphone, finite.

        Returns
        -------
        noise
            (T, F) power of the voice that is known to be noise, at least.
        presence
            (T, F) probability that the person is heard, 0..1.
        """
        presence = np.minimum(power / np.maximum(around, LEAST_POWER), 1.0)
        noise = np.empty_like(power)
        for frame, row in enumerate(around):
            noise[frame] = self._follow(row)
        noise *= presence
        return np.where(presence < self._closed, np.maximum(noise, power), noise), presence

    def _follow(self, power: np.ndarray) -> np.ndarray:
        """(F,) what surrounds everybody, after the next frame of the microphone."""
        count = self._count
        self._count += 1
        if self._around is None:
            self._around = self._tracker.update(power)
        elif count < FIRST_FRAMES or count % _EVERY == 0:
            found = self._tracker.update(power)
            keep = np.where(found < self._around, self._keep_falling, self._keep_rising)
            self._around = found + (self._around - found) * keep
        return self._around
