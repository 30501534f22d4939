# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The operations of models in PyTorch: for training."""

from __future__ import annotations

import torch

from av_perception.dvae.backend import LstmWeights


class TorchBackend:
    """See `dvae.backend.Backend`."""

    def dense(self, x, weight, bias=None):
        """See `Backend`."""
        return torch.nn.functional.linear(x, weight, bias)

    def tanh(self, x):
        """See `Backend`."""
        return torch.tanh(x)

    def sigmoid(self, x):
        """See `Backend`."""
        return torch.sigmoid(x)

    def exp(self, x):
        """See `Backend`."""
        return torch.exp(x)

    def softmax(self, x):
        """See `Backend`."""
        return torch.softmax(x, dim=-1)

    def clip(self, x, low, high):
        """See `Backend`."""
        return torch.clamp(x, low, high)

    def concatenate(self, parts):
        """See `Backend`."""
        return torch.cat(parts, dim=-1)

    def stack(self, rows):
        """See `Backend`."""
        return torch.stack(rows)

    def reverse(self, x):
        """See `Backend`."""
        return x.flip(0)

    def delay(self, x):
        """See `Backend`."""
        return torch.cat([torch.zeros_like(x[:1]), x[:-1]])

    def sum_last(self, x):
        """See `Backend`."""
        return x.sum(dim=-1)

    def repeat(self, x, count):
        """See `Backend`."""
        return x.expand(count, *x.shape)

    def reshape(self, x, shape):
        """See `Backend`."""
        return x.reshape(shape)

    def matmul(self, left, right):
        """See `Backend`."""
        return left @ right

    def transpose(self, x):
        """See `Backend`."""
        return x.transpose(-1, -2)

    def eye(self, like, size):
        """See `Backend`."""
        return torch.eye(size, dtype=like.dtype)

    def inverse(self, x):
        """See `Backend`."""
        return torch.linalg.inv(x)

    def log_determinant(self, x):
        """See `Backend`."""
        return torch.linalg.slogdet(x)[1]

    def zeros_like(self, x, size):
        """See `Backend`."""
        return x.new_zeros(*x.shape[:-1], size)

    def lstm_step(self, x, memory, weights):
        """See `Backend`."""
        flat = [weights.input, weights.recurrent, weights.bias, torch.zeros_like(weights.bias)]
        return torch._VF.lstm_cell(x, memory, *flat)

    def lstm(self, x, weights: LstmWeights):
        """See `Backend`."""
        steps = x.reshape(len(x), -1, x.shape[-1])
        empty = x.new_zeros(1, steps.shape[1], weights.size)
        flat = [weights.input, weights.recurrent, weights.bias, torch.zeros_like(weights.bias)]
        result = torch._VF.lstm(
            steps, (empty, empty), flat, True, 1, 0.0, torch.is_grad_enabled(), False, False
        )
        return result[0].reshape(*x.shape[:-1], weights.size)


TORCH = TorchBackend()
