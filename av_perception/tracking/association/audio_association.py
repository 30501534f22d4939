# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-Z step of sound: which track (and affine piece) each sub-band belongs to, if any.

These are VAVIT's audio assignments. Sizes: N tracks, K sub-bands, P pieces that are considered per
track, D state. The equations T1.. are listed in docs/tracker_equations.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import propagate_covariance, schur_complement
from av_perception.numerics.softmax import log_softmax, softmax
from av_perception.tracking.association.audio_statistics import (
    VECTOR,
    AudioEvidence,
    bilinear_factors,
    matrix_of,
    quadratic_factors,
)
from av_perception.tracking.association.direction_error import (
    AudioInformation,
    DirectionBelief,
    DirectionError,
)
from av_perception.tracking.state_space.interface import LinearMap

_EYE = np.eye(3)
_INELIGIBLE_COUNT = 1e-12  # pseudo-count of a track that cannot have sounded


@dataclass(frozen=True)
class AudioConfig:
    """Which sound counts, and how much it says."""

    #: Voice activity below which sound is ignored.
    vad_threshold: float = 0.3
    #: Weight of the sound: below 1 because neighboring frequencies are not independent.
    tempering: float = 0.3
    #: [deg] 0..45, standard deviation of the direction error that all sub-bands of a track share
    #: (reverberation, map mismatch): it bounds what one frame of sound says about the position
    direction_error_deg: float = 1.5
    #: only so many pieces, the most probable at the predicted direction, are considered per track
    pieces_per_person: int = 8
    #: [deg] 12..180: a voice farther beside where a sleeper was last is somebody else's; the
    #: linearized map of directions would let a sleeper be anywhere
    sleeper_reach_deg: float = 40.0
    #: pseudo-count of sub-bands for clutter and for every track; infinite fixes the uniform prior
    #: of the publication
    share_prior: float = 0.5
    #: pseudo-count of sub-bands for the last frame's shares: who spoke goes on speaking
    share_memory: float = 4.0

    def __post_init__(self):
        if not 0 <= self.vad_threshold <= 1:
            raise ValueError('vad_threshold must lie in 0..1')
        if not 0 < self.tempering <= 1:
            raise ValueError('tempering must lie in (0, 1]')
        if not 0 <= self.direction_error_deg <= 45:
            raise ValueError('direction_error_deg must lie in 0..45')
        if not 12 <= self.sleeper_reach_deg <= 180:
            raise ValueError('sleeper_reach_deg must lie in 12..180')
        if self.pieces_per_person < 1:
            raise ValueError('pieces_per_person must be at least 1')
        if not (self.share_prior > 0 and self.share_memory >= 0):
            raise ValueError('share_prior must be positive and share_memory must not be negative')


