# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Windows of the short-time Fourier transform, all periodic in `size` samples.

A periodic Hann window that is shifted by a whole fraction of its size (but itself) adds up to a
constant, and so does the square of its root. Source: Griffin and Lim, "Signal estimation from
modified short-time Fourier transform", IEEE Trans. ASSP 32(2), 1984.
"""

from __future__ import annotations

import numpy as np


def hann(size: int) -> np.ndarray:
    """(size,) `(1 - cos(2 pi n / size)) / 2`."""
    return np.hanning(size + 1)[:-1]


def sqrt_hann(size: int) -> np.ndarray:
    """(size,) `sin(pi n / size)`, the root of `hann`: for analysis and synthesis alike."""
    return np.sin(np.pi * np.arange(size) / size)


def sine(size: int) -> np.ndarray:
    """(size,) `sin(pi (n + 1/2) / size)`: symmetric, nowhere zero; its squares add up, too."""
    return np.sin(np.pi * (np.arange(size) + 0.5) / size)


def overlap_sum(window: np.ndarray, hop: int) -> np.ndarray:
    """Sum of the window and of all its shifts by whole hops, which is periodic.

    Parameters
    ----------
    window
        (size,).
    hop
        [samples].

    Returns
    -------
    np.ndarray
        (hop,) `sum_k window[n + k hop]`.
    """
    padded = np.zeros(-(-len(window) // hop) * hop)
    padded[: len(window)] = window
    return padded.reshape(-1, hop).sum(axis=0)


def adds_up(window: np.ndarray, hop: int, tolerance: float = 1e-12) -> bool:
    """Whether shifts of the window add up to a constant (COLA).

    Parameters
    ----------
    window
        (size,), for a pair of windows the product of the two.
    hop
        [samples].
    tolerance
        Largest deviation from the mean, in units of the mean.

    Returns
    -------
    bool
        True if the sum is constant and not zero.
    """
    total = overlap_sum(window, hop)
    mean = total.mean()
    return bool(mean != 0 and np.abs(total - mean).max() <= tolerance * abs(mean))


def synthesis_window(analysis: np.ndarray, hop: int) -> np.ndarray:
    """Window whose overlap-add undoes an analysis, optimal in least squares for changed spectra.

        s[n] = a[n] / sum_k a[n + k hop]^2          (Griffin and Lim 1984, equation 6)

    Parameters
    ----------
    analysis
        (size,) a.
    hop
        [samples], at most size.

    Returns
    -------
    np.ndarray
        (size,) s; `analysis * s` adds up to one.

    Raises
    ------
    ValueError
        When the windows leave out a sample, so that nothing can bring it back.
    """
    power = overlap_sum(analysis**2, hop)
    if not power.min() > 1e-8 * power.max():
        raise ValueError(
            f'windows of {len(analysis)} samples at a hop of {hop} leave samples out: '
            'shorten the hop'
        )
    return analysis / np.resize(power, len(analysis))
