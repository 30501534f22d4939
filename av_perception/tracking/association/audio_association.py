# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-Z step of sound: which person (and affine piece) each sub-band belongs to, if any (VAVIT's audio assignments)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import (
    log_softmax,
    propagate_covariance,
    schur_complement,
    softmax,
)
from av_perception.tracking.association.audio_statistics import (
    VECTOR,
    AudioEvidence,
    bilinear_factors,
    matrix_of,
    quadratic_factors,
)
from av_perception.tracking.state_space.interface import LinearMap

_EYE = np.eye(3)


@dataclass(frozen=True)
class AudioConfig:
    """vad_threshold: voice activity below which the frame has no sub-bands to assign; tempering: exponent of the audio likelihood and
    clutter; direction_error_deg: standard deviation of a person's direction error b that all sub-bands share (reverberation, map
    mismatch): it bounds what one frame of sound can say about the position; pieces_per_person: only so many pieces, the most probable at
    the predicted direction, are considered for a person; share_prior: pseudo-count of sub-bands for clutter and for everybody, infinite
    fixes the uniform prior of the publication; share_memory: pseudo-count of the last frame's shares: who spoke goes on speaking.
    """

    #: Voice activity below which sound is ignored.
    vad_threshold: float = 0.3
    #: Weight of the sound: below 1 because neighboring frequencies are not independent.
    tempering: float = 0.3
    direction_error_deg: float = 1.5
    pieces_per_person: int = 8
    share_prior: float = 0.5
    share_memory: float = 4.0

    def __post_init__(self):
        if not 0 <= self.vad_threshold <= 1:
            raise ValueError('vad_threshold must lie in 0..1')
        if not 0 < self.tempering <= 1:
            raise ValueError('tempering must lie in (0, 1]')
        if not 0 <= self.direction_error_deg <= 45:
            raise ValueError('direction_error_deg must lie in 0..45')
        if self.pieces_per_person < 1:
            raise ValueError('pieces_per_person must be at least 1')
        if not (self.share_prior > 0 and self.share_memory >= 0):
            raise ValueError('share_prior must be positive and share_memory must not be negative')


@dataclass(frozen=True)
class DirectionBelief:
    """Posterior of the heard direction `x_n = u(s_n) + b_n`. mean: (N, 3); covariance: (N, 3, 3)."""

    mean: np.ndarray
    covariance: np.ndarray


