# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-Z step of vision: which track each face belongs to, if any.

This is VAVIT's posterior of the visual assignments. Sizes: N tracks, M faces, D state, O visual
observation, E embedding. The equations T1.. are listed in docs/tracker_equations.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.boxes import box_overlap
from av_perception.numerics.gaussian import (
    LOG_2PI,
    inverse_and_log_det,
    log_normal,
    propagate_covariance,
    quadratic,
)
from av_perception.numerics.softmax import softmax
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.association.other_depth import OtherDepth
from av_perception.tracking.state_space.interface import LinearMap, Measurements

_LEAST_NORM = 1e-6  # of an embedding that has a direction


@dataclass(frozen=True)
class AppearanceConfig:
    """What embeddings say: the log ratio to clutter is `offset - weight (1 - cos(u, h_n))`."""

    #: [nat] what a cosine of one is worth against a cosine of zero
    weight: float = 10.0
    #: [nat] log ratio to clutter of identical embeddings
    offset: float = 4.0
    #: 0..1, step of the slow update of a track's embedding h_n
    update_rate: float = 0.05
    #: 0..1, the responsibility that an update needs
    update_confidence: float = 0.9
    #: 0..1, no update while another face's box overlaps by more (intersection over union)
    isolation_overlap: float = 0.1

    def __post_init__(self):
        if self.weight < 0:
            raise ValueError('appearance weight must not be negative')
        fractions = (self.update_rate, self.update_confidence, self.isolation_overlap)
        if not all(0 <= fraction <= 1 for fraction in fractions):
            raise ValueError(
                'update_rate, update_confidence and isolation_overlap must lie in 0..1'
            )


def appearance_log_ratio(
    config: AppearanceConfig, face_embeddings: np.ndarray, track_embeddings: np.ndarray
) -> np.ndarray:
    """Compare the embeddings of faces and tracks (T11).

    Parameters
    ----------
    config
        See `AppearanceConfig`.
    face_embeddings, track_embeddings
        (M, E) and (N, E) unit vectors; zero rows stand for 'no embedding' and are neutral.

    Returns
    -------
    np.ndarray
        (M, N) log ratio to clutter [nat]; 0 where one of the two has no embedding.
    """
    if not face_embeddings.any():
        return np.zeros((len(face_embeddings), len(track_embeddings)))
    known = np.outer(has_embedding(face_embeddings), has_embedding(track_embeddings))
    similarity = face_embeddings @ track_embeddings.T
    return np.where(known, config.offset - config.weight * (1 - similarity), 0.0)


def updated_appearance(
    config: AppearanceConfig, embeddings: np.ndarray, alpha: np.ndarray, faces: DetectedFaces
) -> np.ndarray:
    """Move embeddings slowly towards those of the faces, `h <- (1 - e) h + e u` (T11).

    Parameters
    ----------
    config
        See `AppearanceConfig`.
    embeddings
        (N, E) of the tracks; E may be 0 while no embedding has ever come.
    alpha
        (M, N) responsibilities: only confident assignments of isolated faces count.
    faces
        Of the image.

    Returns
    -------
    np.ndarray
        (N, E); a track's first embedding is taken as it is.
    """
    if not faces.embeddings.any():
        return embeddings
    if not embeddings.shape[1]:
        embeddings = np.zeros((len(embeddings), faces.embeddings.shape[1]))
    best = alpha.argmax(0)
    overlap = box_overlap(faces.boxes, faces.boxes)
    np.fill_diagonal(overlap, 0.0)
    clear = (
        (alpha.max(0) > config.update_confidence)
        & (overlap.max(1)[best] <= config.isolation_overlap)
        & has_embedding(faces.embeddings[best])
    )
    rate = np.where(has_embedding(embeddings), config.update_rate, 1.0)[:, None]
    mixed = (1 - rate) * embeddings + rate * faces.embeddings[best]
    norm = np.sqrt((mixed**2).sum(1, keepdims=True))
    changes = clear[:, None] & (norm > _LEAST_NORM)
    return np.where(changes, mixed / np.maximum(norm, _LEAST_NORM), embeddings)


def has_embedding(embeddings: np.ndarray) -> np.ndarray:
    """(N,) bool: whether the rows of (N, E) are more than zeros."""
    return np.any(embeddings, axis=1)


