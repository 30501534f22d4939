# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational filter of a piecewise-linear dynamical system: p(x_t, z_t | y_1..y_t) ~ q(x) q(z).

Every step alternates E-x and E-z on the pair (x_t-1, x_t), from several starts, since the mean
field can lock on a wrong piece: the prior of the pieces, their posterior under the predicted
state, and, with a gate, under the observation alone. The start that ends with the highest bound
counts. With one piece it is Kalman's filter, and the bound of a step is its log-likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.numerics.gaussian import inverse_and_log_det, matvec
from av_perception.numerics.kalman_steps import predict, update_information
from av_perception.numerics.plds import Evidence, PieceDynamics, Plds, evidence_of, gate_of
from av_perception.numerics.plds_steps import expected_motion, expected_states, state_bound
from av_perception.numerics.softmax import log_softmax, log_sum_exp, normalize_log, softmax

_LEAST_GAIN = 1e-6  # [nat]; a cycle that gains less ends a step
_NEVER = -700.0  # log probability of a piece that is excluded: finite, so that products are


@dataclass(frozen=True)
class PldsBelief:
    """What is known of one moment.

    mean: (L,) and covariance: (L, L) of x_t; pieces: (K,) q(z_t); bound: of the log-likelihood of
    the observation, given those before; predicted_mean: (L,) and predicted_covariance: (L, L)
    before the observation.
    """

    mean: np.ndarray
    covariance: np.ndarray
    pieces: np.ndarray
    bound: float = 0.0
    predicted_mean: np.ndarray | None = None
    predicted_covariance: np.ndarray | None = None


@dataclass(frozen=True)
class FilteredPlds:
    """Beliefs of T moments.

    means, predicted_means: (T, L); covariances, predicted_covariances: (T, L, L); pieces: (T, K);
    bounds: (T,).
    """

    means: np.ndarray
    covariances: np.ndarray
    pieces: np.ndarray
    predicted_means: np.ndarray
    predicted_covariances: np.ndarray
    bounds: np.ndarray


def filter_plds(
    model: Plds, values: np.ndarray, noise_scale: np.ndarray | float = 1.0, iterations: int = 5
) -> FilteredPlds:
    """Filter a sequence.

    Parameters
    ----------
    model
        The model.
    values
        (T, D) observations, NaN where nothing was measured.
    noise_scale
        See `evidence_of`.
    iterations
        Largest number of cycles of a step.

    Returns
    -------
    FilteredPlds
        The beliefs.
    """
    evidence = evidence_of(model.observation, values, noise_scale)
    beliefs: list[PldsBelief] = []
    for t in range(len(values)):
        now = Evidence(
            evidence.precision[t : t + 1], evidence.vector[t : t + 1], evidence.constant[t : t + 1]
        )
        last = beliefs[-1] if beliefs else None
        beliefs.append(filter_step(model, last, now, iterations))
    return FilteredPlds(
        np.array([belief.mean for belief in beliefs]),
        np.array([belief.covariance for belief in beliefs]),
        np.array([belief.pieces for belief in beliefs]),
        np.array([belief.predicted_mean for belief in beliefs]),
        np.array([belief.predicted_covariance for belief in beliefs]),
        np.array([belief.bound for belief in beliefs]),
    )


def filter_step(
    model: Plds, last: PldsBelief | None, evidence: Evidence, iterations: int = 5
) -> PldsBelief:
    """Take one observation.

    Parameters
    ----------
    model
        The model.
    last
        Belief of the moment before, None for the first observation.
    evidence
        Of T = 1 observation, see `evidence_of`.
    iterations
        Largest number of cycles.

    Returns
    -------
    PldsBelief
        After the observation; the prediction where nothing was measured.
    """
    if last is None:
        log_prior = model.log_initial
        pair = _Pair(model.dynamics, evidence, has_past=False)
    else:
        log_prior = log_sum_exp(_log(last.pieces)[:, None] + model.log_switching, axis=0)
        pair = _Pair.after(last, model.dynamics, evidence)
    mean, covariance = pair.prediction(softmax(log_prior))
    log_gate = gate_of(model, mean[None], covariance[None])[0]
    log_prior = np.maximum(log_softmax(log_prior + log_gate), _NEVER)
    best = _best(model, pair, log_prior, iterations)
    return replace(best, predicted_mean=mean, predicted_covariance=covariance)


def _best(model: Plds, pair: _Pair, log_prior: np.ndarray, iterations: int) -> PldsBelief:
    """Iterate from all starts, and keep the one with the highest bound."""
    if not pair.has_past and not pair.evidence.precision.any():
        dynamics = pair.dynamics  # nothing was measured: the prediction stays
        return PldsBelief(dynamics.mean, dynamics.covariance, softmax(log_prior))
    last = Evidence(*(part[-1:] for part in _parts(pair.evidence)))
    starts = _starts(model, pair, last, log_prior)
    if not pair.has_past:
        return _iterate_alone(pair, log_prior, np.array(starts), iterations)
    runs = [_iterate(pair, log_prior, start, iterations) for start in starts]
    return max(runs, key=lambda run: run.bound)


