# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-S step: the Gaussian posterior of every track's state given the soft assignments."""

from __future__ import annotations

import numpy as np

from av_perception.numerics.gaussian import matvec, symmetrize

Information = tuple[np.ndarray, np.ndarray]


def update_states(
    predicted_precision: np.ndarray, *evidence: Information
) -> tuple[np.ndarray, np.ndarray]:
    """Combine the prediction with the evidence of the senses, in information form (T8).

    `Gam = (S^-1 + sum of precisions)^-1`, `mu - m = Gam (sum of vectors)`: equation (24) of VAVIT
    about the predicted mean, with one inverse for all tracks.

    Parameters
    ----------
    predicted_precision
        (N, D, D) `S^-1`.
    evidence
        Per sense a precision (N, D, D) and a vector (N, D) about the predicted mean.

    Returns
    -------
    mean_shift
        (N, D) `mu - m`.
    covariance
        (N, D, D) `Gam`.
    """
    precision = predicted_precision
    vector = np.zeros(predicted_precision.shape[:2])
    for sense_precision, sense_vector in evidence:
        precision = precision + sense_precision
        vector = vector + sense_vector
    covariance = symmetrize(np.linalg.inv(precision))
    return matvec(covariance, vector), covariance
