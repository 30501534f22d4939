# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Kalman VAE: a VAE of a_t, which a mixture of linear systems with state z_t moves.

    p(x_t | a_t);   q(a_t | x_t)
    z_t = A_t z_t-1 + B_t a_t-1 + N(0, Q),   a_t = C_t z_t + N(0, R)

A_t, B_t and C_t are weighted sums of K matrices; the weights come from a memory of a_1:t-1. Given
a, the posterior of z is exact: a Kalman filter and smoother. So the bound needs no sample of z:

    log p(x) >= E_q[log p(x | a) - log q(a | x) + log p(a)]

with the filter's log p(a). For the rest of the suite the latents are a: L is `system_dim`.
Source: Fraccaro, Kamronn, Paquet and Winther, "A disentangled recognition and nonlinear dynamics
model for unsupervised learning", NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.dvae.backend import Array
from av_perception.dvae.model import (
    DynamicalVae,
    Encoded,
    Gaussian,
    State,
    dense_shapes,
    lstm_shapes,
)
from av_perception.numerics.gaussian import LOG_2PI

STATE_NOISE = 0.08  # Q
SYSTEM_NOISE = 0.03  # R
FIRST_VARIANCE = 20.0  # of z_1


@dataclass(frozen=True)
class Systems:
    """Matrices at all times, (T, ..., rows, columns)."""

    transition: Array
    control: Array
    observation: Array


@dataclass(frozen=True)
class States:
    """Mean (T, ..., D, 1) and covariance (T, ..., D, D) of z_t; log_likelihood: (T, ...)."""

    means: Array
    covariances: Array
    log_likelihood: Array = None


