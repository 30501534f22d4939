# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recurrent VAE: the decoder remembers all latents so far, or all there are.

    p(x_t | z_1:t) (causal) or p(x_t | z_1:T);   p(z_t) = N(0, I)
    q(z_t | z_1:t-1, x_t:T) (causal) or q(z_t | z_1:t-1, x_1:T)

Source: Leglaive, Alameda-Pineda, Girin and Horaud, "A recurrent variational autoencoder for speech
enhancement", ICASSP 2020.
"""

from __future__ import annotations

from av_perception.dvae.backend import Array
from av_perception.dvae.model import (
    DynamicalVae,
    Gaussian,
    State,
    dense_shapes,
    lstm_shapes,
)


class Rvae(DynamicalVae):
    """The causal model: what is decoded depends on latents up to now."""

    name = 'rvae'
    has_chained_posterior = True
    is_frame_wise = False
    encoder_layers: tuple[str, ...] = (
        'features',
        'posterior',
        'future',
        'future_posterior',
        'past',
        'past_posterior',
    )

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        return {
            **super().shapes(config),
            **lstm_shapes('future', hidden, memory),
            **dense_shapes('future_posterior', memory, 2 * latent, bias=False),
            **lstm_shapes('past', latent, memory),
            **dense_shapes('past_posterior', memory, 2 * latent, bias=False),
            **lstm_shapes('latents', latent, memory),
            **dense_shapes('memory_decoder', memory, hidden, bias=False),
        }

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        empty = self._empty_memory(like)
        return {'past': empty, 'latents': empty}

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: of x_t:T."""
        seen = self.features(x)
        future = self._remember_backward('future', seen)
        return self._dense('posterior', seen) + self._dense('future_posterior', future)

    def encode_step(self, state: State, evidence: Array) -> Gaussian:
        """See `DynamicalVae`."""
        return self._gaussian(evidence + self._dense('past_posterior', state['past'][0]))

    def decode_step(self, state: State, z: Array) -> Array:
        """See `DynamicalVae`."""
        memory = self._step_memory('latents', z, state['latents'])
        return self._output(self._dense('decoder', z) + self._dense('memory_decoder', memory[0]))

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        latents = self._step_memory('latents', z, state['latents'])
        return {**self._advance_encoder(state, z, x), 'latents': latents}

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """See `DynamicalVae`."""
        return self._added_by('latents', z, self.config.latent_dim)

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """See `DynamicalVae`."""
        memory = self._remember('latents', z)
        return self._output(self._dense('decoder', z) + self._dense('memory_decoder', memory))

    def _advance_encoder(self, state: State, z: Array, x: Array | None) -> State:
        return {**state, 'past': self._step_memory('past', z, state['past'])}


class NoncausalRvae(Rvae):
    """The non-causal model: what is decoded depends on all latents of the sequence."""

    name = 'rvae_noncausal'
    encoder_layers: tuple[str, ...] = (*Rvae.encoder_layers, 'heard', 'heard_posterior')

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        latent, hidden, memory = config.latent_dim, config.hidden_dim, config.memory_dim
        return {
            **super().shapes(config),
            **lstm_shapes('heard', hidden, memory),
            **dense_shapes('heard_posterior', memory, 2 * latent, bias=False),
            **lstm_shapes('later_latents', latent, memory),
            **dense_shapes('later_decoder', memory, hidden, bias=False),
        }

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: of x_1:T."""
        heard = self._remember('heard', self.features(x))
        return super().evidence(x) + self._dense('heard_posterior', heard)

    def decode_step(self, state: State, z: Array) -> Array:
        """Raise TypeError: what is decoded now depends on what comes later."""
        raise TypeError('a non-causal model decodes whole sequences: call decode')

    def memory_addition(self, z: Array) -> tuple[Array, Array]:
        """Raise TypeError, as `decode_step` does."""
        raise TypeError('a non-causal model has no derivatives of one step: take gradients')

    def decode(self, z: Array, x: Array | None = None, own: Array | None = None) -> Array:
        """See `DynamicalVae`."""
        memory = self._remember('latents', z)
        later = self._remember_backward('later_latents', z)
        return self._output(
            self._dense('decoder', z)
            + self._dense('memory_decoder', memory)
            + self._dense('later_decoder', later)
        )
