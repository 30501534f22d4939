# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Derivatives of a memory in the input of the same step, for second-order steps on latents."""

from __future__ import annotations

import numpy as np

from av_perception.dvae.backend import NUMPY, LstmWeights, lstm_gates


def lstm_with_slopes(
    x: np.ndarray, weights: LstmWeights, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Run a memory; differentiate its outputs in the input of the same step.

    Parameters
    ----------
    x
        (T, I).
    weights
        Of the memory.
    count
        Derivatives are taken in the last L of the inputs.

    Returns
    -------
    tuple of np.ndarray
        (T, H) and (T, H, L).
    """
    pre = x @ weights.input.T + weights.bias
    output = np.zeros_like(pre[0, : weights.size])
    cell = output
    outputs = []
    cells = [cell]
    for row in pre:
        row += output @ weights.recurrent.T
        output, cell = lstm_gates(NUMPY, row, cell)
        outputs.append(output)
        cells.append(cell)
    return np.array(outputs), _slopes(pre, np.array(cells), weights.input[:, -count:])


def _slopes(pre: np.ndarray, cells: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """(T, H, L) of gates (T, 4 H), cells (T + 1, H) and the inputs' weights (4 H, L)."""
    write, keep, candidate, show = np.split(pre, 4, axis=1)
    write, keep, show = (NUMPY.sigmoid(one) for one in (write, keep, show))
    candidate = np.tanh(candidate)
    squashed = np.tanh(cells[1:])
    # through the cell: input, forget and candidate gate; then the output gate
    to_cell = show * (1 - squashed**2)
    factors = [
        to_cell * candidate * write * (1 - write),
        to_cell * cells[:-1] * keep * (1 - keep),
        to_cell * write * (1 - candidate**2),
        squashed * show * (1 - show),
    ]
    parts = zip(factors, np.split(inputs, 4))
    return np.sum([factor[:, :, None] * part for factor, part in parts], axis=0)
