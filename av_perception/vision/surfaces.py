# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which surfaces a patch of a stereo pair shows: one face, or a face and what covers it.

The patch is cut into cells, and each is correlated (NCC, rho) at every disparity. With the gain,
the offset and the noise of a cell unknown, the likelihood of N pixels at a disparity is
(1 - rho^2)^(-N/2): the log evidence

    E_c(d) = -kappa N_c / 2 log(1 - max(rho_c(d), 0)^2),

in which kappa < 1 allows for neighboring pixels that are no independent observations. One surface
explains the patch by max_d sum_c E_c(d), two by max_{d, d'} sum_c max(E_c(d), E_c(d')).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_CELL_PX = (8, 10)  # wished width and height of a cell
_MOST_CELLS = (4, 3)  # across and down
_LEAST_VARIANCE = 1.0  # [gray levels squared] of a cell that can be correlated
_LEAST_CURVATURE = 1e-3  # of a cell's correlation at its peak
_NOISE_FACTOR = 3.0  # times the variance of a cell's disparity is what noise may do
_KAPPA = 0.25  # independent observations per pixel
_HIGHEST_CORRELATION = 0.98  # that counts: noise and sub-pixel shifts leave no more


@dataclass(frozen=True)
class Cells:
    """Correlations of the C cells of a patch at D disparities.

    Attributes
    ----------
    correlation
        (C, D) of each cell.
    pixels
        (C,) of the patch in each cell.
    """

    correlation: np.ndarray
    pixels: np.ndarray

    def evidence(self) -> np.ndarray:
        """(C, D) log evidence of each disparity [nat] (see the module's text)."""
        rho = np.clip(self.correlation, 0.0, _HIGHEST_CORRELATION)
        return -0.5 * _KAPPA * self.pixels[:, None] * np.log1p(-(rho**2))

    def spread(self, column: float, reach: int, chosen: np.ndarray) -> float:
        """How far the disparities of single cells lie from that of all, beyond their noise.

        Parameters
        ----------
        column
            Of the disparity of all.
        reach
            Columns beside it in which the cells' own peaks are searched for.
        chosen
            (C,) bool, which cells count.

        Returns
        -------
        float
            Mean squared distance [px^2], weighted by the evidence of the cells' peaks.
        """
        first = max(round(column) - reach, 1)
        last = min(round(column) + reach + 1, self.correlation.shape[1] - 1)
        if last <= first or not chosen.any():
            return 0.0
        correlation = self.correlation[chosen]
        peak = first + np.argmax(correlation[:, first:last], axis=1)
        rows = np.arange(len(peak))
        before, middle, after = (correlation[rows, peak + step] for step in (-1, 0, 1))
        curvature = np.maximum(2 * middle - before - after, _LEAST_CURVATURE)
        place = peak + np.clip((after - before) / (2 * curvature), -0.5, 0.5)
        ratio = np.maximum(1 - middle, 0.0) / curvature
        noise = (2 * ratio + ratio**2 / 2) / self.pixels[chosen]
        weight = self.evidence()[chosen][rows, peak]
        beyond = (place - column) ** 2 - _NOISE_FACTOR * noise
        return max(float(weight @ beyond / max(weight.sum(), 1e-9)), 0.0)


def correlate_cells(template: np.ndarray, band: np.ndarray) -> Cells:
    """Correlate the cells of a patch along its rows.

    Parameters
    ----------
    template
        (h, w) uint8.
    band
        (h, w + D - 1) uint8 of the same rows of the other image.

    Returns
    -------
    Cells
        Column d: the patch against band[:, d : d + w].
    """
    lags = band.shape[1] - template.shape[1] + 1
    tops = _edges(template.shape[0], _CELL_PX[1], _MOST_CELLS[1])
    sides = _edges(template.shape[1], _CELL_PX[0], _MOST_CELLS[0])
    # Centered about the patch's mean: single precision then suffices.
    mean = float(template.mean())
    left = template.astype(np.float32) - mean
    right = band.astype(np.float32) - mean
    joint = np.stack(
        [
            _diagonals(left[top:bottom].T @ right[top:bottom], lags)
            for top, bottom in zip(tops[:-1], tops[1:])
        ]
    )
    pixels = np.outer(np.diff(tops), np.diff(sides)).reshape(-1)
    products = np.add.reduceat(joint, sides[:-1], axis=1).reshape(-1, lags) / pixels[:, None]
    mean_left, variance_left = _moments(left, tops, sides, 1)
    mean_right, variance_right = _moments(right, tops, sides, lags)
    variance = variance_left * variance_right
    good = (variance_left > _LEAST_VARIANCE) & (variance_right > _LEAST_VARIANCE)
    covariance = products - mean_left * mean_right
    correlation = np.where(good, covariance / np.sqrt(np.where(good, variance, 1.0)), 0.0)
    return Cells(correlation, pixels)


