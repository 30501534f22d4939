# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The few operations that models are written in, and their form in NumPy.

Models know arrays by these operations, `+ - *` and indexing alone. So the same lines run in NumPy
on a robot, give gradients by `gradient_backend.py`, and train in PyTorch
(`training/torch_backend.py`). Features are on the last axis, time, where there is any, on the
first; whatever lies between is a batch.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

#: of one backend: np.ndarray, gradient_backend.Traced or torch.Tensor
Array = Any


class Backend(Protocol):
    """What models need of a library of arrays."""

    def dense(self, x: Array, weight: Array, bias: Array | None = None) -> Array:
        """(..., O) `W x + b` of (..., I), with (O, I) and (O,)."""

    def tanh(self, x: Array) -> Array:
        """Hyperbolic tangent."""

    def sigmoid(self, x: Array) -> Array:
        """`1 / (1 + exp(-x))`."""

    def exp(self, x: Array) -> Array:
        """Exponential."""

    def softmax(self, x: Array) -> Array:
        """Positive numbers that sum to one over the last axis."""

    def clip(self, x: Array, low: float, high: float) -> Array:
        """Limit to low..high."""

    def concatenate(self, parts: list[Array]) -> Array:
        """Join along the last axis."""

    def stack(self, rows: list[Array]) -> Array:
        """Join along a new first axis: time."""

    def reverse(self, x: Array) -> Array:
        """Turn time, the first axis, around."""

    def delay(self, x: Array) -> Array:
        """Shift time by one: the row before, zeros first."""

    def sum_last(self, x: Array) -> Array:
        """Sum over the last axis."""

    def repeat(self, x: Array, count: int) -> Array:
        """(count, ...) the same at all times."""

    def zeros_like(self, x: Array, size: int) -> Array:
        """(..., size) zeros, where x is (..., I)."""

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Give another shape to as many numbers."""

    def matmul(self, left: Array, right: Array) -> Array:
        """Products of matrices on the last two axes."""

    def transpose(self, x: Array) -> Array:
        """Exchange the last two axes."""

    def eye(self, like: Array, size: int) -> Array:
        """(D, D) ones on the diagonal, of the type of another array."""

    def inverse(self, x: Array) -> Array:
        """Inverses of matrices on the last two axes."""

    def log_determinant(self, x: Array) -> Array:
        """(...) logarithms of the determinants, positive, of (..., D, D)."""

    def lstm_step(self, x: Array, memory: tuple, weights: LstmWeights) -> tuple[Array, Array]:
        """Output and cell (..., H) after one more input (..., I), of those before."""

    def lstm(self, x: Array, weights: LstmWeights) -> Array:
        """(T, ..., H) outputs of a memory that starts empty and takes (T, ..., I)."""


class LstmWeights:
    """One long short-term memory, gates in the order input, forget, cell, output.

    input: (4 H, I); recurrent: (4 H, H); bias: (4 H,).
    """

    def __init__(self, input: Array, recurrent: Array, bias: Array):
        self.input = input
        self.recurrent = recurrent
        self.bias = bias

    @property
    def size(self) -> int:
        """H."""
        return self.recurrent.shape[1]


def lstm_step(ops: Backend, x: Array, memory: tuple, weights: LstmWeights) -> tuple[Array, Array]:
    """Advance a memory by one step (Hochreiter and Schmidhuber 1997, with forget gates).

    Parameters
    ----------
    ops
        Operations on the arrays.
    x
        (..., I).
    memory
        Output and cell before, (..., H) each.
    weights
        Of the memory.

    Returns
    -------
    tuple of array
        Output and cell, (..., H) each.
    """
    pre = ops.dense(x, weights.input, weights.bias)
    return lstm_gates(ops, pre + ops.dense(memory[0], weights.recurrent), memory[1])


def lstm_gates(ops: Backend, pre: Array, cell: Array) -> tuple[Array, Array]:
    """Output and cell of what the gates sum up, (..., 4 H), and the cell before."""
    size = cell.shape[-1]
    keep = ops.sigmoid(pre[..., size : 2 * size])
    write = ops.sigmoid(pre[..., :size]) * ops.tanh(pre[..., 2 * size : 3 * size])
    cell = keep * cell + write
    return ops.sigmoid(pre[..., 3 * size :]) * ops.tanh(cell), cell


class NumpyBackend:
    """Operations on NumPy arrays; types stay what they are, float32 on a robot."""

    def dense(self, x, weight, bias=None):
        """See `Backend`."""
        product = x @ weight.T
        return product if bias is None else product + bias

    def tanh(self, x):
        """See `Backend`."""
        return np.tanh(x)

    def sigmoid(self, x):
        """See `Backend`; by tanh, which cannot overflow."""
        return 0.5 * np.tanh(0.5 * x) + 0.5

    def exp(self, x):
        """See `Backend`."""
        return np.exp(x)

    def softmax(self, x):
        """See `Backend`."""
        weights = np.exp(x - x.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True)

    def clip(self, x, low, high):
        """See `Backend`."""
        return np.clip(x, low, high)

    def concatenate(self, parts):
        """See `Backend`."""
        return np.concatenate(parts, axis=-1)

    def stack(self, rows):
        """See `Backend`."""
        return np.stack(rows)

    def reverse(self, x):
        """See `Backend`."""
        return x[::-1]

    def delay(self, x):
        """See `Backend`."""
        return np.concatenate([np.zeros_like(x[:1]), x[:-1]])

    def sum_last(self, x):
        """See `Backend`."""
        return x.sum(axis=-1)

    def repeat(self, x, count):
        """See `Backend`."""
        return np.broadcast_to(x, (count, *x.shape))

    def reshape(self, x, shape):
        """See `Backend`."""
        return x.reshape(shape)

    def matmul(self, left, right):
        """See `Backend`."""
        return left @ right

    def transpose(self, x):
        """See `Backend`."""
        return x.swapaxes(-1, -2)

    def eye(self, like, size):
        """See `Backend`."""
        return np.eye(size, dtype=like.dtype)

    def inverse(self, x):
        """See `Backend`."""
        return np.linalg.inv(x)

    def log_determinant(self, x):
        """See `Backend`."""
        return np.linalg.slogdet(x)[1]

    def zeros_like(self, x, size):
        """See `Backend`."""
        return np.zeros((*x.shape[:-1], size), x.dtype)

    def lstm_step(self, x, memory, weights):
        """See `Backend`."""
        return lstm_step(self, x, memory, weights)

    def lstm(self, x, weights):
        """See `Backend`: what the input gives to the gates is one product for all times."""
        pre = x @ weights.input.T + weights.bias
        output = self.zeros_like(x[0], weights.size)
        cell = output
        outputs = np.empty((*x.shape[:-1], weights.size), pre.dtype)
        recurrent = np.ascontiguousarray(weights.recurrent.T)
        for t, row in enumerate(pre):
            output, cell = lstm_gates(self, row + output @ recurrent, cell)
            outputs[t] = output
        return outputs


NUMPY = NumpyBackend()
