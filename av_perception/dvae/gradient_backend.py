# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gradients of models in NumPy: operations that remember how their results came about.

Reverse-mode differentiation (Linnainmaa 1976; Griewank and Walther, "Evaluating derivatives",
2008) of the operations of `backend.py`. It serves inference on a robot, where no PyTorch is:
gradients in latents, and in the parameters of an encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from av_perception.dvae.backend import NUMPY, lstm_step


class Traced:
    """An array and the operation it came from.

    value: the array; parents: what it was made of; pull: gives the parents' gradients of its own.
    """

    __array_ufunc__ = None  # arrays on the left leave `+ - *` to this class

    def __init__(
        self,
        value: np.ndarray,
        parents: Sequence[Traced] = (),
        pull: Callable[[np.ndarray], Sequence[Any]] | None = None,
    ):
        self.value = value
        self.parents = parents
        self.pull = pull

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.value.shape

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, index) -> Traced:
        return Traced(self.value[index], (self,), lambda g: (_Part(index, g),))

    def __add__(self, other) -> Traced:
        other = traced(other)
        return Traced(
            self.value + other.value,
            (self, other),
            lambda g: (_fit(g, self.shape), _fit(g, other.shape)),
        )

    __radd__ = __add__

    def __neg__(self) -> Traced:
        return Traced(-self.value, (self,), lambda g: (-g,))

    def __sub__(self, other) -> Traced:
        return self + (-traced(other))

    def __rsub__(self, other) -> Traced:
        return (-self) + other

    def __mul__(self, other) -> Traced:
        other = traced(other)
        return Traced(
            self.value * other.value,
            (self, other),
            lambda g: (_fit(g * other.value, self.shape), _fit(g * self.value, other.shape)),
        )

    __rmul__ = __mul__


class _Part(NamedTuple):
    """Gradient of some of the rows of an array."""

    index: Any
    gradient: np.ndarray


def traced(value) -> Traced:
    """Make an array, or a number, one that takes part; one that does stays what it is."""
    return value if isinstance(value, Traced) else Traced(np.asarray(value))


def gradients(result: Traced, upstream: np.ndarray, inputs: Sequence[Traced]) -> list[np.ndarray]:
    """Gradients of `sum(upstream * result)` in inputs.

    Parameters
    ----------
    result
        What was computed.
    upstream
        Of the same shape.
    inputs
        Arrays that it was computed from.

    Returns
    -------
    list of np.ndarray
        Of the inputs' shapes; zero where the result does not depend on them.
    """
    found = {id(result): np.asarray(upstream)}
    gathered: dict[int, np.ndarray] = {}  # sums of parts, which nothing else refers to
    for node in reversed(_in_order(result)):
        if id(node) in gathered:
            _add_to(found, node, gathered.pop(id(node)))
        gradient = found.get(id(node))
        if node.pull is None or gradient is None:
            continue
        for parent, part in zip(node.parents, node.pull(gradient)):
            if isinstance(part, _Part):
                if id(parent) not in gathered:
                    gathered[id(parent)] = np.zeros_like(parent.value)
                gathered[id(parent)][part.index] += part.gradient
            else:
                _add_to(found, parent, part)
    return [found.get(id(one), np.zeros_like(one.value)) for one in inputs]


def _add_to(found: dict[int, np.ndarray], node: Traced, gradient: np.ndarray) -> None:
    known = found.get(id(node))
    found[id(node)] = gradient if known is None else known + gradient


def _in_order(result: Traced) -> list[Traced]:
    """All arrays that take part, each after its parents; no recursion, sequences are long."""
    order: list[Traced] = []
    seen = set()
    waiting = [(result, False)]
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            order.append(node)
            continue
        if id(node) in seen:
            continue
        seen.add(id(node))
        waiting.append((node, True))
        waiting.extend((parent, False) for parent in node.parents)
    return order