class AudioAssociation:
    """The audio evidence of one frame.

    `log kappa_knr = s E[log N(g_k; L_kr x_n + l_kr, Sigma_kr)] + log p(C_k = r | u(m_n))`, the piece prior normalised over the pieces at
    the predicted direction; clutter `log kappa_k0 = -s log vol(G)`; `beta = softmax` jointly over people, pieces and clutter. The prior
    `rho` is uniform in the publication. Here it is a parameter with a Dirichlet prior of pseudo-counts a, and its M step is
    `rho_n = (a_n + sum_kr beta_knr) / (sum a + K)`: an ambiguous sub-band goes to whom the clear ones point at.
    The direction error `b_n ~ N(0, error_sd^2 I)` is one more latent variable per person: q(s_n, b_n) is a joint Gaussian. With error_sd = 0
    and the uniform prior this is VAVIT as published. Log likelihoods and responsibilities are (K, 1 + N P) arrays, column 0 is clutter, then
    person by person with P pieces each.
    """

    def __init__(
        self,
        config: AudioConfig,
        evidence: AudioEvidence,
        direction_map: LinearMap,
        eligible: np.ndarray,
        last_shares: np.ndarray | None = None,
    ):
        """eligible: (N,) bool, who may have sounded; last_shares: (N,) everybody's share of the last frame, None for nothing known."""
        self._map, self._evidence = direction_map, evidence
        self._error_variance = float(np.radians(config.direction_error_deg)) ** 2
        self._barred = ~(eligible & direction_map.usable)
        self._pseudo_counts = self._prior_counts(config, last_shares)
        self._log_prior = np.log(self._pseudo_counts / self._pseudo_counts.sum())
        self._learns_prior = bool(np.isfinite(config.share_prior))
        self.num_subbands = len(evidence.statistics)
        self._select_pieces(config.pieces_per_person)
        self._first_columns = np.arange(len(self._barred) + 1) * self._num_pieces - (
            self._num_pieces - 1
        )
        self._first_columns[0] = 0
        self._own_information = (
            np.zeros((len(self._barred), 3, 3)),
            np.zeros((len(self._barred), 3)),
        )
        self._shrinkage = np.broadcast_to(_EYE, (len(self._barred), 3, 3))

    def _prior_counts(self, config: AudioConfig, last_shares: np.ndarray | None) -> np.ndarray:
        """(1 + N,) Dirichlet pseudo-counts of clutter and everybody; the barred count nothing worth naming."""
        counts = np.ones(1 + len(self._barred))
        counts[1:][self._barred] = 1e-12
        if not np.isfinite(config.share_prior):
            return counts
        counts *= config.share_prior
        if last_shares is not None:
            counts[1:] += np.where(self._barred, 0.0, config.share_memory * last_shares)
        return counts

    def _select_pieces(self, most: int):
        """Piece priors (N, K, P) and statistics (N, K P, 10) of the pieces that are considered for each person."""
        prior, statistics = self._evidence.piece_prior, self._evidence.statistics
        people, total = len(self._barred), prior.shape[1]
        log_prior = quadratic_factors(self._map.value) @ (
            -0.5 * prior.reshape(-1, prior.shape[2]).T
        )
        self._num_pieces = min(most, total)
        pieces = np.argpartition(log_prior.reshape(-1, total), total - self._num_pieces)[
            :, -self._num_pieces :
        ]
        rows = (
            pieces + total * np.arange(len(pieces))[:, None]
        )  # among all people's; modulo one person's, among one person's
        self._piece_log = log_softmax(
            log_prior.ravel().take(rows).reshape(people, self.num_subbands, -1)
        )
        self._piece_log[self._barred] = -np.inf
        self._statistics = statistics.reshape(-1, statistics.shape[2]).take(
            rows.reshape(people, -1) % log_prior.shape[1], axis=0
        )

    def predicted_log_likelihood(self, covariance: np.ndarray) -> np.ndarray:
        """`log rho + log of the exact marginal` of each sub-band under the prediction, whose covariance is (N, D, D): the frame's first
        E-Z.

        With `J S J' + error = U U'`: `log N(g; L u + l, Sigma + L U U' L')` by the determinant lemma and Woodbury, that is, by elimination
        of the first three rows from the forms of the homogeneous vectors `(U_1, 0), (U_2, 0), (U_3, 0), (u, 1)`.
        """
        spread = propagate_covariance(self._map.matrix, covariance) + self._error_variance * _EYE
        values, vectors = np.linalg.eigh(spread)
        homogeneous = np.zeros((len(spread), 4, 4))
        homogeneous[:, :3, :3] = (vectors * np.sqrt(np.maximum(values, 0))[:, None, :]).swapaxes(
            1, 2
        )
        homogeneous[:, 3, :3], homogeneous[:, 3, 3] = self._map.value, 1.0
        forms = bilinear_factors(homogeneous).reshape(
            len(spread), 16, -1
        ) @ self._statistics.swapaxes(1, 2)
        forms[:, :15:5] += 1.0
        remainder, log_det = schur_complement(
            forms.reshape(len(spread), 4, 4, -1).transpose(1, 2, 0, 3)
        )
        return self._with_clutter(remainder + log_det)

    def expected_log_likelihood(self, belief: DirectionBelief) -> np.ndarray:
        """`log rho + log kappa` under the posterior of the heard directions."""
        return self._with_clutter(
            self._quadratic(quadratic_factors(belief.mean, belief.covariance))
        )

    def _quadratic(self, factors: np.ndarray) -> np.ndarray:
        """(N, 10) factors of the statistics -> (N, K P)."""
        return (self._statistics @ factors[:, :, None])[..., 0]

    def _with_clutter(self, minus_twice_log: np.ndarray) -> np.ndarray:
        people = len(self._barred)
        joined = np.empty((self.num_subbands, 1 + people * self._num_pieces))
        joined[:, 0] = self._evidence.log_clutter + self._log_prior[0]
        per_person = (
            self._piece_log
            - 0.5 * minus_twice_log.reshape(self._piece_log.shape)
            + self._log_prior[1:, None, None]
        )
        joined[:, 1:].reshape(self.num_subbands, people, -1)[:] = per_person.swapaxes(0, 1)
        return joined

    def responsibilities(self, log_likelihood: np.ndarray) -> np.ndarray:
        """beta (K, 1 + N P), rows sum to one; then the M step of the prior, unless it is fixed."""
        beta = softmax(log_likelihood)
        if self._learns_prior:
            counts = self._pseudo_counts + np.add.reduceat(beta.sum(0), self._first_columns)
            self._log_prior = np.log(counts / counts.sum())
        return beta

    def prior_bound(self) -> float:
        """`sum a log rho`, what the prior's own prior adds to the ELBO (up to a constant); 0 when it is fixed."""
        return float(self._pseudo_counts @ self._log_prior) if self._learns_prior else 0.0

    def shares(self, responsibilities: np.ndarray) -> np.ndarray:
        """(N,) loudness-weighted share of the sub-bands that belongs to each person."""
        return np.add.reduceat(self._evidence.loudness @ responsibilities, self._first_columns)[1:]

    def owners(self, responsibilities: np.ndarray) -> np.ndarray:
        """(K, 1 + N) how far each sub-band belongs to clutter and to each person; rows sum to one."""
        return np.add.reduceat(responsibilities, self._first_columns, axis=1)

    def information(self, responsibilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the sub-bands say of the deviation s - m, the direction error b integrated out: precision (N, D, D), vector (N, D).

        In direction space `Q = sum beta Q_kr`, `h = sum beta (h_kr - Q_kr u)`; with `A = (I + error^2 Q)^-1` the error leaves `A Q` and
        `A h`.
        """
        beta = (
            responsibilities[:, 1:]
            .reshape(self.num_subbands, -1, self._num_pieces)
            .swapaxes(0, 1)
            .reshape(len(self._barred), 1, -1)
        )
        sums = (beta @ self._statistics)[:, 0]
        precision = matrix_of(sums)
        vector = sums[:, VECTOR] - (precision @ self._map.value[:, :, None])[..., 0]
        self._own_information = precision, vector
        self._shrinkage = np.linalg.inv(_EYE + self._error_variance * precision)
        projected = self._map.matrix.swapaxes(1, 2) @ (
            self._shrinkage @ np.concatenate([precision, vector[..., None]], axis=2)
        )
        return projected[..., :3] @ self._map.matrix, projected[..., 3]

    def heard_direction(self, deviation: np.ndarray, covariance: np.ndarray) -> DirectionBelief:
        """Posterior of x_n = u(s_n) + b_n after the E-S step; b given s has covariance `error^2 A` and mean `error^2 A (h - Q J (s -
        m))`.
        """
        shrink = self._shrinkage
        shift = (
            self._map.matrix @ deviation[..., None]
            + self._error_variance * self._own_information[1][..., None]
        )
        spread = (
            propagate_covariance(shrink @ self._map.matrix, covariance)
            + self._error_variance * shrink
        )
        return DirectionBelief(self._map.value + (shrink @ shift)[..., 0], spread)

    def direction_error_divergence(self, deviation: np.ndarray, covariance: np.ndarray) -> float:
        """Sum over people of E_s KL(q(b_n | s_n) || p(b_n)), the part of the ELBO that the direction error adds (0 without error)."""
        shrink, (precision, vector) = self._shrinkage, self._own_information
        matrix = self._map.matrix
        residual = shrink @ (vector[..., None] - precision @ matrix @ deviation[..., None])
        spread = propagate_covariance(shrink @ precision @ matrix, covariance)
        quadratic = (residual**2).sum() + np.trace(spread, axis1=1, axis2=2).sum()
        trace = np.trace(shrink, axis1=1, axis2=2).sum()
        return 0.5 * float(
            trace
            + self._error_variance * quadratic
            - 3 * len(shrink)
            - np.linalg.slogdet(shrink)[1].sum()
        )
