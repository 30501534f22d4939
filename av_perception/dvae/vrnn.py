# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational RNN: one memory of all data and latents so far feeds everything.

    p(x_t | x_1:t-1, z_1:t);   p(z_t | x_1:t-1, z_1:t-1);   q(z_t | x_1:t, z_1:t-1)

Source: Chung, Kastner, Dinh, Goel, Courville and Bengio, "A recurrent latent variable model for
sequential data", NeurIPS 2015.
"""

from __future__ import annotations

from av_perception.dvae.backend import Array
from av_perception.dvae.model import (
    AutoregressiveVae,
    Gaussian,
    State,
    dense_shapes,
    lstm_shapes,
)


class Vrnn(AutoregressiveVae):
    """Its posterior leaves out the future data that the exact one would know."""

    name = 'vrnn'
    has_standard_prior = False
    has_chained_posterior = True
    encoder_layers = ('posterior', 'memory_posterior')

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        return {
            **super().shapes(config),
            **dense_shapes('latent_features', latent, hidden),
            **lstm_shapes('memory', 2 * hidden, memory),
            **dense_shapes('memory_posterior', memory, 2 * latent, bias=False),
            **dense_shapes('prior_hidden', memory, hidden),
            **dense_shapes('prior', hidden, 2 * latent),
            **dense_shapes('memory_decoder', memory, hidden, bias=False),
        }

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        return {'memory': self._empty_memory(like)}

    def encode_step(self, state: State, evidence: Array) -> Gaussian:
        """See `DynamicalVae`."""
        return self._gaussian(evidence + self._dense('memory_posterior', state['memory'][0]))

    def prior_step(self, state: State, like: Array | None = None) -> Gaussian:
        """See `DynamicalVae`."""
        return self._prior_of(state['memory'][0])

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        return self._decode_with(state['memory'][0], z)

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'memory': self._step_memory('memory', self._both(z, x), state['memory'])}

    def _both(self, z: Array, x: Array) -> Array:
        return self.ops.concatenate([self.features(x), self._hidden('latent_features', z)])

    def _prior_of(self, memory: Array) -> Gaussian:
        return self._gaussian(self._dense('prior', self._hidden('prior_hidden', memory)))

    def _past(self, z: Array, x: Array) -> Array:
        return self._delayed(self._remember('memory', self._both(z, x)))

    def _prior_given(self, z: Array, x: Array) -> Gaussian:
        return self._prior_of(self._past(z, x))
