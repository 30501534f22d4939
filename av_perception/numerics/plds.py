# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Piecewise-linear dynamical systems: a chain of states seen through affine pieces that switch.

    z_1 ~ pi,   p(z_t = k | z_t-1 = j) = tau_jk
    x_1 ~ N(m0, P0),   x_t | x_t-1, z_t = k ~ N(C_k x_t-1 + d_k, G_k)
    y_t | x_t, z_t = k ~ N(A_k x_t + b_k, S_k)

Pieces may be regions of the state: a gate p(k) N(x; c_k, Gam_k) then multiplies the rows of tau,
averaged over the predicted state. Names in the code: slope for A, offset for b, variance for
diag(S), transition for C, drift for d, noise for G. The static set (A, b, S, gate) comes from
labeled pairs by GLLiM, the dynamic set (C, d, G, tau, pi, m0, P0) from sequences
(`plds_learning`).

Source: Alameda-Pineda, Drouard and Horaud, "Variational inference and learning of piecewise linear
dynamical systems", IEEE Trans. Neural Networks and Learning Systems 33(8), 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import LOG_2PI, log_normal, matvec
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import Gllim
from av_perception.numerics.softmax import log_softmax


@dataclass(frozen=True)
class AffinePieces:
    """How the state is observed.

    slope: (K, D, L); offset: (K, D); variance: (K, D) of the noise, which is independent.
    """

    slope: np.ndarray
    offset: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True)
class PieceDynamics:
    """How the state moves.

    mean: (L,) and covariance: (L, L) of x_1; transition: (M, L, L), drift: (M, L) and noise:
    (M, L, L), where M is K, or 1 for dynamics that all pieces share.
    """

    mean: np.ndarray
    covariance: np.ndarray
    transition: np.ndarray
    drift: np.ndarray
    noise: np.ndarray

    @property
    def is_shared(self) -> bool:
        """Whether all pieces have the same."""
        return len(self.transition) == 1


@dataclass(frozen=True)
class Plds:
    """A model of K pieces, states of L and observations of D components.

    observation, dynamics: see there; log_initial: (K,) log pi; log_switching: (K, K) log tau, row
    z_t-1; gate: mixture over the leading components of the state, None for pieces that do not
    depend on it.
    """

    observation: AffinePieces
    dynamics: PieceDynamics
    log_initial: np.ndarray
    log_switching: np.ndarray
    gate: Pieces | None = None

    @property
    def num_pieces(self) -> int:
        """K."""
        return len(self.log_initial)


@dataclass(frozen=True)
class Evidence:
    """What T observations say of the state under each piece.

        log p(y_t | x_t, z_t = k) = constant + vector' x - x' precision x / 2

    precision: (T, K, L, L); vector: (T, K, L); constant: (T, K). All zero where nothing was seen.
    """

    precision: np.ndarray
    vector: np.ndarray
    constant: np.ndarray

    def expected_log(self, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
        """Give expected log densities e_tk, (T, K), for states of (T, L) means and covariances."""
        moment = covariances + means[:, :, None] * means[:, None]
        linear = matvec(self.vector, means)
        return self.constant + linear - 0.5 * np.einsum('tkij,tij->tk', self.precision, moment)

    def averaged(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Precision (T, L, L) and vector (T, L) averaged with (T, K) weights."""
        precision = np.einsum('tk,tkij->tij', weights, self.precision)
        return precision, np.einsum('tk,tki->ti', weights, self.vector)


def evidence_of(
    observation: AffinePieces, values: np.ndarray, noise_scale: np.ndarray | float = 1.0
) -> Evidence:
    """Put observations into the form of `Evidence`.

    Parameters
    ----------
    observation
        How the state is observed.
    values
        (T, D), NaN where nothing was measured.
    noise_scale
        Number or (T,) that multiplies the variances of a moment.

    Returns
    -------
    Evidence
        Of T moments.
    """
    seen = np.isfinite(values)
    scale = np.broadcast_to(np.asarray(noise_scale, float), len(values))
    variance = observation.variance * scale[:, None, None]  # (T, K, D)
    weight = seen[:, None] / variance
    residual = np.where(seen, values, 0.0)[:, None] - observation.offset
    slope = observation.slope
    count, size = len(slope), slope.shape[2]
    # Sums over the observed components, as matrix products for every piece.
    squares = (slope[..., :, None] * slope[..., None, :]).reshape(count, -1, size * size)
    precision = (weight.swapaxes(0, 1) @ squares).swapaxes(0, 1)
    precision = precision.reshape(-1, count, size, size)
    vector = ((weight * residual).swapaxes(0, 1) @ slope).swapaxes(0, 1)
    log_volume = np.where(seen[:, None], LOG_2PI + np.log(variance), 0.0)
    constant = -0.5 * (log_volume + weight * residual**2).sum(axis=-1)
    return Evidence(precision, vector, constant)


def gate_of(model: Plds, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Log weights (T, K) that the gate gives to the pieces: w_k N(m; c_k, Gam_k + P).

    Parameters
    ----------
    model
        The model.
    means, covariances
        (T, L) and (T, L, L) of the predicted states.

    Returns
    -------
    np.ndarray
        Zeros without a gate.
    """
    gate = model.gate
    if gate is None:
        return np.zeros((len(means), model.num_pieces))
    size = gate.center.shape[1]
    spread = np.linalg.inv(gate.precision) + covariances[:, None, :size, :size]
    return gate.log_weight + log_normal(means[:, None, :size] - gate.center, spread)


def gated_chain(model: Plds, log_gate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weigh initial and switching probabilities by a gate, and normalize each row again.

    Parameters
    ----------
    model
        The model.
    log_gate
        (T, K), see `gate_of`.

    Returns
    -------
    tuple of np.ndarray
        (K,) log pi and (T - 1, K, K) log tau.
    """
    initial = log_softmax(model.log_initial + log_gate[0])
    return initial, log_softmax(model.log_switching + log_gate[1:, None])


def observation_of_gllim(gllim: Gllim, state_size: int) -> AffinePieces:
    """Take the static set of a learned regression.

    Parameters
    ----------
    gllim
        From inputs to observations; its latent part counts as noise.
    state_size
        L, at least that of the inputs, which lead the state; the rest (rates) is not observed.
    """
    pieces, size, inputs = gllim.slope.shape
    slope = np.zeros((pieces, size, state_size))
    slope[..., :inputs] = gllim.slope
    return AffinePieces(slope, gllim.offset, gllim.marginal_variance)