class Kvae(DynamicalVae):
    """`latent_dim` numbers move, `system_dim` are seen; the VAE's layers work on the latter."""

    name = 'kvae'
    has_standard_prior = False
    is_frame_wise = False

    @classmethod
    def shapes(cls, config):
        """See `DynamicalVae`."""
        seen, state, count = config.system_dim, config.latent_dim, config.num_systems
        return {
            **super().shapes(config),
            **dense_shapes('posterior', config.hidden_dim, 2 * seen),
            **dense_shapes('decoder', seen, config.hidden_dim),
            **lstm_shapes('mixing', seen, config.memory_dim),
            **dense_shapes('weights', config.memory_dim, count),
            'transition.matrices': (count, state, state),
            'control.matrices': (count, state, seen),
            'observation.matrices': (count, seen, state),
        }

    @property
    def num_latents(self) -> int:
        """See `DynamicalVae`."""
        return self.config.system_dim

    def start(self, like: Array) -> State:
        """See `DynamicalVae`."""
        mean, covariance = self._first(like)
        empty = self._empty_memory(like)
        return {'mixing': empty, 'mean': mean, 'covariance': covariance}

    def prior_step(self, state: State, like: Array | None = None) -> Gaussian:
        """See `DynamicalVae`: of a_t without correlations of its numbers; NumPy alone."""
        observation = self._mix('observation', state['mixing'][0])
        mean = self.ops.matmul(observation, state['mean'])
        spread = self._spread(observation, state['covariance'])
        return Gaussian(mean[..., 0], np.log(np.diagonal(spread, axis1=-2, axis2=-1)))

    def advance(self, state: State, z: Array, x: Array | None = None) -> State:
        """See `DynamicalVae`: correct by a_t, mix the systems anew, predict."""
        observation = self._mix('observation', state['mixing'][0])
        mean, covariance, _ = self._correct(state['mean'], state['covariance'], observation, z)
        mixing = self._step_memory('mixing', z, state['mixing'])
        transition = self._mix('transition', mixing[0])
        control = self._mix('control', mixing[0])
        mean, covariance = self._predict(mean, covariance, transition, control, z)
        return {'mixing': mixing, 'mean': mean, 'covariance': covariance}

    def prior(self, z: Array, x: Array | None = None) -> Gaussian:
        """See `DynamicalVae`: of a_t without correlations of its numbers; NumPy alone."""
        state = self.start(z[0])
        found = []
        for t in range(len(z)):
            found.append(self.prior_step(state))
            state = self.advance(state, z[t])
        stack = self.ops.stack
        return Gaussian(
            stack([one.mean for one in found]), stack([one.log_variance for one in found])
        )

    def divergence(self, encoded: Encoded, x: Array | None = None) -> Array:
        """See `DynamicalVae`: `log q(a_t | x_t) - log p(a_t | a_1:t-1)` of the sample."""
        q = encoded.posterior
        difference = encoded.sample - q.mean
        scaled = difference * difference * self.ops.exp(-q.log_variance)
        log_q = -0.5 * self.ops.sum_last(scaled + q.log_variance + LOG_2PI)
        return log_q - self.filter(encoded.sample).log_likelihood

    def systems(self, a: Array) -> Systems:
        """Matrices at all times, of a (T, ..., A)."""
        memory = self._delayed(self._remember('mixing', a))
        return Systems(
            *(self._mix(name, memory) for name in ('transition', 'control', 'observation'))
        )

    def filter(self, a: Array) -> States:
        """Filter z_t from a_1:t, and `log p(a_t | a_1:t-1)`, of a (T, ..., A)."""
        return self._filter(a, self.systems(a))[0]

    def smooth(self, a: Array) -> States:
        """Smooth z_t from all of a (T, ..., A), backwards (Rauch, Tung and Striebel 1965)."""
        ops = self.ops
        systems = self.systems(a)
        filtered, predicted = self._filter(a, systems)
        means = [filtered.means[-1]]
        covariances = [filtered.covariances[-1]]
        for t in range(len(a) - 2, -1, -1):
            mean, covariance = predicted[t + 1]
            cross = ops.matmul(filtered.covariances[t], ops.transpose(systems.transition[t + 1]))
            gain = ops.matmul(cross, ops.inverse(covariance))
            moved = ops.matmul(gain, means[-1] - mean)
            shrunk = ops.matmul(gain, covariances[-1] - covariance)
            means.append(filtered.means[t] + moved)
            covariances.append(filtered.covariances[t] + ops.matmul(shrunk, ops.transpose(gain)))
        return States(ops.stack(means[::-1]), ops.stack(covariances[::-1]))

    def _filter(self, a: Array, systems: Systems) -> tuple[States, list]:
        """Also the predictions, mean and covariance of every step."""
        mean, covariance = self._first(a[0])
        predicted = []
        rows = []
        for t in range(len(a)):
            if t:
                matrices = systems.transition[t], systems.control[t]
                mean, covariance = self._predict(mean, covariance, *matrices, a[t - 1])
            predicted.append((mean, covariance))
            rows.append(self._correct(mean, covariance, systems.observation[t], a[t]))
            mean, covariance = rows[-1][:2]
        return States(*(self.ops.stack(list(column)) for column in zip(*rows))), predicted

    def _first(self, like: Array) -> tuple[Array, Array]:
        """Mean (..., D, 1) and covariance (..., D, D) of z_1."""
        size = self.config.latent_dim
        zeros = self.ops.zeros_like(like, size * size)
        shape = like.shape[:-1]
        covariance = self.ops.reshape(zeros, (*shape, size, size)) + FIRST_VARIANCE * self._eye(
            size
        )
        return self.ops.reshape(zeros[..., :size], (*shape, size, 1)), covariance

    def _predict(self, mean, covariance, transition, control, a) -> tuple[Array, Array]:
        """Move by A and B: (..., D, 1) and (..., D, D)."""
        ops = self.ops
        moved = ops.matmul(transition, mean) + ops.matmul(control, self._column(a))
        spread = ops.matmul(ops.matmul(transition, covariance), ops.transpose(transition))
        return moved, spread + STATE_NOISE * self._eye(self.config.latent_dim)

    def _correct(self, mean, covariance, observation, a) -> tuple[Array, Array, Array]:
        """Bayes' rule by a (..., A): mean, covariance, log likelihood."""
        ops = self.ops
        spread = self._spread(observation, covariance)
        inverse = ops.inverse(spread)
        gain = ops.matmul(ops.matmul(covariance, ops.transpose(observation)), inverse)
        residual = self._column(a) - ops.matmul(observation, mean)
        kept = covariance - ops.matmul(ops.matmul(gain, observation), covariance)
        kept = 0.5 * (kept + ops.transpose(kept))
        quadratic = ops.matmul(ops.matmul(ops.transpose(residual), inverse), residual)[..., 0, 0]
        constant = self.config.system_dim * LOG_2PI
        log_likelihood = -0.5 * (quadratic + ops.log_determinant(spread) + constant)
        return mean + ops.matmul(gain, residual), kept, log_likelihood

    def _spread(self, observation: Array, covariance: Array) -> Array:
        """(..., A, A) covariance of a_t before it is seen."""
        ops = self.ops
        through = ops.matmul(ops.matmul(observation, covariance), ops.transpose(observation))
        return through + SYSTEM_NOISE * self._eye(self.config.system_dim)

    def _mix(self, name: str, memory: Array) -> Array:
        """(..., rows, columns) sum of the K matrices, weighted by what memory (..., M) says."""
        matrices = self.parameters[f'{name}.matrices']
        count, rows, columns = matrices.shape
        weights = self.ops.softmax(self._dense('weights', memory))
        flat = self.ops.transpose(self.ops.reshape(matrices, (count, rows * columns)))
        return self.ops.reshape(
            self.ops.dense(weights, flat), (*weights.shape[:-1], rows, columns)
        )

    def _column(self, a: Array) -> Array:
        return self.ops.reshape(a, (*a.shape, 1))

    def _eye(self, size: int) -> Array:
        """(D, D), of the kind of the parameters."""
        like = self.parameters['data.mean']
        return self.ops.eye(like, size)
