# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""STORN: one memory of past data and of latents makes the data; latents are independent.

    p(x_t | x_1:t-1, z_1:t);   p(z_t) = N(0, I);   q(z_t | x_1:t)

Source: Bayer and Osendorfer, "Learning stochastic recurrent networks", 2014.
"""

from __future__ import annotations

from av_perception.dvae.backend import Array
from av_perception.dvae.model import AutoregressiveVae, State, dense_shapes, lstm_shapes


class Storn(AutoregressiveVae):
    """Stochastic recurrent network; its posterior leaves out what the exact one would know."""

    name = 'storn'
    encoder_layers = ('posterior', 'heard', 'heard_posterior')

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        return {
            **super().shapes(config),
            **lstm_shapes('heard', hidden, memory),
            **dense_shapes('heard_posterior', memory, 2 * latent, bias=False),
            **lstm_shapes('memory', hidden + latent, memory),
            **dense_shapes('memory_decoder', memory, hidden, bias=False),
        }

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        seen = self.ops.zeros_like(like, self.config.hidden_dim)
        return {'seen': seen, 'memory': self._empty_memory(like)}

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: of x_1:t."""
        seen = self.features(x)
        heard = self._remember('heard', seen)
        return self._dense('posterior', seen) + self._dense('heard_posterior', heard)

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        memory = self._memory_with(state, z)
        return self._output(self._dense('decoder', z) + self._dense('memory_decoder', memory[0]))

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'seen': self.features(x), 'memory': self._memory_with(state, z)}

    def _memory_with(self, state: State, z: Array) -> tuple[Array, Array]:
        both = self.ops.concatenate([state['seen'], z])
        return self._step_memory('memory', both, state['memory'])

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """See `DynamicalVae`."""
        both = self.ops.concatenate([self._delayed(self.features(self.decode(z))), z])
        return self._added_by('memory', both, self.config.latent_dim)

    def _past(self, z: Array, x: Array) -> Array:
        both = self.ops.concatenate([self._delayed(self.features(x)), z])
        return self._remember('memory', both)
