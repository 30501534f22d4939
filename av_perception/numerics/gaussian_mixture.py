# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures over directions: the pieces on which the acoustic map is affine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import LOG_2PI

_LEAST_MASS = 1e-9  # observations; keeps a piece without any finite


@dataclass(frozen=True)
class Pieces:
    """A Gaussian mixture over inputs of L components."""

    #: (R,) logarithms of the weights, which sum to one.
    log_weight: np.ndarray
    #: (R, L) means.
    center: np.ndarray
    #: (R, L, L) inverse covariances.
    precision: np.ndarray
    #: (R,) log determinants of the precisions.
    log_det_precision: np.ndarray

    def log_joint(self, inputs: np.ndarray, noise: float = 0.0) -> np.ndarray:
        """Evaluate the expected log joint density of inputs and pieces under noise on the inputs.

        Parameters
        ----------
        inputs
            (N, L).
        noise
            Standard deviation of the noise e on every component.

        Returns
        -------
        np.ndarray
            (N, R) `E[log pi_r + log N(x + e; c_r, Gam_r)]`.
        """
        difference = inputs[:, None] - self.center
        mahalanobis = np.einsum(
            'nri,rij,nrj->nr', difference, self.precision, difference, optimize=True
        )
        spread = noise**2 * np.einsum('rii->r', self.precision)
        constant = self.log_det_precision - inputs.shape[1] * LOG_2PI
        return self.log_weight + 0.5 * (constant - mahalanobis - spread)


def fit_pieces(
    posterior: np.ndarray, inputs: np.ndarray, noise: float, equal_volume: bool = False
) -> Pieces:
    """Maximize the expected log-likelihood of noisy inputs under a posterior (M-step).

    Parameters
    ----------
    posterior
        (N, R) responsibilities of the pieces.
    inputs
        (N, L).
    noise
        Standard deviation of the noise on the inputs; bounds the covariances from below.
    equal_volume
        All weights and all determinants the same, which keeps the pieces of PPAM from degenerating
        (Deleforge et al. 2015; `Gam_r = S_r |S_r|^(-1/L) sum_q (N_q / N) |S_q|^(1/L)`, Celeux and
        Govaert 1995).
    """
    mass = posterior.sum(axis=0) + _LEAST_MASS
    center = posterior.T @ inputs / mass[:, None]
    difference = inputs[:, None] - center
    scatter = np.einsum('nr,nri,nrj->rij', posterior, difference, difference, optimize=True)
    covariance = scatter / mass[:, None, None] + noise**2 * np.eye(inputs.shape[1])
    weight = mass / mass.sum()
    if equal_volume:
        volume = np.exp(np.linalg.slogdet(covariance)[1] / inputs.shape[1])
        covariance = covariance * (weight @ volume / volume)[:, None, None]
        weight = np.full(len(mass), 1 / len(mass))
    precision = np.linalg.inv(covariance)
    precision = 0.5 * (precision + precision.swapaxes(1, 2))
    return Pieces(np.log(weight), center, precision, np.linalg.slogdet(precision)[1])
