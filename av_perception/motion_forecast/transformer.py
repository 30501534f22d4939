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

    def dense(self, name: str, norm: str = '') -> Dense:
        """Prepare a dense layer; the scale and shift of a norm before it become part of it."""
        weight, bias = self[f'{name}.weight'], self[f'{name}.bias']
        if norm:
            bias = bias + weight @ self[f'{norm}.bias']
            weight = weight * self[f'{norm}.weight']
        return Dense(np.ascontiguousarray(weight.T), bias)


@dataclass(frozen=True)
class Dense:
    """A dense layer."""

    #: (I, O)
    weight: np.ndarray
    #: (O,)
    bias: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Apply it to (..., I)."""
        # One product of two matrices, not one of each of the batch.
        flat = values.reshape(-1, values.shape[-1]) @ self.weight
        flat += self.bias
        return flat.reshape(*values.shape[:-1], -1)

    def beside(self, other: Dense) -> Dense:
        """Both layers as one: outputs of the other behind those of this."""
        weight = np.concatenate([self.weight, other.weight], 1)
        return Dense(np.ascontiguousarray(weight), np.concatenate([self.bias, other.bias]))


def normed(values: np.ndarray) -> np.ndarray:
    """Normalize (..., D) to mean 0 and variance 1."""
    share = np.float32(1 / values.shape[-1])
    centered = values - np.add.reduce(values, -1, keepdims=True) * share
    variance = np.einsum('...i,...i->...', centered, centered)[..., None] * share
    centered *= 1.0 / np.sqrt(variance + np.float32(1e-5))
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


class _Layer:
    """The prepared weights of one layer."""

    def __init__(self, weights: WeightTable, heads: int, crosses: bool):
        self._heads = heads
        own = weights.dense('attend_self.query', 'norm_self')
        self._own = own.beside(weights.dense('attend_self.keys_values', 'norm_self'))
        self._own_out = weights.dense('attend_self.out')
        if crosses:
            self._query = weights.dense('attend_cross.query', 'norm_cross')
            self._latents = weights.dense('attend_cross.keys_values')
            self._cross_out = weights.dense('attend_cross.out')
        self._wide = weights.dense('dense_in', 'norm_dense')
        self._narrow = weights.dense('dense_out')

    def attend_self(
        self, tokens: np.ndarray, kept: KeyValues, num_seen: np.ndarray | None
    ) -> np.ndarray:
        """Add what tokens take from all tokens so far; these join what is kept."""
        queries, keys, values = np.split(self._own(normed(tokens)), 3, axis=-1)
        kept.append(_split(keys, self._heads), _split(values, self._heads))
        return tokens + self._own_out(_attended(_split(queries, self._heads), kept, num_seen))

    def attend_latents(
        self,
        tokens: np.ndarray,
        latents: np.ndarray | None,
        kept: KeyValues,
        num_seen: np.ndarray,
    ) -> np.ndarray:
        """Add what tokens take from latents; new ones join what is kept."""
        if latents is not None:
            keys, values = np.split(self._latents(latents), 2, axis=-1)
            kept.append(_split(keys, self._heads), _split(values, self._heads))
        queries = _split(self._query(normed(tokens)), self._heads)
        return tokens + self._cross_out(_attended(queries, kept, num_seen))

    def dense(self, tokens: np.ndarray) -> np.ndarray:
        """Add the two dense layers."""
        hidden = self._wide(normed(tokens))
        np.maximum(hidden, 0.0, out=hidden)
        return tokens + self._narrow(hidden)


def _layers(weights: WeightTable, num_layers: int, heads: int, crosses: bool) -> list[_Layer]:
    return [_Layer(weights.part(f'layers.{k}'), heads, crosses) for k in range(num_layers)]


class Encoder:
    """Layers in which every token sees all tokens. The last norm lacks its scale and shift."""

    def __init__(self, weights: WeightTable, num_layers: int, heads: int):
        self._layers = _layers(weights, num_layers, heads, False)

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """Encode (B, T, D)."""
        for layer in self._layers:
            tokens = layer.dense(layer.attend_self(tokens, KeyValues(), None))
        return normed(tokens)


class Decoder:
    """Causal layers with cross-attention to latents.

    Token n sees tokens up to itself, and of the latents, of which the first stands for none, those
    before `n + 1 + lead`. The last norm lacks its scale and shift.
    """

    def __init__(self, weights: WeightTable, num_layers: int, heads: int, lead: int):
        self._layers = _layers(weights, num_layers, heads, True)
        self._lead = lead

    def __call__(
        self, tokens: np.ndarray, latents: np.ndarray | None, cache: DecoderCache
    ) -> np.ndarray:
        """Decode new tokens (B, N, D) after new latents (B, M, D); both go into the cache."""
        if not cache.own:
            cache.own = [KeyValues() for _ in self._layers]
            cache.latents = [KeyValues() for _ in self._layers]
        numbers = cache.num_tokens + np.arange(tokens.shape[1])
        cache.num_tokens += tokens.shape[1]
        for layer, own, kept in zip(self._layers, cache.own, cache.latents):
            tokens = layer.attend_self(tokens, own, numbers + 1)
            tokens = layer.attend_latents(tokens, latents, kept, numbers + 1 + self._lead)
            tokens = layer.dense(tokens)
        return normed(tokens)


def _attended(queries: np.ndarray, memory: KeyValues, num_seen: np.ndarray | None) -> np.ndarray:
    """Mix values for queries (B, H, N, D / H), of which the n-th sees num_seen[n], or all."""
    assert memory.keys is not None and memory.values is not None
    batch, heads, count, width = queries.shape
    keys = memory.keys[:, :, : memory.count]
    values = memory.values[:, :, : memory.count]
    scores = (queries * np.float32(1 / math.sqrt(width))) @ keys.swapaxes(-1, -2)
    if num_seen is not None and num_seen.min() < memory.count:
        scores[..., np.arange(memory.count) >= num_seen[:, None]] = _HIDDEN
    scores -= np.maximum.reduce(scores, -1, keepdims=True)
    np.exp(scores, out=scores)
    mixed = scores @ values
    mixed /= np.add.reduce(scores, -1, keepdims=True)
    return mixed.swapaxes(1, 2).reshape(batch, count, heads * width)


def _split(tokens: np.ndarray, heads: int) -> np.ndarray:
    """(B, N, D) to (B, H, N, D / H)."""
    batch, count, width = tokens.shape
    return tokens.reshape(batch, count, heads, width // heads).swapaxes(1, 2)
