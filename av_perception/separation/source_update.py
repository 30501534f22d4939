# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE, first update: the sources given the filters (E-step)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from av_perception.numerics.small_hermitian import inverse_and_log_det, product
from av_perception.separation.moving_mixture import MovingMixture, SourcePosterior


def update_sources(model: MovingMixture) -> MovingMixture:
    """Give every source its Wiener estimate, with the uncertainty of the filters in it.

        V_s = (diag(1/u) + E[A^H A] / v)^-1,   s = V_s E[A]^H x / v

    Parameters
    ----------
    model
        With filters, powers and noise.

    Returns
    -------
    MovingMixture
        With another q(s).
    """
    projected = project(model.filters.mean, model.spectra)
    posterior = posterior_of(
        model.powers.power, model.filters.gram / model.noise, projected / model.noise
    )
    return replace(model, sources=posterior)


def project(filters: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """(L, J, F) A^H x of filters (L, I, J, F) or (I, J, F) and a mixture (L, I, F)."""
    return product(filters.conj().swapaxes(-3, -2), spectra[:, :, None])[:, :, 0]


def posterior_of(power: np.ndarray, precision: np.ndarray, evidence: np.ndarray):
    """Give the sources of prior powers u, from evidence of a precision.

    Parameters
    ----------
    power
        (L, J, F) u.
    precision
        (L, J, J, F) of the evidence, E[A^H A] / v.
    evidence
        (L, J, F) E[A]^H x / v.

    Returns
    -------
    SourcePosterior
        By the inverse of `I + D P D` with D = diag(sqrt(u)), which is well conditioned however
        quiet a source is.
    """
    root = np.sqrt(power)
    scaling = root[:, :, None] * root[:, None]
    count = power.shape[1]
    matrices = precision * scaling + np.eye(count)[:, :, None]
    inverse, log_det = inverse_and_log_det(matrices)
    covariance = inverse * scaling
    mean = product(covariance, evidence[:, :, None])[:, :, 0]
    return SourcePosterior(mean, covariance, np.log(power).sum(axis=1) - log_det)
