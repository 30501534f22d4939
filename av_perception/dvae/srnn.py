# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stochastic RNN: a memory of past data beside latents that move with it.

    p(x_t | x_1:t-1, z_t);   p(z_t | x_1:t-1, z_t-1);   q(z_t | z_t-1, x_1:T)

Source: Fraccaro, Sonderby, Paquet and Winther, "Sequential neural models with stochastic layers",
NeurIPS 2016.
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


class Srnn(AutoregressiveVae):
    """Its posterior has the structure of the exact one."""

    name = 'srnn'
    has_standard_prior = False
    has_chained_posterior = True
    encoder_layers = ('posterior', 'future', 'future_posterior', 'past', 'past_posterior')

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        return {
            **super().shapes(config),
            **lstm_shapes('data', hidden, memory),
            **lstm_shapes('future', hidden + memory, memory),
            **dense_shapes('future_posterior', memory, 2 * latent, bias=False),
            **dense_shapes('past', latent, hidden),
            **dense_shapes('past_posterior', hidden, 2 * latent, bias=False),
            **dense_shapes('prior_hidden', memory + latent, hidden),
            **dense_shapes('prior', hidden, 2 * latent),
            **dense_shapes('memory_decoder', memory, hidden, bias=False),
        }

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        z = self.ops.zeros_like(like, self.config.latent_dim)
        return {'z': z, 'data': self._empty_memory(like)}

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: of x_1:T, what was before x_t through the memory of data."""
        seen = self.features(x)
        before = self._delayed(self._remember('data', seen))
        future = self._remember_backward('future', self.ops.concatenate([seen, before]))
        return self._dense('posterior', seen) + self._dense('future_posterior', future)

    def encode_step(self, state: State, evidence: Array) -> Gaussian:
        """See `DynamicalVae`."""
        past = self._hidden('past', state['z'])
        return self._gaussian(evidence + self._dense('past_posterior', past))

    def prior_step(self, state: State, like: Array | None = None) -> Gaussian:
        """See `DynamicalVae`."""
        return self._prior_of(state['data'][0], state['z'])

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        return self._decode_with(state['data'][0], z)

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'z': z, 'data': self._step_memory('data', self.features(x), state['data'])}

    def _advance_encoder(self, state: State, z: Array, x: Array) -> State:
        return {**state, 'z': z}

    def _prior_of(self, memory: Array, z: Array) -> Gaussian:
        hidden = self._hidden('prior_hidden', self.ops.concatenate([memory, z]))
        return self._gaussian(self._dense('prior', hidden))

    def _past(self, z: Array, x: Array) -> Array:
        return self._delayed(self._remember('data', self.features(x)))

    def _prior_given(self, z: Array, x: Array) -> Gaussian:
        return self._prior_of(self._past(z, x), self._delayed(z))
