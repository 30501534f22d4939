# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How the voice of each person is spread over the frequencies, learnt while they speak.

Where two people speak at once and directions tell little, a bin is likelier that of the person
whose voice is strong at its frequency. With the masks' shares r_n of the power |x|^2 and the
activity a_n, the long-term spectrum of person n follows

    V_n  <-  V_n + l a_n (r_n |x|^2 - V_n),

which stands still while they are silent. Only its shape counts: who is louder as a whole is not
favored. Whoever is new has the spectrum of all that was heard so far, which favors nobody.
"""

from __future__ import annotations

import numpy as np

_LEAST = 0.02  # of the strongest at a frequency: nobody is ruled out by a spectrum
_TINY = 1e-20  # power of a bin [1], far below any microphone's


class VoiceSpectra:
    """Recursive over groups of frames.

    Parameters
    ----------
    memory
        Frames of speech over which a spectrum is learnt, positive.
    weight
        Exponent of the spectra's ratio, not negative; 0: they do not count.
    """

    def __init__(self, memory: float, weight: float):
        self._memory = memory
        self._weight = weight
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._learnt = 0.0  # of the group that was asked about
        self._all: np.ndarray | None = None  # (K,) of whatever was heard
        self._people: dict[int, np.ndarray] = {}  # (K,) by id

    def favor(self, ids: tuple[int, ...], loudness: np.ndarray, frames: int) -> np.ndarray:
        """Tell how much likelier than others each person is at each frequency.

        Parameters
        ----------
        ids
            J people; the others are forgotten.
        loudness, frames
            (K,) mean power of the group that comes, and its length.

        Returns
        -------
        np.ndarray
            (J, K) float32, at most 1, up to a factor of each frequency.
        """
        self._learnt = 1.0 - float(np.exp(-frames / self._memory))
        if self._all is None:
            self._all = loudness + _TINY
        else:
            self._all = self._all + self._learnt * (loudness - self._all)
        self._people = {i: self._people.get(i, self._all) for i in ids}
        spectra = np.stack(list(self._people.values()))
        shape = spectra / spectra.sum(axis=1, keepdims=True)
        relative = np.maximum(shape / shape.max(axis=0), _LEAST)
        return (relative**self._weight).astype(np.float32)

    def learn(self, owned: np.ndarray, active: np.ndarray) -> None:
        """Learn from the group whose people were asked for.

        Parameters
        ----------
        owned
            (J, K) mean power of each person's share of the bins.
        active
            (J,) probability of speaking.
        """
        before = list(self._people.items())
        for (key, spectrum), own, speaks in zip(before, owned, active, strict=True):
            self._people[key] = spectrum + self._learnt * speaks * (own - spectrum)
