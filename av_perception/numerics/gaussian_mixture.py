# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Gaussian mixtures over directions: the pieces on which the acoustic map is affine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOG_TWO_PI = np.log(2 * np.pi)


@dataclass(frozen=True)
class Pieces:
    """A Gaussian mixture over inputs of L components: log_weight (R,), center (R, L), precision (R, L, L), log_det_precision (R,)."""

    log_weight: np.ndarray
    center: np.ndarray
    precision: np.ndarray
    log_det_precision: np.ndarray

    def log_joint(self, inputs: np.ndarray, noise: float = 0.0) -> np.ndarray:
        """E[log pi_r + log N(x + e; c_r, Gam_r)] with e of standard deviation `noise`: (N, L) -> (N, R)."""
        difference = inputs[:, None] - self.center
        mahalanobis = np.einsum(
            'nri,rij,nrj->nr', difference, self.precision, difference, optimize=True
        )
        spread = noise**2 * np.einsum('rii->r', self.precision)
        return self.log_weight + 0.5 * (
            self.log_det_precision - inputs.shape[1] * LOG_TWO_PI - mahalanobis - spread
        )


def fit_pieces(
    posterior: np.ndarray, inputs: np.ndarray, noise: float, equal_volume: bool = False
) -> Pieces:
    """M-step: the mixture that maximises the expected log-likelihood of inputs (N, L) + noise under the posterior (N, R).

    equal_volume: all weights and all determinants the same, which keeps the pieces of PPAM from degenerating (Deleforge et al. 2015;
    Gam_r = S_r |S_r|^(-1/L) sum_q (N_q / N) |S_q|^(1/L), Celeux and Govaert 1995).
    """
    mass = posterior.sum(axis=0) + 1e-9
    center = posterior.T @ inputs / mass[:, None]
    difference = inputs[:, None] - center
    covariance = (
        np.einsum('nr,nri,nrj->rij', posterior, difference, difference, optimize=True)
        / mass[:, None, None]
    )
    covariance = covariance + noise**2 * np.eye(inputs.shape[1])
    weight = mass / mass.sum()
    if equal_volume:
        volume = np.exp(np.linalg.slogdet(covariance)[1] / inputs.shape[1])
        covariance = covariance * (weight @ volume / volume)[:, None, None]
        weight = np.full(len(mass), 1 / len(mass))
    precision = np.linalg.inv(covariance)
    precision = 0.5 * (precision + precision.swapaxes(1, 2))
    return Pieces(np.log(weight), center, precision, np.linalg.slogdet(precision)[1])


def hard_assignment(inputs: np.ndarray, count: int, iterations: int = 20) -> np.ndarray:
    """(N, count) one-hot membership by k-means, started from the farthest-point traversal: deterministic."""
    chosen, distance = [0], np.sum((inputs - inputs[0]) ** 2, axis=1)
    for _ in range(count - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.sum((inputs - inputs[chosen[-1]]) ** 2, axis=1))
    centers = inputs[chosen]
    for _ in range(iterations):
        member = np.eye(count)[np.argmin(np.sum((inputs[:, None] - centers) ** 2, axis=2), axis=1)]
        mass = member.sum(axis=0)[:, None]
        centers = np.where(mass > 0, member.T @ inputs / np.maximum(mass, 1), centers)
    return member


def normalized(log_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Posterior (N, R) and log evidence (N,) of (N, R) log joint densities."""
    peak = log_values.max(axis=1, keepdims=True)
    values = np.exp(log_values - peak)
    total = values.sum(axis=1, keepdims=True)
    return values / total, (peak + np.log(total))[:, 0]