def _edges(length: int, wished: int, most: int) -> np.ndarray:
    """Borders of the cells along a side of the patch, in pixels."""
    count = min(max(length // wished, 1), most)
    return np.array([round(length * k / count) for k in range(count + 1)])


def _diagonals(matrix: np.ndarray, lags: int) -> np.ndarray:
    """(w, lags) elements [x, x + d] of a (w, w + lags - 1) matrix."""
    row, column = matrix.strides
    shape = (len(matrix), lags)
    return np.lib.stride_tricks.as_strided(matrix, shape, (row + column, column), writeable=False)


def _moments(
    image: np.ndarray, tops: np.ndarray, sides: np.ndarray, lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """(C, lags) mean and variance of the cells, moved by 0 to lags - 1 columns."""
    both = np.stack([image, image**2])
    rows = np.add.reduceat(both, tops[:-1], axis=1).astype(np.float64)
    running = np.zeros((*rows.shape[:2], rows.shape[2] + 1))
    np.cumsum(rows, axis=2, out=running[..., 1:])
    at_edges = running[..., sides[:, None] + np.arange(lags)]
    pixels = np.diff(tops)[:, None, None] * np.diff(sides)[:, None]
    sums = np.diff(at_edges, axis=2) / pixels
    mean, square = sums.reshape(2, -1, lags)
    return mean, square - mean**2


@dataclass(frozen=True)
class Surfaces:
    """The farther and the nearer surface of a patch, and which cells show them.

    Attributes
    ----------
    far, near
        Columns of the correlation (that of the nearer one is the smaller).
    shows_far
        (C,) bool, cells that are the farther surface's.
    gain
        [nat] by which two surfaces explain the patch better than the best single one.
    """

    far: int
    near: int
    shows_far: np.ndarray
    gain: float


def two_surfaces(evidence: np.ndarray, relief: int, near: int | None = None) -> Surfaces | None:
    """Find the two surfaces that explain a patch best.

    Parameters
    ----------
    evidence
        (C, D) of the cells; the disparity falls from column to column.
    relief
        Columns by which the disparities of one face's cells may differ.
    near
        Column of the nearer surface where it is known.

    Returns
    -------
    Surfaces or None
        None when there is no room for two.
    """
    blurred = _best_nearby(evidence, relief)
    columns = np.arange(evidence.shape[1])
    nears = columns if near is None else np.array([near])
    # (D', D) evidence of a nearer surface at one column and a farther one at another.
    both = np.maximum(blurred[:, nears, None], blurred[:, None, :]).sum(axis=0)
    apart = columns[None] - nears[:, None] > 2 * relief
    if not apart.any():
        return None
    both = np.where(apart, both, -np.inf)
    row, far = np.unravel_index(np.argmax(both), both.shape)
    near_column = int(nears[row])
    shows_far = blurred[:, far] > blurred[:, near_column]
    gain = float(both[row, far] - blurred.sum(axis=0).max())
    return Surfaces(int(far), near_column, shows_far, gain)


def _best_nearby(evidence: np.ndarray, reach: int) -> np.ndarray:
    """(C, D) highest evidence within `reach` columns."""
    padded = np.pad(evidence, ((0, 0), (reach, reach)), 'edge')
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1).max(axis=2)