class VisualAssociation:
    """The visual evidence of one frame; what does not change over the rounds is computed once.

    Responsibilities are (M, N + 1) arrays whose column 0 is clutter, `log tau_m0 = -log vol(V)`.
    The assignment prior `eta` is uniform over eligible tracks and clutter in the publication. Here
    a track weighs as much as its person is likely to be in view: somebody just hidden, whose place
    grows uncertain, does not claim the next false detection nearby.

    Parameters
    ----------
    measurements
        The M faces, `v` and `Phi`.
    visual_map
        What the camera observes of the tracks, about their predicted means.
    appearance
        (M, N) log ratio to clutter [nat].
    log_volume
        `log vol(V)`.
    eligible
        (N,) bool, who may have been detected.
    visibility
        (N,) probability of being in view, None for the uniform prior.
    other_depth
        The outlier state of the faces, None where there is none.
    """

    def __init__(
        self,
        measurements: Measurements,
        visual_map: LinearMap,
        appearance: np.ndarray,
        log_volume: float,
        eligible: np.ndarray,
        visibility: np.ndarray | None = None,
        other_depth: OtherDepth | None = None,
    ):
        self.other_depth = other_depth
        self._noise, self._map, self._appearance = measurements.noise, visual_map, appearance
        self._precision, log_det = inverse_and_log_det(measurements.noise)
        self._residual = measurements.value[:, None, :] - visual_map.value
        self._of_pairs = self._information_of_pairs()
        self._log_peak = -0.5 * (measurements.value.shape[1] * LOG_2PI + log_det)[:, None]
        weights = np.ones(1 + len(eligible))
        if visibility is not None:
            weights[1:] = visibility
        weights[1:][~(eligible & visual_map.usable)] = 0.0
        with np.errstate(divide='ignore'):
            self._log_prior = np.log(weights / weights.sum())
        self._log_clutter = -log_volume

    def _information_of_pairs(self) -> np.ndarray:
        """(N, M, D D + D) what each face would say of each track: `H' Phi^-1 H`, `H' Phi^-1 r`.

        The rounds weigh them by the responsibilities.
        """
        matrix = self._map.matrix
        num_tracks, _, size = matrix.shape
        shape = (num_tracks, len(self._precision), size * size)
        weighted = matrix.swapaxes(1, 2)[:, None] @ self._precision  # (N, M, D, O)
        residual = self._residual.swapaxes(0, 1)[..., None]
        precision = (weighted @ matrix[:, None]).reshape(shape)
        return np.concatenate([precision, (weighted @ residual)[..., 0]], axis=2)

    def predicted_log_likelihood(self, covariance: np.ndarray) -> np.ndarray:
        """Score faces by their exact marginals under the prediction: the first E-Z step (T7).

        Parameters
        ----------
        covariance
            (N, D, D) predicted `S`.

        Returns
        -------
        np.ndarray
            (M, N + 1) `log eta + log N(v; h(m), Phi + H S H')` [nat].
        """
        spread = propagate_covariance(self._map.matrix, covariance)
        log_likelihood = log_normal(self._residual, self._noise[:, None] + spread)
        if self.other_depth is not None:
            log_likelihood = self.other_depth.decide(
                log_likelihood, self._residual, spread, self._log_clutter
            )
        return self._with_clutter(log_likelihood)

    def expected_log_likelihood(
        self, mean_shift: np.ndarray, covariance: np.ndarray
    ) -> np.ndarray:
        """Score faces under `q(s_n) = N(mu_n, Gam_n)` (T5).

        Parameters
        ----------
        mean_shift, covariance
            (N, D) `mu - m` and (N, D, D) `Gam`.

        Returns
        -------
        np.ndarray
            (M, N + 1) `log eta + log tau` [nat]; the trace of `Phi^-1 H Gam H'` is part of it.
        """
        residual = self._residual - (self._map.matrix @ mean_shift[..., None])[..., 0]
        spread = propagate_covariance(self._map.matrix, covariance)
        flat_precision = self._precision.reshape(len(self._precision), -1)
        trace = flat_precision @ spread.reshape(len(spread), self._precision[0].size).T
        exponent = quadratic(residual, self._precision[:, None]) + trace
        log_likelihood = self._log_peak - 0.5 * exponent
        other = self.other_depth
        if other is not None:
            if len(other.face):
                log_likelihood[other.face, other.track] = other.expected(residual, spread)
            log_likelihood += other.log_weight
        return self._with_clutter(log_likelihood)

    def _with_clutter(self, log_likelihood: np.ndarray) -> np.ndarray:
        """Put clutter before the (M, N) log likelihoods; add appearance and `log eta`."""
        joined = np.empty((log_likelihood.shape[0], log_likelihood.shape[1] + 1))
        joined[:, 0] = self._log_clutter
        joined[:, 1:] = log_likelihood + self._appearance
        joined += self._log_prior
        return joined

    @staticmethod
    def responsibilities(log_likelihood: np.ndarray) -> np.ndarray:
        """`alpha = softmax(log tau + log eta)` (M, N + 1); rows sum to one (T5)."""
        return softmax(log_likelihood)

    def information(self, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sum up what the faces say of the mean shift `s - m` (T8).

        Parameters
        ----------
        alpha
            (M, N + 1).

        Returns
        -------
        precision
            (N, D, D) `sum_m alpha_mn H' Phi_m^-1 H`.
        vector
            (N, D) `sum_m alpha_mn H' Phi_m^-1 (v_m - h(m_n))`.
        """
        of_tracks, matrix = alpha[:, 1:], self._map.matrix
        other = self.other_depth
        if other is not None and len(other.face):
            of_tracks = of_tracks.copy()
            of_tracks[other.face, other.track] = 0.0
        size = matrix.shape[-1]
        sums = (of_tracks.T[:, None] @ self._of_pairs)[:, 0]
        precision = sums[:, :-size].reshape(-1, size, size)
        vector = sums[:, -size:]
        if other is not None and len(other.face):
            other.add_information(precision, vector, alpha[:, 1:], self._residual, matrix)
        return precision, vector
