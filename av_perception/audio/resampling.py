# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound of any rate at another one, at once.

Resamplers that transform long blocks hold back up to 40 ms of sound, which all that follows is
later for. A windowed sinc (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.6) needs the
next millisecond alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# Shares of the lower rate. What lies between comes back, mirrored, into the top of the band.
_PASSED, _STOPPED = 0.4375, 0.5625
_STOPPED_DB = 80.0
_MOST_AT_ONCE = 4096  # inputs: each takes a kilobyte
_MOST_PHASES = 1024  # between two samples; of common rates all are kept (at most 640)


class StreamingResampler:
    """Sound of one rate in, of another out; what comes out has no delay against what went in.

    The last `lag_s` of the sound comes out with the samples that follow.

    Attributes
    ----------
    lag_s : float
        How much of the newest sound is still missing [s].
    """

    def __init__(self, input_rate: int, output_rate: int, num_channels: int):
        """Begin with silence.

        Parameters
        ----------
        input_rate, output_rate
            [Hz].
        num_channels
            Of the sound.
        """
        divisor = math.gcd(input_rate, output_rate)
        # From one output to the next, in inputs, as a fraction.
        self._step, self._parts = input_rate // divisor, output_rate // divisor
        self._num_channels = num_channels
        self._bank = _filters(input_rate, output_rate, min(self._parts, _MOST_PHASES))
        self._reach = self._bank.shape[1] // 2
        self.lag_s = self._reach / input_rate
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._pending = np.zeros((self._reach - 1, self._num_channels), np.float32)
        self._first = 1 - self._reach  # number of the first that is pending
        self._num_given = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take the next samples.

        Parameters
        ----------
        samples
            (N, channels) float32, N of any size.

        Returns
        -------
        np.ndarray
            (M, channels) float32: all outputs that no later sample counts for.
        """
        pieces = [
            self._advance(samples[start : start + _MOST_AT_ONCE])
            for start in range(0, len(samples), _MOST_AT_ONCE)
        ]
        return np.concatenate(pieces) if pieces else np.zeros_like(samples)

    def _advance(self, samples: np.ndarray) -> np.ndarray:
        self._pending = np.concatenate([self._pending, samples])
        # Output m lies at input m * step / parts, and takes `reach` inputs on either side.
        num_inputs = self._first + len(self._pending) - self._reach
        num_outputs = max(self._num_given, -(-num_inputs * self._parts // self._step))
        positions = np.arange(self._num_given, num_outputs, dtype=np.int64) * self._step
        before = positions // self._parts
        phases = positions % self._parts * len(self._bank) // self._parts
        self._num_given = num_outputs
        if not len(positions):
            return np.zeros((0, self._num_channels), np.float32)
        windows = sliding_window_view(self._pending, 2 * self._reach, axis=0)
        starts = before - self._reach + 1 - self._first
        outputs = np.matmul(windows[starts], self._bank[phases, :, None])[..., 0]
        self._forget()
        return outputs

    def _forget(self) -> None:
        """Drop the inputs that no later output counts."""
        first = self._num_given * self._step // self._parts - self._reach + 1
        if first > self._first:
            self._pending = self._pending[first - self._first :]
            self._first = first


def _filters(input_rate: int, output_rate: int, num_phases: int) -> np.ndarray:
    """(phases, taps) float32: weights of the inputs around an output between two of them."""
    lower = min(input_rate, output_rate)
    transition = 2 * np.pi * (_STOPPED - _PASSED) * lower / input_rate  # [rad per sample]
    # Kaiser's formulas for the length and the shape of the window.
    reach = math.ceil((_STOPPED_DB - 8) / (2.285 * transition) / 2) + 1
    shape = 0.1102 * (_STOPPED_DB - 8.7)
    offsets = np.arange(num_phases)[:, None] / num_phases + reach - 1 - np.arange(2 * reach)
    window = np.i0(shape * np.sqrt(np.maximum(0.0, 1 - (offsets / reach) ** 2)))
    cutoff = (_PASSED + _STOPPED) * lower / input_rate
    filters = np.sinc(cutoff * offsets) * window
    return (filters / filters.sum(axis=1, keepdims=True)).astype(np.float32)