class AudioAssociation:
    """The audio evidence of one frame against all tracks. It holds constants of the frame only.

    Every log likelihood and responsibility is a (K, 1 + N P) array: column 0 is clutter, then
    track by track with P pieces each. The assignment prior `rho` is uniform in the publication.
    Here it has a Dirichlet prior of pseudo-counts and an M step of its own (`update_prior`), so
    that an ambiguous sub-band goes where the clear ones point. Without a direction error and with
    the uniform prior this is VAVIT as published.

    Parameters
    ----------
    config
        See `AudioConfig`.
    evidence
        The usable sub-bands of the frame.
    direction_map
        Where the array hears the tracks, about their predicted means.
    eligible
        (N,) bool, who may have sounded.
    last_share
        (N,) share of the last frame's sound, None for nothing known.
    informs
        (N,) bool, whose states the sub-bands tell; None for all. The others are located by bins.
    """

    def __init__(
        self,
        config: AudioConfig,
        evidence: AudioEvidence,
        direction_map: LinearMap,
        eligible: np.ndarray,
        last_share: np.ndarray | None = None,
        informs: np.ndarray | None = None,
    ):
        self._map, self._evidence = direction_map, evidence
        error_variance = float(np.radians(config.direction_error_deg)) ** 2
        self.direction_error = DirectionError(direction_map, error_variance)
        self._ineligible = ~(eligible & direction_map.usable)
        self._num_tracks = len(self._ineligible)
        self._informs = np.ones(self._num_tracks, bool) if informs is None else informs
        self._pseudo_counts = self._prior_counts(config, last_share)
        self._learns_prior = bool(np.isfinite(config.share_prior))
        self._num_subbands = len(evidence.statistics)
        self._select_pieces(config.pieces_per_person)
        # Where clutter and every track begin among the columns 1 + N P.
        self._first_columns = np.arange(self._num_tracks + 1) * self._num_pieces
        self._first_columns[1:] -= self._num_pieces - 1

    def _prior_counts(self, config: AudioConfig, last_share: np.ndarray | None) -> np.ndarray:
        """(1 + N,) Dirichlet pseudo-counts `a` of clutter and of every track."""
        counts = np.ones(1 + self._num_tracks)
        counts[1:][self._ineligible] = _INELIGIBLE_COUNT
        if not np.isfinite(config.share_prior):
            return counts
        counts *= config.share_prior
        if last_share is not None:
            counts[1:] += np.where(self._ineligible, 0.0, config.share_memory * last_share)
        return counts

    def _select_pieces(self, most: int) -> None:
        """Choose the pieces per track: log priors (N, K, P) and statistics (N, K P, 10).

        T4: the prior of the pieces is that of the map at the predicted direction `u(m_n)`,
        normalized over the pieces considered.
        """
        prior, statistics = self._evidence.piece_prior, self._evidence.statistics
        total = prior.shape[1]
        forms = -0.5 * prior.reshape(-1, prior.shape[2]).T
        log_prior = quadratic_factors(self._map.value) @ forms
        self._num_pieces = min(most, total)
        order = np.argpartition(log_prior.reshape(-1, total), total - self._num_pieces)
        pieces = order[:, -self._num_pieces :]
        # Rows among the pieces of all tracks; modulo one track's, among those of one track.
        rows = pieces + total * np.arange(len(pieces))[:, None]
        chosen = log_prior.ravel().take(rows)
        self._piece_log = log_softmax(chosen.reshape(self._num_tracks, self._num_subbands, -1))
        self._piece_log[self._ineligible] = -np.inf
        rows_of_statistics = rows.reshape(self._num_tracks, -1) % log_prior.shape[1]
        table = statistics.reshape(-1, statistics.shape[2])
        self._statistics = table.take(rows_of_statistics, axis=0)

    @property
    def initial_log_prior(self) -> np.ndarray:
        """(1 + N,) `log rho` before the first E-Z step of the frame."""
        return np.log(self._pseudo_counts / self._pseudo_counts.sum())

    def predicted_log_likelihood(
        self, covariance: np.ndarray, log_prior: np.ndarray
    ) -> np.ndarray:
        """Score sub-bands under the prediction: the frame's first E-Z step (T7).

        With `J S J' + error^2 I = U U'` the exact marginal of a sub-band is
        `N(g; L u + l, Sigma + L U U' L')`; by the determinant lemma and Woodbury it follows from
        the forms of the homogeneous vectors `(U_1, 0), (U_2, 0), (U_3, 0), (u, 1)`, whose first
        three rows are eliminated.

        Parameters
        ----------
        covariance
            (N, D, D) predicted `S`.
        log_prior
            (1 + N,) `log rho`.

        Returns
        -------
        np.ndarray
            (K, 1 + N P) `log rho` plus log marginal likelihood [nat].
        """
        spread = propagate_covariance(self._map.matrix, covariance)
        spread = spread + self.direction_error.variance * _EYE
        values, vectors = np.linalg.eigh(spread)
        root = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
        homogeneous = np.zeros((len(spread), 4, 4))
        homogeneous[:, :3, :3] = root.swapaxes(1, 2)
        homogeneous[:, 3, :3] = self._map.value
        homogeneous[:, 3, 3] = 1.0
        factors = bilinear_factors(homogeneous).reshape(len(spread), 16, -1)
        forms = factors @ self._statistics.swapaxes(1, 2)
        forms[:, :15:5] += 1.0
        matrices = forms.reshape(len(spread), 4, 4, -1).transpose(1, 2, 0, 3)
        remainder, log_det = schur_complement(matrices)
        return self._with_clutter(remainder + log_det, log_prior)

    def expected_log_likelihood(
        self, belief: DirectionBelief, log_prior: np.ndarray
    ) -> np.ndarray:
        """Score sub-bands under the posterior of the heard directions (T6).

        Parameters
        ----------
        belief
            Posterior of `x_n`.
        log_prior
            (1 + N,) `log rho`.

        Returns
        -------
        np.ndarray
            (K, 1 + N P) `log rho + log kappa` [nat].
        """
        factors = quadratic_factors(belief.mean, belief.covariance)
        quadratics = (self._statistics @ factors[:, :, None])[..., 0]
        return self._with_clutter(quadratics, log_prior)

    def _with_clutter(self, minus_twice_log: np.ndarray, log_prior: np.ndarray) -> np.ndarray:
        """Put clutter, `log kappa_k0 = -s log vol(G)`, before tracks and pieces; add `log rho`."""
        joined = np.empty((self._num_subbands, 1 + self._num_tracks * self._num_pieces))
        joined[:, 0] = self._evidence.log_clutter + log_prior[0]
        per_track = (
            self._piece_log
            - 0.5 * minus_twice_log.reshape(self._piece_log.shape)
            + log_prior[1:, None, None]
        )
        columns = joined[:, 1:].reshape(self._num_subbands, self._num_tracks, -1)
        columns[:] = per_track.swapaxes(0, 1)
        return joined

    @staticmethod
    def responsibilities(log_likelihood: np.ndarray) -> np.ndarray:
        """`beta` (K, 1 + N P): softmax over tracks, pieces and clutter; rows sum to one (T6)."""
        return softmax(log_likelihood)

    def update_prior(self, beta: np.ndarray) -> np.ndarray:
        """M step of the assignment prior (T10): `rho_n = (a_n + sum_kr beta_knr) / (sum a + K)`.

        Parameters
        ----------
        beta
            (K, 1 + N P).

        Returns
        -------
        np.ndarray
            (1 + N,) `log rho`; the uniform prior where the prior is fixed.
        """
        if not self._learns_prior:
            return self.initial_log_prior
        counts = self._pseudo_counts + np.add.reduceat(beta.sum(0), self._first_columns)
        return np.log(counts / counts.sum())

    def prior_bound(self, log_prior: np.ndarray) -> float:
        """`sum a log rho`, the part of the lower bound (up to a constant); 0 for a fixed prior."""
        return float(self._pseudo_counts @ log_prior) if self._learns_prior else 0.0

    def energy_share(self, beta: np.ndarray) -> np.ndarray:
        """(N,) share of the loudness of all sub-bands that belongs to each track (T16)."""
        return np.add.reduceat(self._evidence.loudness @ beta, self._first_columns)[1:]

    def track_responsibilities(self, beta: np.ndarray) -> np.ndarray:
        """(K, 1 + N) how far a sub-band is clutter's and each track's; rows sum to one."""
        return np.add.reduceat(beta, self._first_columns, axis=1)

    def information(self, beta: np.ndarray) -> AudioInformation:
        """Sum up what the sub-bands say of the tracks (T8), the direction error integrated out.

        `Q_n = sum_kr beta_knr Q_kr`, `h_n = sum_kr beta_knr (h_kr - Q_kr u_n)` with
        `Q_kr = L' Sigma^-1 L` and `h_kr = L' Sigma^-1 (g - l)`.

        Parameters
        ----------
        beta
            (K, 1 + N P).

        Returns
        -------
        AudioInformation
            About the states and about the heard directions.
        """
        by_track = beta[:, 1:].reshape(self._num_subbands, -1, self._num_pieces).swapaxes(0, 1)
        by_track = by_track * self._informs[:, None, None]
        weights = by_track.reshape(self._num_tracks, 1, -1)
        sums = (weights @ self._statistics)[:, 0]
        precision = matrix_of(sums)
        vector = sums[:, VECTOR] - (precision @ self._map.value[:, :, None])[..., 0]
        return self.direction_error.marginalize(precision, vector)
