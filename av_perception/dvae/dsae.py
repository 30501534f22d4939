# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Disentangled sequential autoencoder: one latent for what stays, one per step for what moves.

    p(x_t | z_t, v);   p(z_t | z_1:t-1);   p(v) = N(0, I)
    q(v | x_1:T);   q(z_t | v, x_1:T)

The static latent v is appended to every z_t, so that latents are (T, ..., L + V) with the last V
the same at all times. Source: Li and Mandt, "Disentangled sequential autoencoder", ICML 2018.
"""

from __future__ import annotations

from av_perception.dvae.backend import Array
from av_perception.dvae.model import (
    DynamicalVae,
    Encoded,
    Gaussian,
    State,
    dense_shapes,
    gaussian_divergence,
    lstm_shapes,
)


class Dsae(DynamicalVae):
    """`encode` draws v first; the extra of what it gives is q(v | x)."""

    name = 'dsae'
    has_standard_prior = False
    is_frame_wise = False
    encoder_layers = (
        'features',
        'posterior',
        'static_forward',
        'static_backward',
        'static',
        'heard',
        'future',
        'dynamic',
        'dynamic_posterior',
    )

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        static = config.static_dim
        return {
            **super().shapes(config),
            **lstm_shapes('static_forward', hidden, memory),
            **lstm_shapes('static_backward', hidden, memory),
            **dense_shapes('static', 2 * memory, 2 * static),
            **lstm_shapes('heard', hidden + static, memory),
            **lstm_shapes('future', hidden + static, memory),
            **lstm_shapes('dynamic', 2 * memory, memory),
            **dense_shapes('dynamic_posterior', memory, 2 * latent, bias=False),
            **lstm_shapes('latents', latent, memory),
            **dense_shapes('prior', memory, 2 * latent),
            **dense_shapes('static_decoder', static, hidden, bias=False),
        }

    @property
    def num_latents(self) -> int:
        """See `DynamicalVae`."""
        return self.config.latent_dim + self.config.static_dim

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        return {'latents': self._empty_memory(like)}

    def static_posterior(self, seen: Array) -> Gaussian:
        """q(v | x_1:T) of `features` (T, ..., H)."""
        last = self._remember('static_forward', seen)[-1]
        first = self._remember_backward('static_backward', seen)[0]
        return self._gaussian(self._dense('static', self.ops.concatenate([last, first])))

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: with v at its mean."""
        seen = self.features(x)
        return self._evidence_with(seen, self.static_posterior(seen).mean)

    def prior_step(self, state: State, like: Array | None = None) -> Gaussian:
        """See `DynamicalVae`: of the first L numbers; the others stay."""
        return self._gaussian(self._dense('prior', state['latents'][0]))

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        return self._decode_frames(z)

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'latents': self._step_memory('latents', self._moving(z), state['latents'])}

    def encode(self, x: Array, noise: Array | None = None) -> Encoded:
        """See `DynamicalVae`; v is drawn by the first row of the noise's last V numbers."""
        size = self.config.latent_dim
        seen = self.features(x)
        static = self.static_posterior(seen)
        v = self._draw(static, None if noise is None else noise[0][..., size:])
        posterior = self._gaussian(self._evidence_with(seen, v))
        z = self._draw(posterior, None if noise is None else noise[..., :size])
        sample = self.ops.concatenate([z, self.ops.repeat(v, len(x))])
        return Encoded(posterior, sample, static)

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """See `DynamicalVae`: of the first L numbers."""
        memory = self._delayed(self._remember('latents', self._moving(z)))
        return self._gaussian(self._dense('prior', memory))

    def divergence(self, encoded: Encoded, x: Array | None = None) -> Array:
        """See `DynamicalVae`; that of v is spread evenly over the frames."""
        static = encoded.extra
        zeros = self.ops.zeros_like(static.mean, self.config.static_dim)
        once = gaussian_divergence(self.ops, static, Gaussian(zeros, zeros))
        return super().divergence(encoded, x) + once * (1.0 / len(encoded.sample))

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """See `DynamicalVae`."""
        return self._decode_frames(z)

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """Raise TypeError: v is of all times."""
        raise TypeError('the static latent has no derivatives of one step: take gradients')

    def _moving(self, z: Array) -> Array:
        return z[..., : self.config.latent_dim]

    def _decode_frames(self, z: Array) -> Array:
        static = z[..., self.config.latent_dim :]
        return self._output(
            self._dense('decoder', self._moving(z)) + self._dense('static_decoder', static)
        )

    def _evidence_with(self, seen: Array, v: Array) -> Array:
        both = self.ops.concatenate([seen, self.ops.repeat(v, len(seen))])
        context = [self._remember('heard', both), self._remember_backward('future', both)]
        memory = self._remember('dynamic', self.ops.concatenate(context))
        return self._dense('posterior', seen) + self._dense('dynamic_posterior', memory)