@dataclass(frozen=True)
class _Pair:
    """The last one or two states of a chain, and the evidence of the last."""

    dynamics: PieceDynamics
    evidence: Evidence
    has_past: bool

    @classmethod
    def after(cls, last: PldsBelief, dynamics: PieceDynamics, evidence: Evidence) -> _Pair:
        """Make the pair that follows a belief.

        With dynamics that all pieces share the state before is integrated out: one state is left.
        """
        if not dynamics.is_shared:
            before = replace(dynamics, mean=last.mean, covariance=last.covariance)
            zeros = Evidence(*(np.zeros_like(part) for part in _parts(evidence)))
            both = [np.concatenate(pair) for pair in zip(_parts(zeros), _parts(evidence))]
            return cls(before, Evidence(*both), True)
        mean, covariance = predict(
            last.mean, last.covariance, dynamics.transition[0], dynamics.noise[0]
        )
        moved = replace(dynamics, mean=mean + dynamics.drift[0], covariance=covariance)
        return cls(moved, evidence, False)

    def predictions(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (M, L) and covariance (M, L, L) of the last state before its observation."""
        dynamics = self.dynamics
        if not self.has_past:
            return dynamics.mean[None], dynamics.covariance[None]
        mean, covariance = predict(
            dynamics.mean, dynamics.covariance, dynamics.transition, dynamics.noise
        )
        return mean + dynamics.drift, covariance

    def prediction(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (L,) and covariance (L, L) of the same, averaged with (K,) weights of pieces."""
        means, covariances = self.predictions()
        if len(means) == 1:
            return means[0], covariances[0]
        mean = weights @ means
        apart = means - mean
        spread = covariances + apart[:, :, None] * apart[:, None]
        return mean, np.einsum('k,kij->ij', weights, spread)


def _parts(evidence: Evidence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return evidence.precision, evidence.vector, evidence.constant


def _log(weights: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(weights, np.exp(_NEVER)))


def _starts(
    model: Plds, pair: _Pair, evidence: Evidence, log_prior: np.ndarray
) -> list[np.ndarray]:
    """First q(z), (K,) each."""
    starts = [softmax(log_prior)]
    if not evidence.precision.any() or model.num_pieces == 1:
        return starts  # nothing was measured, or there is no choice
    precision, vector, constant = (part[0] for part in _parts(evidence))
    # p(z_t | y_1..y_t) when the predicted state is integrated out.
    *_, log_evidence = update_information(*pair.predictions(), precision, vector)
    starts.append(softmax(log_prior + constant + log_evidence))
    gate = model.gate
    if gate is not None:
        # p(z_t | y_t): the state is where the piece is.
        size = gate.center.shape[1]
        covariance = np.linalg.inv(gate.precision)
        leading = precision[:, :size, :size], vector[:, :size]
        *_, log_evidence = update_information(gate.center, covariance, *leading)
        starts.append(softmax(gate.log_weight + constant + log_evidence))
    return starts


def _iterate_alone(
    pair: _Pair, log_prior: np.ndarray, weights: np.ndarray, iterations: int
) -> PldsBelief:
    """Do what `_iterate` does from S starts (S, K) at once, where one state is left."""
    precision, vector, constant = (part[0] for part in _parts(pair.evidence))
    flat = precision.reshape(len(precision), -1)
    mean, covariance = pair.dynamics.mean, pair.dynamics.covariance
    size = len(mean)
    prior, log_det = inverse_and_log_det(covariance)
    last_bound = np.full(len(weights), -np.inf)
    for _ in range(iterations):
        # E-x: q(x) by averaged precisions.
        total = prior + (weights @ flat).reshape(-1, size, size)
        spread = np.linalg.inv(total)
        means = matvec(spread, prior @ mean + weights @ vector)
        # E-z: q(z) by expected log densities.
        moment = spread + means[:, :, None] * means[:, None]
        expected = constant + means @ vector.T - 0.5 * moment.reshape(-1, size * size) @ flat.T
        weights, log_evidence = normalize_log(expected + log_prior)
        # The bound: the divergence of q(x) from the prediction is subtracted.
        shift = means - mean
        distance = (prior * (spread + shift[:, :, None] * shift[:, None])).sum(axis=(1, 2))
        divergence = distance - size + log_det + np.linalg.slogdet(total)[1]
        bound = log_evidence - 0.5 * divergence
        if (bound - last_bound < _LEAST_GAIN).all():
            break
        last_bound = bound
    best = int(bound.argmax())
    return PldsBelief(means[best], spread[best], weights[best], float(bound[best]))


def _iterate(
    pair: _Pair, log_prior: np.ndarray, weights: np.ndarray, iterations: int
) -> PldsBelief:
    """Alternate E-x and E-z from a start (K,), until the bound gains no more."""
    last_bound = -np.inf
    for _ in range(iterations):
        both = np.stack([weights, weights]) if pair.has_past else weights[None]
        states = expected_states(pair.dynamics, pair.evidence, both)
        log_joint = pair.evidence.expected_log(states.means, states.covariances)[-1] + log_prior
        if pair.has_past:
            log_joint = log_joint + expected_motion(pair.dynamics, states)[-1]
        weights, log_evidence = normalize_log(log_joint)
        bound = float(log_evidence) + state_bound(pair.dynamics, states)
        if bound - last_bound < _LEAST_GAIN:
            break
        last_bound = bound
    return PldsBelief(states.means[-1], states.covariances[-1], weights, bound)
