# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A prior of speech with a memory, a few frames at a time.

The decoder's memory and the encoder's memory of latents go on from block to block. What the
encoder looks ahead for comes with the block: a few frames, since its backward memory forgets soon.
"""

from __future__ import annotations

import numpy as np

from av_perception.dvae.spectra import log_powers
from av_perception.dvae.speech_prior import SpeechPrior as DynamicalPrior


class PriorMemory:
    """Goes through a stream once.

    Parameters
    ----------
    prior
        A dynamical model whose decoder is causal.
    """

    def __init__(self, prior: DynamicalPrior):
        self._model = prior.model
        self._floor = prior.floor
        like = np.zeros(self._model.config.data_dim, np.float32)
        self._state = self._model.start(like)

    def variance(self, heard: np.ndarray, count: int) -> np.ndarray:
        """Variance of speech in the next frames, at the mean of their latents.

        Parameters
        ----------
        heard
            (T, F) power that the encoder is fed with: the next frames and those after them.
        count
            How many of them are next.

        Returns
        -------
        np.ndarray
            (count, F).
        """
        model = self._model
        evidence = model.evidence(log_powers(heard, self._floor))
        found = []
        for row in evidence[:count]:
            latents = model.encode_step(self._state, row).mean
            found.append(model.decode_step(self._state, latents))
            self._state = model.advance(self._state, latents, found[-1])
        return np.exp(np.stack(found))
