# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""HiT-DVAE in NumPy: possible futures of a skeleton, from any number of poses for any time ahead.

    p(x, z, w) = p(w) prod_t p(x_t | x_1:t-1, z_1:t, w) p(z_t | x_1:t-1, z_1:t-1, w)

w is the latent of the sequence, z_t of a frame. Both are inferred from the poses seen; then z_t is
drawn from its prior and x_t made, frame by frame, with keys and values kept. Source: Bie et al.,
HiT-DVAE, arXiv 2204.01565, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from av_perception.errors import UserError
from av_perception.motion_forecast.network_shape import NetworkShape
from av_perception.motion_forecast.transformer import (
    Decoder,
    DecoderCache,
    Encoder,
    WeightTable,
)

Moments = tuple[np.ndarray, np.ndarray]


class HitDvae:
    """The networks. Poses are (B, T, X) [m], root motion removed."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        """Take weights as `training` writes them.

        Raises
        ------
        UserError
            When there is none of a name, or one of another shape.
        """
        try:
            self.shape = NetworkShape(*(int(number) for number in arrays['shape']))
            values = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
            table = WeightTable(values)
            expected = (self.shape.width, 2 * self.shape.pose)
            if table['embed.weight'].shape != expected:
                raise ValueError(f'embed.weight must be {expected}')
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise UserError(f'these are no weights of a HiT-DVAE: {error}') from error
        self._table = table
        shape = self.shape
        heads = shape.heads
        self._encoders = {
            name: Encoder(table.part(name), shape.encoder_layers, heads)
            for name in ('encoder_w', 'encoder_z')
        }
        self._moments = {
            'w': table.dense('moments_w', 'encoder_w.norm'),
            'z': table.dense('moments_z', 'encoder_z.norm'),
            'prior': table.dense('moments_prior', 'prior.norm'),
        }
        self._step = table.dense('step', 'generator.norm')
        self._embed = {
            name: table.dense(name) for name in ('embed', 'embed_latent', 'embed_sequence')
        }
        self._prior = Decoder(table.part('prior'), shape.prior_layers, heads, 0)
        self._generator = Decoder(table.part('generator'), shape.generator_layers, heads, 1)

    @property
    def center(self) -> np.ndarray:
        """(X,) [m] mean pose of what it was trained on."""
        return self._table['center']

    def infer_w(self, poses: np.ndarray) -> Moments:
        """Mean and log variance (B, W) of the latent of sequences."""
        none = np.zeros((len(poses), self.shape.sequence), np.float32)
        hidden = self._encoded('encoder_w', poses, none).mean(1)
        return _moments(self._moments['w'](hidden))

    def infer_z(self, poses: np.ndarray, w: np.ndarray) -> Moments:
        """Mean and log variance (B, T, Z) of the posterior of the latents of all frames."""
        return _moments(self._moments['z'](self._encoded('encoder_z', poses, w)))

    def prior_moments(self, poses: np.ndarray, z: np.ndarray, w: np.ndarray) -> Moments:
        """Mean and log variance (B, T, Z) of every z_t given the poses and latents before it."""
        last, before = self.shifted(poses)
        memory = np.concatenate([self._none(len(poses)), self._latents(z[:, :-1], 1)], 1)
        hidden = self._prior(self._tokens(last, before, 1, w), memory, DecoderCache())
        return _moments(self._moments['prior'](hidden))

    def generate(self, poses: np.ndarray, z: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Every pose (B, T, X) given the true poses before it and the latents up to it."""
        last, before = self.shifted(poses)
        memory = np.concatenate([self._none(len(poses)), self._latents(z, 1)], 1)
        tokens = self._tokens(last, before, 1, w)
        return self._made(last, before, tokens, memory, DecoderCache())

    def sample(
        self,
        seen: np.ndarray,
        ahead: int,
        num_samples: int,
        random: np.random.Generator,
        temperature: float = 1.0,
    ) -> np.ndarray:
        """Draw futures.

        Parameters
        ----------
        seen
            (O, X) [m] poses, two at least.
        ahead
            Frames to come.
        num_samples
            S futures.
        random
            Source of what is drawn.
        temperature
            Factor of the noise of all latents; 0 draws none.

        Returns
        -------
        np.ndarray
            (S, ahead, X) [m]. Raises ValueError for poses of another size, fewer than two, or not
            finite.
        """
        seen = np.asarray(seen, np.float32)
        self._check(seen)
        shape = (num_samples, len(seen) + ahead, self.shape.latent)
        noise_w = temperature * random.standard_normal((num_samples, self.shape.sequence))
        noise_z = (temperature * random.standard_normal(shape)).astype(np.float32)
        # What was seen is the same for all: w and z differ by their noise alone.
        w = _drawn(self.infer_w(seen[None]), noise_w.astype(np.float32))
        return self.continued(np.repeat(seen[None], num_samples, 0), ahead, w, noise_z)

    def _check(self, seen: np.ndarray) -> None:
        if seen.ndim != 2 or len(seen) < 2 or seen.shape[1] != self.shape.pose:
            raise ValueError(f'poses must be (2 or more, {self.shape.pose}), not {seen.shape}')
        if not np.isfinite(seen).all():
            raise ValueError('the poses are not finite')

    def continued(
        self, seen: np.ndarray, ahead: int, w: np.ndarray, noise: np.ndarray
    ) -> np.ndarray:
        """Go on after (B, O, X), with w (B, W) and noise (B, O + ahead, Z) of the latents."""
        count = seen.shape[1]
        z = _drawn(self.infer_z(seen, w), noise[:, :count])
        memory = np.concatenate([self._none(len(seen)), self._latents(z, 1)], 1)
        last, before = self.shifted(seen)
        tokens = self._tokens(last, before, 1, w)
        prior_cache = DecoderCache()
        cache = DecoderCache()
        self._prior(tokens, memory[:, :-1], prior_cache)
        self._generator(tokens, memory, cache)
        latest = memory[:, -1:]
        before, last = seen[:, -2:-1], seen[:, -1:]
        made = np.empty((len(seen), ahead, seen.shape[2]), np.float32)
        for k in range(ahead):
            frame = count + k
            token = self._tokens(last, before, frame + 1, w)
            hidden = self._prior(token, latest, prior_cache)
            moments = _moments(self._moments['prior'](hidden))
            latest = self._latents(_drawn(moments, noise[:, frame : frame + 1]), frame + 1)
            pose = self._made(last, before, token, latest, cache)
            made[:, k] = pose[:, 0]
            before, last = last, pose
        return made

    def shifted(self, poses: np.ndarray) -> Moments:
        """Pose before each frame, and the one before that (B, T, X); before the first: center."""
        first = np.broadcast_to(self._table['center'], (len(poses), 1, poses.shape[2]))
        last = np.concatenate([first, poses[:, :-1]], 1)
        head = last[:, 1:2] if poses.shape[1] > 1 else first
        before = np.concatenate([first, head, last[:, 1:-1]], 1)
        return last, before[:, : poses.shape[1]]

    def _encoded(self, name: str, poses: np.ndarray, w: np.ndarray) -> np.ndarray:
        before = np.concatenate([poses[:, :1], poses[:, :-1]], 1)
        tokens = self._tokens(poses, before, 1, w)
        return self._encoders[name](tokens)

    def _tokens(self, poses, before, first: int, w: np.ndarray) -> np.ndarray:
        """Embed poses and their last step, of frames `first` on, and w."""
        table = self._table
        inputs = np.concatenate([poses - table['center'], 4 * (poses - before)], -1)
        code = time_code(first, poses.shape[1], self.shape.width)
        embedded = self._embed['embed'](inputs / table['scale'])
        return embedded + code + self._embed['embed_sequence'](w)[:, None]

    def _latents(self, z: np.ndarray, first: int) -> np.ndarray:
        code = time_code(first, z.shape[1], self.shape.width)
        return self._embed['embed_latent'](z) + code

    def _none(self, count: int) -> np.ndarray:
        return np.broadcast_to(self._table['no_latent'], (count, 1, self.shape.width))

    def _made(self, last, before, tokens, latents, cache: DecoderCache) -> np.ndarray:
        table = self._table
        hidden = self._generator(tokens, latents, cache)
        step = table['scale'] * self._step(hidden)
        return last + table['decay'] * (last - before) + step


def time_code(first: int, count: int, width: int) -> np.ndarray:
    """(count, width) sines and cosines of the frame's number."""
    rates = np.exp(np.arange(0, width, 2) * (-np.log(1000.0) / width))
    angles = np.arange(first, first + count)[:, None] * rates
    code = np.stack([np.sin(angles), np.cos(angles)], -1)
    return code.reshape(count, width).astype(np.float32)


def divergence(q: Moments, p: Moments) -> np.ndarray:
    """KL of diagonal Gaussians (mean, log variance), number by number."""
    spread = np.exp(q[1] - p[1]) + np.square(q[0] - p[0]) * np.exp(-p[1])
    return 0.5 * (spread - 1 - q[1] + p[1])


def _drawn(moments: Moments, noise: np.ndarray) -> np.ndarray:
    return moments[0] + np.exp(0.5 * moments[1]) * noise


def _moments(values: np.ndarray) -> Moments:
    """Mean and bounded log variance."""
    mean, spread = np.split(values, 2, axis=-1)
    return mean, 4 * np.tanh(spread / 4) - 1
