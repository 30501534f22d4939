# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""HiT-DVAE in torch, for training alone; `motion_forecast.hit_dvae` runs it in NumPy.

The names and shapes of the weights are those of the NumPy twin, and so is every formula: a test
compares the two. Source: Bie et al., HiT-DVAE, arXiv 2204.01565, 2022.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from av_perception.motion_forecast.network_shape import NetworkShape

Moments = tuple[torch.Tensor, torch.Tensor]


def time_code(first: int, count: int, width: int) -> torch.Tensor:
    """(count, width) sines and cosines of the frame's number."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(1000.0) / width))
    angles = torch.arange(first, first + count)[:, None] * rates
    return torch.stack([torch.sin(angles), torch.cos(angles)], -1).reshape(count, width)


class Attention(nn.Module):
    """Several heads of attention over a memory whose keys and values are kept."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def remember(self, memory: torch.Tensor, kept: Moments | None) -> Moments:
        """Append (B, M, D) to kept keys and values."""
        keys, values = self.keys_values(memory).chunk(2, -1)
        new = self._split(keys), self._split(values)
        if kept is None:
            return new
        return torch.cat([kept[0], new[0]], 2), torch.cat([kept[1], new[1]], 2)

    def forward(self, tokens: torch.Tensor, memory: Moments, first_hidden) -> torch.Tensor:
        """Attend. first_hidden: (N,) index of the first of the memory that a token may not see."""
        seen = None
        if first_hidden is not None and tokens.shape[1] > 1:
            seen = torch.arange(memory[0].shape[2]) < first_hidden[:, None]
        queries = self._split(self.query(tokens))
        mixed = nn.functional.scaled_dot_product_attention(queries, *memory, attn_mask=seen)
        return self.out(mixed.transpose(1, 2).reshape(tokens.shape))

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, count, width = tokens.shape
        return tokens.reshape(batch, count, self._heads, width // self._heads).transpose(1, 2)


class Layer(nn.Module):
    """Self-attention, perhaps cross-attention, and two dense layers, each added to its input."""

    def __init__(self, shape: NetworkShape, crosses: bool):
        super().__init__()
        self.norm_self = nn.LayerNorm(shape.width)
        self.attend_self = Attention(shape.width, shape.heads)
        if crosses:
            self.norm_cross = nn.LayerNorm(shape.width)
            self.attend_cross = Attention(shape.width, shape.heads)
        self.norm_dense = nn.LayerNorm(shape.width)
        self.dense_in = nn.Linear(shape.width, shape.dense)
        self.dense_out = nn.Linear(shape.dense, shape.width)

    def dense(self, tokens: torch.Tensor) -> torch.Tensor:
        """Add the two dense layers."""
        return tokens + self.dense_out(torch.relu(self.dense_in(self.norm_dense(tokens))))


class Encoder(nn.Module):
    """Layers in which every token sees all tokens."""

    def __init__(self, shape: NetworkShape, num_layers: int):
        super().__init__()
        self.layers = nn.ModuleList(Layer(shape, False) for _ in range(num_layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (B, T, D)."""
        for layer in self.layers:
            normed = layer.norm_self(tokens)
            memory = layer.attend_self.remember(normed, None)
            tokens = layer.dense(tokens + layer.attend_self(normed, memory, None))
        return self.norm(tokens)


class Decoder(nn.Module):
    """Causal layers with cross-attention to the latents of so many frames as `lead` says."""

    def __init__(self, shape: NetworkShape, num_layers: int, lead: int):
        super().__init__()
        self._lead = lead
        self._num_layers = num_layers
        self.layers = nn.ModuleList(Layer(shape, True) for _ in range(num_layers))
        self.norm = nn.LayerNorm(shape.width)

    def forward(self, tokens, latents, cache: dict) -> torch.Tensor:
        """Decode new tokens (B, N, D) after new latents (B, M, D), both appended to the cache."""
        first = cache.get('count', 0)
        cache['count'] = first + tokens.shape[1]
        numbers = torch.arange(first, cache['count'])
        for k, layer in enumerate(self.layers):
            normed = layer.norm_self(tokens)
            own = cache[k, 'self'] = layer.attend_self.remember(normed, cache.get((k, 'self')))
            tokens = tokens + layer.attend_self(normed, own, numbers + 1)
            if latents is not None:
                kept = cache.get((k, 'cross'))
                cache[k, 'cross'] = layer.attend_cross.remember(latents, kept)
            normed = layer.norm_cross(tokens)
            seen = numbers + 1 + self._lead
            tokens = tokens + layer.attend_cross(normed, cache[k, 'cross'], seen)
            tokens = layer.dense(tokens)
        return self.norm(tokens)


class HitDvae(nn.Module):
    """All networks. Poses are (B, T, X) meters; token t is made of the poses before frame t."""

    def __init__(self, shape: NetworkShape):
        super().__init__()
        self.shape = shape
        width = shape.width
        self.embed = nn.Linear(2 * shape.pose, width)
        self.embed_latent = nn.Linear(shape.latent, width)
        self.embed_sequence = nn.Linear(shape.sequence, width)
        self.no_latent = nn.Parameter(torch.zeros(width))
        self.encoder_w = Encoder(shape, shape.encoder_layers)
        self.encoder_z = Encoder(shape, shape.encoder_layers)
        self.prior = Decoder(shape, shape.prior_layers, 0)
        self.generator = Decoder(shape, shape.generator_layers, 1)
        self.moments_w = nn.Linear(width, 2 * shape.sequence)
        self.moments_z = nn.Linear(width, 2 * shape.latent)
        self.moments_prior = nn.Linear(width, 2 * shape.latent)
        self.step = nn.Linear(width, shape.pose)
        self.decay = nn.Parameter(torch.full((shape.pose,), 0.8))
        self.register_buffer('center', torch.zeros(shape.pose))
        self.register_buffer('scale', torch.ones(()))
        nn.init.zeros_(self.step.weight)
        nn.init.zeros_(self.step.bias)

    def tokens(self, poses, before, first: int, w) -> torch.Tensor:
        """Embed poses and their last step (B, N, X), of frames `first` on, with w (B, W)."""
        inputs = torch.cat([poses - self.center, 4 * (poses - before)], -1) / self.scale
        code = time_code(first, poses.shape[1], self.shape.width)
        return self.embed(inputs) + code + self.embed_sequence(w)[:, None]

    def infer_w(self, poses) -> Moments:
        """Moments (B, W) of w of any number of frames."""
        before = torch.cat([poses[:, :1], poses[:, :-1]], 1)
        none = torch.zeros(len(poses), self.shape.sequence)
        hidden = self.encoder_w(self.tokens(poses, before, 1, none)).mean(1)
        return _moments(self.moments_w(hidden))

    def infer_z(self, poses, w) -> Moments:
        """Moments (B, T, Z) of the posterior of the latents."""
        before = torch.cat([poses[:, :1], poses[:, :-1]], 1)
        return _moments(self.moments_z(self.encoder_z(self.tokens(poses, before, 1, w))))

    def shifted(self, poses) -> Moments:
        """Give what tokens are made of: the pose before each frame and the one before that."""
        first = self.center.expand(len(poses), 1, -1)
        last = torch.cat([first, poses[:, :-1]], 1)
        head = last[:, 1:2] if poses.shape[1] > 1 else first
        return last, torch.cat([first, head, last[:, 1:-1]], 1)[:, : poses.shape[1]]

    def latents(self, z, first: int) -> torch.Tensor:
        """Embed z (B, M, Z) of frames `first` on."""
        return self.embed_latent(z) + time_code(first, z.shape[1], self.shape.width)

    def none(self, count: int) -> torch.Tensor:
        """Tokens (B, 1, D) that stand for no latent, the first of every memory."""
        return self.no_latent.expand(count, 1, -1)

    def prior_moments(self, tokens, latents, cache: dict) -> Moments:
        """Moments (B, N, Z) of z of new frames."""
        return _moments(self.moments_prior(self.prior(tokens, latents, cache)))

    def poses_after(self, last, before, tokens, latents, cache: dict) -> torch.Tensor:
        """Poses (B, N, X) of new frames."""
        hidden = self.generator(tokens, latents, cache)
        return last + self.decay * (last - before) + self.scale * self.step(hidden)


def draw(moments: Moments, noise: torch.Tensor | None = None) -> torch.Tensor:
    """Draw by reparametrization, from given standard noise or new one."""
    noise = torch.randn_like(moments[0]) if noise is None else noise
    return moments[0] + torch.exp(0.5 * moments[1]) * noise


def _moments(values: torch.Tensor) -> Moments:
    """Mean and bounded log variance."""
    mean, spread = values.chunk(2, -1)
    return mean, 4 * torch.tanh(spread / 4) - 1
