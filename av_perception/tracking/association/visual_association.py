# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-Z step of vision: which person each face belongs to, if any (VAVIT's posterior of the visual assignments)."""

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
    softmax,
)
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.state_space.interface import LinearMap, Measurements


@dataclass(frozen=True)
class AppearanceConfig:
    """Appearance log ratio to clutter: `offset - weight (1 - cos(u, h_n))`.

    update_rate: step of the slow update of h_n; update_confidence: the responsibility it needs; isolation_overlap: no update while
    another face's box overlaps by more (intersection over union).
    """

    weight: float = 10.0
    offset: float = 4.0
    update_rate: float = 0.05
    update_confidence: float = 0.9
    isolation_overlap: float = 0.1

    def __post_init__(self):
        if self.weight < 0:
            raise ValueError('appearance weight must not be negative')
        if not (
            0 <= self.update_rate <= 1
            and 0 <= self.update_confidence <= 1
            and 0 <= self.isolation_overlap <= 1
        ):
            raise ValueError(
                'update_rate, update_confidence and isolation_overlap must lie in 0..1'
            )


def appearance_log_ratio(
    config: AppearanceConfig, face_embeddings: np.ndarray, person_embeddings: np.ndarray
) -> np.ndarray:
    """(M, N) log ratio to clutter; zero rows stand for 'no embedding' and are neutral (0)."""
    if not face_embeddings.any():
        return np.zeros((len(face_embeddings), len(person_embeddings)))
    known = face_embeddings.any(axis=1)[:, None] & person_embeddings.any(axis=1)[None, :]
    similarity = face_embeddings @ person_embeddings.T
    return np.where(known, config.offset - config.weight * (1 - similarity), 0.0)


def updated_looks(
    config: AppearanceConfig, embeddings: np.ndarray, alpha: np.ndarray, faces: DetectedFaces
) -> np.ndarray:
    """(N, E) `h <- (1 - e) h + e u` for confident assignments alpha (M, N) of isolated faces; a person's first embedding is taken as it
    is.
    """
    if not faces.embeddings.any():
        return embeddings
    known = (
        embeddings
        if embeddings.shape[1]
        else np.zeros((len(embeddings), faces.embeddings.shape[1]))
    )
    best = alpha.argmax(0)
    crowd = box_overlap(faces.boxes, faces.boxes)
    np.fill_diagonal(crowd, 0.0)
    clear = (
        (alpha.max(0) > config.update_confidence)
        & (crowd.max(1)[best] <= config.isolation_overlap)
        & faces.embeddings[best].any(1)
    )
    rate = np.where(known.any(1), config.update_rate, 1.0)[:, None]
    mixed = (1 - rate) * known + rate * faces.embeddings[best]
    norm = np.sqrt((mixed**2).sum(1, keepdims=True))
    return np.where(clear[:, None] & (norm > 1e-6), mixed / np.maximum(norm, 1e-6), known)


class VisualAssociation:
    """The visual evidence of one frame; everything that does not change over the iterations is computed once.

    `log tau_mn = log N(v_m; h_n(s), Phi_m)` averaged over q(s_n), plus the appearance ratio; clutter `log tau_m0 = -log vol(V)`;
    `alpha = softmax(log tau + log eta)`. The assignment prior `eta` is uniform over eligible people and clutter in the publication. Here a
    person weighs as much as they are likely to be in view: somebody just hidden, whose place grows uncertain, does not claim the next false
    detection nearby. Responsibilities are (M, N + 1) arrays whose column 0 is clutter.
    """

    def __init__(
        self,
        measurements: Measurements,
        visual_map: LinearMap,
        appearance: np.ndarray,
        log_volume: float,
        eligible: np.ndarray,
        visible: np.ndarray | None = None,
    ):
        """eligible: (N,) bool, who may have been detected; visible: (N,) probability of being in view, None for the uniform prior."""
        self._noise, self._map, self._appearance = measurements.noise, visual_map, appearance
        self._precision, log_det = inverse_and_log_det(measurements.noise)
        self._residual = measurements.value[:, None, :] - visual_map.value
        self._weighted_residual = self._residual @ self._precision
        self._log_peak = -0.5 * (measurements.value.shape[1] * LOG_2PI + log_det)[:, None]
        self._barred = ~(eligible & visual_map.usable)
        weights = np.ones(1 + len(self._barred))
        weights[1:] = np.where(self._barred, 0.0, 1.0 if visible is None else visible)
        with np.errstate(divide='ignore'):
            self._log_prior = np.log(weights / weights.sum())
        self._log_clutter = -log_volume

    def predicted_log_likelihood(self, covariance: np.ndarray) -> np.ndarray:
        """(M, N + 1) `log eta + log N(v; h(m), Phi + H S H')`: the exact marginal given the assignment, for the first E-Z of a frame."""
        innovation = self._noise[:, None] + propagate_covariance(self._map.matrix, covariance)
        return self._with_clutter(log_normal(self._residual, innovation))

    def expected_log_likelihood(self, deviation: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        """(M, N + 1) `log eta + log tau` under q(s_n) = N(m_n + deviation_n, covariance_n)."""
        residual = self._residual - (self._map.matrix @ deviation[..., None])[..., 0]
        spread = propagate_covariance(self._map.matrix, covariance)
        flat = (len(self._precision), -1)
        trace = (
            self._precision.reshape(flat) @ spread.reshape(len(spread), self._precision[0].size).T
        )
        return self._with_clutter(
            self._log_peak - 0.5 * (quadratic(residual, self._precision[:, None]) + trace)
        )

    def _with_clutter(self, log_likelihood: np.ndarray) -> np.ndarray:
        joined = np.empty((log_likelihood.shape[0], log_likelihood.shape[1] + 1))
        joined[:, 0] = self._log_clutter
        joined[:, 1:] = log_likelihood + self._appearance
        joined += self._log_prior
        return joined

    @staticmethod
    def responsibilities(log_likelihood: np.ndarray) -> np.ndarray:
        """alpha (M, N + 1), rows sum to one."""
        return softmax(log_likelihood)

    def information(self, responsibilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the faces say of the deviation s - m: precision `sum alpha H' Phi^-1 H` (N, D, D) and vector (N, D)."""
        alpha, matrix = responsibilities[:, 1:], self._map.matrix
        size = self._residual.shape[-1]
        precision = (alpha.T @ self._precision.reshape(-1, size * size)).reshape(-1, size, size)
        vector = (alpha.T[:, None] @ self._weighted_residual.swapaxes(0, 1)) @ matrix
        return propagate_covariance(matrix.swapaxes(1, 2), precision), vector[:, 0]
