# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The classic gain on a live voice."""

from __future__ import annotations

import numpy as np

from av_perception.enhancement.heard_voice import HeardFrames, HeardVoice
from av_perception.enhancement.lsa import LsaConfig
from av_perception.spectral.transform import StreamingSynthesis


class LsaStream:
    """Samples in, samples out, cut anyhow: sample n comes out as sample n, a window later.

    Parameters
    ----------
    config
        See `LsaConfig`.
    """

    def __init__(self, config: LsaConfig | None = None):
        config = config or LsaConfig()
        self._voice = HeardVoice(config)
        self._synthesis = StreamingSynthesis(config.transform, 1)

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples, as `HeardVoice`; gives those (N,) that became complete."""
        return self._enhanced(self._voice.push(samples))

    def finish(self) -> np.ndarray:
        """End the stream: gives the last samples, and some silence after them."""
        return self._enhanced(self._voice.finish())

    def _enhanced(self, heard: HeardFrames) -> np.ndarray:
        return self._synthesis.push((heard.gain * heard.spectra)[..., None])[:, 0]