def _fit(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum over the axes along which an array was repeated."""
    if gradient.shape == shape:
        return gradient
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient


class GradientBackend:
    """Operations of `Backend` on traced arrays."""

    def dense(self, x, weight, bias=None):
        """See `Backend`."""
        x = traced(x)
        weight = traced(weight)
        parents = [x, weight]

        def pull(g):
            rows = g.reshape(-1, g.shape[-1])
            parts = [g @ weight.value, rows.T @ x.value.reshape(len(rows), -1)]
            return parts if bias is None else [*parts, rows.sum(axis=0)]

        if bias is None:
            return Traced(x.value @ weight.value.T, parents, pull)
        bias = traced(bias)
        return Traced(x.value @ weight.value.T + bias.value, [*parents, bias], pull)

    def tanh(self, x):
        """See `Backend`."""
        value = np.tanh(x.value)
        return Traced(value, (x,), lambda g: (g * (1 - value**2),))

    def sigmoid(self, x):
        """See `Backend`."""
        value = NUMPY.sigmoid(x.value)
        return Traced(value, (x,), lambda g: (g * value * (1 - value),))

    def exp(self, x):
        """See `Backend`."""
        value = np.exp(x.value)
        return Traced(value, (x,), lambda g: (g * value,))

    def softmax(self, x):
        """See `Backend`."""
        value = NUMPY.softmax(x.value)

        def pull(g):
            return (value * (g - (g * value).sum(axis=-1, keepdims=True)),)

        return Traced(value, (x,), pull)

    def clip(self, x, low, high):
        """See `Backend`."""
        inside = (x.value >= low) & (x.value <= high)
        return Traced(np.clip(x.value, low, high), (x,), lambda g: (g * inside,))

    def concatenate(self, parts):
        """See `Backend`."""
        parts = [traced(part) for part in parts]
        ends = np.cumsum([part.shape[-1] for part in parts])[:-1]
        value = np.concatenate([part.value for part in parts], axis=-1)
        return Traced(value, parts, lambda g: np.split(g, ends, axis=-1))

    def stack(self, rows):
        """See `Backend`."""
        rows = [traced(row) for row in rows]
        return Traced(np.stack([row.value for row in rows]), rows, list)

    def reverse(self, x):
        """See `Backend`."""
        return Traced(x.value[::-1], (x,), lambda g: (g[::-1],))

    def delay(self, x):
        """See `Backend`."""

        def pull(g):
            return (np.concatenate([g[1:], np.zeros_like(g[:1])]),)

        return Traced(NUMPY.delay(x.value), (x,), pull)

    def sum_last(self, x):
        """See `Backend`."""

        def pull(g):
            return (np.broadcast_to(g[..., None], x.shape),)

        return Traced(x.value.sum(axis=-1), (x,), pull)

    def reshape(self, x, shape):
        """See `Backend`."""
        return Traced(x.value.reshape(shape), (x,), lambda g: (g.reshape(x.shape),))

    def matmul(self, left, right):
        """See `Backend`."""
        left = traced(left)
        right = traced(right)

        def pull(g):
            to_left = g @ right.value.swapaxes(-1, -2)
            to_right = left.value.swapaxes(-1, -2) @ g
            return _fit(to_left, left.shape), _fit(to_right, right.shape)

        return Traced(left.value @ right.value, (left, right), pull)

    def transpose(self, x):
        """See `Backend`."""
        return Traced(x.value.swapaxes(-1, -2), (x,), lambda g: (g.swapaxes(-1, -2),))

    def eye(self, like, size):
        """See `Backend`."""
        return Traced(np.eye(size, dtype=traced(like).value.dtype))

    def inverse(self, x):
        """See `Backend`."""
        value = np.linalg.inv(x.value)
        across = value.swapaxes(-1, -2)
        return Traced(value, (x,), lambda g: (-across @ g @ across,))

    def log_determinant(self, x):
        """See `Backend`."""

        def pull(g):
            return (g[..., None, None] * np.linalg.inv(x.value).swapaxes(-1, -2),)

        return Traced(np.linalg.slogdet(x.value)[1], (x,), pull)

    def repeat(self, x, count):
        """See `Backend`."""
        return Traced(NUMPY.repeat(x.value, count), (x,), lambda g: (g.sum(axis=0),))

    def zeros_like(self, x, size):
        """See `Backend`."""
        return Traced(NUMPY.zeros_like(traced(x).value, size))

    def lstm_step(self, x, memory, weights):
        """See `Backend`."""
        return lstm_step(self, x, memory, weights)

    def lstm(self, x, weights):
        """See `Backend`: one node for the whole sequence."""
        parents = [traced(a) for a in (x, weights.input, weights.recurrent, weights.bias)]
        kept = _lstm_forward(*(one.value for one in parents))
        return Traced(kept[0], parents, lambda g: _lstm_backward(g, parents, *kept))


def _lstm_forward(x, input_weight, recurrent, bias) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run a memory: outputs, cells (T, ..., H), gates (T, ..., 4 H) after nonlinearities."""
    size = recurrent.shape[1]
    gates = x @ input_weight.T + bias
    outputs = np.empty((*x.shape[:-1], size), gates.dtype)
    cells = np.empty_like(outputs)
    output = np.zeros_like(outputs[0])
    cell = output
    for t, row in enumerate(gates):
        row += output @ recurrent.T
        candidate = np.tanh(row[..., 2 * size : 3 * size])
        row[:] = NUMPY.sigmoid(row)
        row[..., 2 * size : 3 * size] = candidate
        cell = row[..., size : 2 * size] * cell + row[..., :size] * candidate
        output = row[..., 3 * size :] * np.tanh(cell)
        outputs[t] = output
        cells[t] = cell
    return outputs, cells, gates


def _lstm_backward(gradient, parents, outputs, cells, gates) -> list[np.ndarray]:
    """Back-propagation through time: gradients of x, input, recurrent and bias."""
    x, input_weight, recurrent = (one.value for one in parents[:3])
    size = recurrent.shape[1]
    pre = np.empty_like(gates)
    to_output = np.zeros_like(outputs[0])
    to_cell = np.zeros_like(outputs[0])
    for t in range(len(x) - 1, -1, -1):
        write, keep, candidate, show = np.split(gates[t], 4, axis=-1)
        squashed = np.tanh(cells[t])
        to_output = to_output + gradient[t]
        to_cell = to_cell + to_output * show * (1 - squashed**2)
        before = cells[t - 1] if t else np.zeros_like(to_cell)
        pre[t] = np.concatenate(
            [
                to_cell * candidate * write * (1 - write),
                to_cell * before * keep * (1 - keep),
                to_cell * write * (1 - candidate**2),
                to_output * squashed * show * (1 - show),
            ],
            axis=-1,
        )
        to_cell = to_cell * keep
        to_output = pre[t] @ recurrent
    rows = pre.reshape(-1, 4 * size)
    earlier = np.concatenate([np.zeros_like(outputs[:1]), outputs[:-1]]).reshape(-1, size)
    return [
        pre @ input_weight,
        rows.T @ x.reshape(len(rows), -1),
        rows.T @ earlier,
        rows.sum(axis=0),
    ]


GRADIENT = GradientBackend()
