# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Deep Kalman filter: latents that move by a nonlinear Gaussian step, data of the latents of now.

    p(x_t | z_t);   p(z_t | z_t-1);   q(z_t | z_t-1, x_t:T)

The step is gated between a linear and a nonlinear one. Sources: Krishnan, Shalit and Sontag, "Deep
Kalman filters", 2015, and "Structured inference networks for nonlinear state space models", AAAI
2017.
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

LIMIT = 10.0  # of the log variance of a step


class Dkf(DynamicalVae):
    """A state space: its decoder is the VAE's."""

    name = 'dkf'
    has_standard_prior = False
    has_chained_posterior = True
    is_frame_wise = False
    encoder_layers = (
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
            **dense_shapes('past', latent, hidden),
            **dense_shapes('past_posterior', hidden, 2 * latent, bias=False),
            **dense_shapes('transition', latent, hidden),
            **dense_shapes('gate', hidden, latent),
            **dense_shapes('proposal', hidden, latent),
            **dense_shapes('linear', latent, latent),
            **dense_shapes('prior_log_variance', hidden, latent),
        }

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        return {'z': self.ops.zeros_like(like, self.config.latent_dim)}

    def evidence(self, x: Array) -> Array:
        """See `DynamicalVae`: of x_t:T."""
        seen = self.features(x)
        future = self._remember_backward('future', seen)
        return self._dense('posterior', seen) + self._dense('future_posterior', future)

    def encode_step(self, state: State, evidence: Array) -> Gaussian:
        """See `DynamicalVae`."""
        past = self._hidden('past', state['z'])
        return self._gaussian(evidence + self._dense('past_posterior', past))

    def prior_step(self, state: State, like: Array | None = None) -> Gaussian:
        """See `DynamicalVae`."""
        return self._move(state['z'])

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`."""
        return {'z': z}

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """See `DynamicalVae`."""
        return self._move(self._delayed(z))

    def _move(self, z: Array) -> Gaussian:
        """p(z_t | z_t-1 = z): mean (1 - g) (L z + l) + g p."""
        hidden = self._hidden('transition', z)
        gate = self.ops.sigmoid(self._dense('gate', hidden))
        straight = self._dense('linear', z)
        mean = straight + gate * (self._dense('proposal', hidden) - straight)
        spread = self._dense('prior_log_variance', hidden)
        return Gaussian(mean, self.ops.clip(spread, -LIMIT, LIMIT))
