# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The steps of variational inference in piecewise-linear dynamical systems: E-x, E-z, the bound.

A cycle computes the Gaussian of the states from precisions averaged over the pieces (E-x), then
the chain of the pieces from expected log densities (E-z).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.block_tridiagonal import ChainMoments, chain_moments
from av_perception.numerics.gaussian import LOG_2PI, inverse_and_log_det, matvec
from av_perception.numerics.hmm import ChainPosterior, forward_backward
from av_perception.numerics.plds import Evidence, PieceDynamics


@dataclass(frozen=True)
class SmoothedPlds:
    """What a whole sequence says.

    states: q(x); pieces: q(z), `pieces.states` (T, K) and `pieces.pairs` (T - 1, K, K); bound: of
    the log-likelihood; history: the bound after every cycle.
    """

    states: ChainMoments
    pieces: ChainPosterior
    bound: float
    history: tuple[float, ...] = ()


def smoothing_cycle(
    dynamics: PieceDynamics,
    evidence: Evidence,
    chain: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray,
) -> SmoothedPlds:
    """Take one E-x step and the E-z step after it.

    Parameters
    ----------
    dynamics
        Of the states.
    evidence
        Of the observations.
    chain
        (K,) log pi and (T - 1, K, K) log tau.
    weights
        (T, K) q(z) before.
    """
    states = expected_states(dynamics, evidence, weights)
    log_likelihood = evidence.expected_log(states.means, states.covariances)
    log_likelihood[1:] += expected_motion(dynamics, states)
    pieces = forward_backward(*chain, log_likelihood)
    bound = float(pieces.log_evidence) + state_bound(dynamics, states)
    return SmoothedPlds(states, pieces, bound)


def expected_states(
    dynamics: PieceDynamics, evidence: Evidence, weights: np.ndarray
) -> ChainMoments:
    """E-x: the Gaussian whose natural parameters are averaged over the pieces.

    The averages are those of no single (C, G): M11 = sum r C' G^-1 C, M12 = sum r C' G^-1,
    M22 = sum r G^-1, v1 = - sum r C' G^-1 d, v2 = sum r G^-1 d.
    """
    precision, vector = evidence.averaged(weights)
    inverse = np.linalg.inv(dynamics.noise)
    backward = dynamics.transition.swapaxes(1, 2) @ inverse  # C' G^-1
    moving = weights[1:]
    if dynamics.is_shared:
        moving = np.ones((len(weights) - 1, 1))
    prior = np.linalg.inv(dynamics.covariance)
    diagonal = precision.copy()
    diagonal[0] += prior
    diagonal[1:] += np.einsum('tk,kij->tij', moving, inverse)
    diagonal[:-1] += np.einsum('tk,kij->tij', moving, backward @ dynamics.transition)
    upper = -np.einsum('tk,kij->tij', moving, backward)
    vector[0] += prior @ dynamics.mean
    vector[1:] += moving @ matvec(inverse, dynamics.drift)
    vector[:-1] -= moving @ matvec(backward, dynamics.drift)
    return chain_moments(diagonal, upper, vector)


def motion_moments(dynamics: PieceDynamics, states: ChainMoments) -> np.ndarray:
    """Second moments (T - 1, M, L, L) of `x_t - C_k x_t-1 - d_k` under q(x)."""
    transition = dynamics.transition
    before = states.means[:-1]
    shift = states.means[1:, None] - np.einsum('kij,tj->tki', transition, before) - dynamics.drift
    crossed = np.einsum('kij,tjl->tkil', transition, states.lag_one)  # C Cov(x_t-1, x_t)
    moved = transition @ states.covariances[:-1, None] @ transition.swapaxes(1, 2)
    spread = states.covariances[1:, None] - crossed - crossed.swapaxes(2, 3) + moved
    return spread + shift[..., :, None] * shift[..., None, :]


def expected_motion(dynamics: PieceDynamics, states: ChainMoments) -> np.ndarray:
    """Give expected log densities f_tk of the motion, (T - 1, M)."""
    inverse, log_det = inverse_and_log_det(dynamics.noise)
    size = states.means.shape[1]
    quadratic = np.einsum('kij,tkji->tk', inverse, motion_moments(dynamics, states))
    return -0.5 * (size * LOG_2PI + log_det + quadratic)


def state_bound(dynamics: PieceDynamics, states: ChainMoments) -> float:
    """Part of the bound that the states add: E[log p(x_1)] and the entropy of q(x)."""
    inverse, log_det = inverse_and_log_det(dynamics.covariance)
    count, size = states.means.shape
    shift = states.means[0] - dynamics.mean
    moment = states.covariances[0] + np.outer(shift, shift)
    prior = -0.5 * (size * LOG_2PI + log_det + np.trace(inverse @ moment))
    entropy = 0.5 * (count * size * (1 + LOG_2PI) - states.log_det_precision)
    return float(prior + entropy)
