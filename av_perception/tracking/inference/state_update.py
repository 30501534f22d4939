# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-S step: the Gaussian posterior of every person's state given the soft assignments."""

from __future__ import annotations

import numpy as np

from av_perception.numerics.gaussian import matvec, symmetrize

Information = tuple[np.ndarray, np.ndarray]


def update_states(
    predicted_precision: np.ndarray, *evidence: Information
) -> tuple[np.ndarray, np.ndarray]:
    """q(s_n) = N(m_n + deviation_n, covariance_n).

    `Gam = (S^-1 + sum of precisions)^-1`, `mu - m = Gam (sum of vectors)`: predicted_precision S^-1 (N, D, D); evidence: per modality a
    precision (N, D, D) and a vector (N, D) about the predicted mean. Returns the deviation (N, D) and covariance (N, D, D).
    """
    precision, vector = predicted_precision, np.zeros(predicted_precision.shape[:2])
    for modality_precision, modality_vector in evidence:
        precision = precision + modality_precision
        vector = vector + modality_vector
    covariance = symmetrize(np.linalg.inv(precision))
    return matvec(covariance, vector), covariance
