# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Layers of transformers in NumPy, with keys and values kept, so that a new frame costs one frame.

Tokens are (B, N, D) float32. Weights are named as by `training.hit_dvae_network`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

_HIDDEN = np.float32(-1e9)


class WeightTable:
    """Weights by name; `part` gives those below a name."""

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str = ''):
        self._arrays = arrays
        self._prefix = prefix

    def __getitem__(self, name: str) -> np.ndarray:
        """Look one up."""
        return self._arrays[self._prefix + name]

    def part(self, name: str) -> WeightTable:
        """Those whose names begin with `name` and a dot."""
        return WeightTable(self._arrays, f'{self._prefix}{name}.')

    def linear(self, name: str, values: np.ndarray) -> np.ndarray:
        """Apply a dense layer to (..., I)."""
        # One product of two matrices, not one of each of the batch.
        flat = values.reshape(-1, values.shape[-1]) @ self[f'{name}.weight'].T
        flat += self[f'{name}.bias']
        return flat.reshape(*values.shape[:-1], -1)

    def normed(self, name: str, values: np.ndarray) -> np.ndarray:
        """Normalize (..., D) to mean 0 and variance 1, then scale and shift."""
        centered = values - values.mean(-1, keepdims=True)
        variance = np.square(centered).mean(-1, keepdims=True)
        centered *= 1.0 / np.sqrt(variance + 1e-5)
        centered *= self[f'{name}.weight']
        centered += self[f'{name}.bias']
        return centered


@dataclass
class KeyValues:
    """Keys and values (B, H, M, D / H) of a memory that grows."""

    keys: np.ndarray | None = None
    values: np.ndarray | None = None
    #: how many of the room are used
    count: int = 0

    def append(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Append (B, H, N, D / H); the room doubles when it is full."""
        needed = self.count + keys.shape[2]
        if self.keys is None or self.values is None or needed > self.keys.shape[2]:
            room = list(keys.shape)
            room[2] = max(2 * needed, 16)
            grown = np.empty((2, *room), np.float32)
            if self.keys is not None and self.values is not None:
                grown[0, :, :, : self.count] = self.keys[:, :, : self.count]
                grown[1, :, :, : self.count] = self.values[:, :, : self.count]
            self.keys, self.values = grown
        self.keys[:, :, self.count : needed] = keys
        self.values[:, :, self.count : needed] = values
        self.count = needed


@dataclass
class DecoderCache:
    """What a decoder knows of past tokens and latents, layer by layer."""

    num_tokens: int = 0
    own: list[KeyValues] = field(default_factory=list)
    latents: list[KeyValues] = field(default_factory=list)


def encode(weights: WeightTable, num_layers: int, heads: int, tokens: np.ndarray) -> np.ndarray:
    """Let every token see all tokens (B, T, D)."""
    for k in range(num_layers):
        layer = weights.part(f'layers.{k}')
        normed = layer.normed('norm_self', tokens)
        memory = KeyValues()
        _remember(layer.part('attend_self'), heads, normed, memory)
        tokens = tokens + _attend(layer.part('attend_self'), heads, normed, memory, None)
        tokens = _dense(layer, tokens)
    return weights.normed('norm', tokens)


class Decoder:
    """Causal layers with cross-attention to latents.

    Token n sees tokens up to itself, and of the latents, of which the first stands for none, those
    before `n + 1 + lead`.
    """

    def __init__(self, weights: WeightTable, num_layers: int, heads: int, lead: int):
        self._weights = weights
        self._num_layers = num_layers
        self._heads = heads
        self._lead = lead

    def __call__(
        self, tokens: np.ndarray, latents: np.ndarray | None, cache: DecoderCache
    ) -> np.ndarray:
        """Decode new tokens (B, N, D) after new latents (B, M, D); both go into the cache."""
        if not cache.own:
            cache.own = [KeyValues() for _ in range(self._num_layers)]
            cache.latents = [KeyValues() for _ in range(self._num_layers)]
        numbers = cache.num_tokens + np.arange(tokens.shape[1])
        cache.num_tokens += tokens.shape[1]
        for k in range(self._num_layers):
            layer = self._weights.part(f'layers.{k}')
            own = layer.part('attend_self')
            cross = layer.part('attend_cross')
            normed = layer.normed('norm_self', tokens)
            _remember(own, self._heads, normed, cache.own[k])
            tokens = tokens + _attend(own, self._heads, normed, cache.own[k], numbers + 1)
            if latents is not None:
                _remember(cross, self._heads, latents, cache.latents[k])
            normed = layer.normed('norm_cross', tokens)
            seen = numbers + 1 + self._lead
            tokens = tokens + _attend(cross, self._heads, normed, cache.latents[k], seen)
            tokens = _dense(layer, tokens)
        return self._weights.normed('norm', tokens)


def _dense(layer: WeightTable, tokens: np.ndarray) -> np.ndarray:
    hidden = layer.linear('dense_in', layer.normed('norm_dense', tokens))
    np.maximum(hidden, 0.0, out=hidden)
    return tokens + layer.linear('dense_out', hidden)


def _remember(attention: WeightTable, heads: int, memory: np.ndarray, kept: KeyValues) -> None:
    keys, values = np.split(attention.linear('keys_values', memory), 2, axis=-1)
    kept.append(_split(keys, heads), _split(values, heads))


def _attend(
    attention: WeightTable,
    heads: int,
    tokens: np.ndarray,
    memory: KeyValues,
    num_seen: np.ndarray | None,
) -> np.ndarray:
    """Attend to a memory, of which token n sees the first num_seen[n], or all."""
    assert memory.keys is not None and memory.values is not None
    keys = memory.keys[:, :, : memory.count]
    values = memory.values[:, :, : memory.count]
    queries = _split(attention.linear('query', tokens), heads)
    scores = queries @ keys.swapaxes(-1, -2)
    scores *= np.float32(1 / math.sqrt(keys.shape[-1]))
    if num_seen is not None and num_seen.min() < memory.count:
        scores[..., np.arange(memory.count) >= num_seen[:, None]] = _HIDDEN
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    mixed = (scores @ values).swapaxes(1, 2).reshape(tokens.shape)
    return attention.linear('out', mixed)


def _split(tokens: np.ndarray, heads: int) -> np.ndarray:
    """(B, N, D) to (B, H, N, D / H)."""
    batch, count, width = tokens.shape
    return tokens.reshape(batch, count, heads, width // heads).swapaxes(1, 2)
