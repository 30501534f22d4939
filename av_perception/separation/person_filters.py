# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Multichannel Wiener filters of people, from whose each bin is: a voice through all microphones.

The spatial covariances R_j of what each person gives the microphones are averages of x x^H,
weighted by the person's masks and forgotten over time; what no mask claims is noise. The image of
a person at the reference microphone u is then

    y_j = u^T R_j (sum_i R_i + noise)^-1 x           (Duong, Vincent and Gribonval 2010).

Filters change slowly, so that less sounds torn than behind masks, and more of the others is left.
"""

from __future__ import annotations

import numpy as np

_LOADING = 1e-6  # of the mean power of a microphone, so that silence can be inverted
_TINY = 1e-20


class PersonFilters:
    """Recursive over the frames of one array.

    Parameters
    ----------
    hop_s
        From one frame to the next [s].
    memory_s
        Time over which covariances are forgotten [s].
    """

    def __init__(self, hop_s: float, memory_s: float):
        if not memory_s > 0:
            raise ValueError(f'memory_s must be positive, not {memory_s}')
        self._keep = float(np.exp(-hop_s / memory_s))
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        # (F, M, M) each: of everybody by id, of what nobody claims.
        self._people: dict[int, np.ndarray] = {}
        self._noise: np.ndarray | None = None

    def update(
        self,
        spectra: np.ndarray,
        masks: np.ndarray,
        ids: tuple[int, ...],
        references: np.ndarray,
    ) -> np.ndarray:
        """Take the next frames.

        Parameters
        ----------
        spectra
            (T, F, M).
        masks
            (J, T, F) of the people.
        ids
            J of them.
        references
            (J,) indices of the microphones at which their images are wanted.

        Returns
        -------
        np.ndarray
            (J, T, F) complex128 spectra of the images.
        """
        spectra = spectra.astype(np.complex128)
        fading = self._keep ** np.arange(len(spectra))[::-1]  # (T,) the last frame counts fully
        unclaimed = np.maximum(1.0 - masks.sum(axis=0, keepdims=True), 0.0)
        weights = np.concatenate([masks, unclaimed]) * fading[:, None]  # (J + 1, T, F)
        frames = spectra.transpose(1, 2, 0)  # (F, M, T)
        weighted = weights.transpose(0, 2, 1)[:, :, None] * frames  # (J + 1, F, M, T)
        new = weighted @ frames.conj().swapaxes(1, 2)
        past = self._keep ** len(spectra)
        before = [self._people.get(i, 0.0) for i in ids]
        before.append(0.0 if self._noise is None else self._noise)
        covariances = np.stack([past * old + one for old, one in zip(before, new, strict=True)])
        self._people = dict(zip(ids, covariances, strict=False))
        self._noise = covariances[-1]
        return _images(covariances, frames, references)


def _images(covariances: np.ndarray, frames: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(J, T, F) images at (J,) microphones; covariances: (J + 1, F, M, M), the last of noise."""
    total = covariances.sum(axis=0)
    size = total.shape[-1]
    power = np.trace(total, axis1=1, axis2=2).real / size
    loaded = total + (_LOADING * power + _TINY)[:, None, None] * np.eye(size)
    people = np.arange(len(references))
    wanted = covariances[people, :, :, references].transpose(1, 2, 0)  # (F, M, J)
    filters = np.linalg.solve(loaded, wanted)
    return (filters.conj().swapaxes(1, 2) @ frames).transpose(1, 2, 0)  # (J, T, F)
