# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How many clusters: component-wise EM with the minimum message length criterion.

Source: Figueiredo and Jain, IEEE TPAMI 24(3), 2002, for weighted data by Gebru et al. 2016 (see `weighted_mixture`).

The criterion alone is short for slivers: a component with few points costs little (its log pi is very negative) and gains much when they
happen to lie on a line. So small components shrink to the typical scatter meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.clustering.weighted_mixture import Expectation, Mixture, WeightedData

_SAME_PLACE = 1e-6  # squared distance of means, in units of the covariance, below which two components are one


@dataclass(frozen=True)
class Selection:
    """mixture: the one with the shortest message; lengths: (number of components, shortest message met with it), from many to few."""

    mixture: Mixture
    lengths: tuple[tuple[int, float], ...]


def component_parameters(size: int, diagonal: bool) -> int:
    """Free parameters of one component: a mean and a symmetric (or diagonal) matrix."""
    return 2 * size if diagonal else size + size * (size + 1) // 2


def message_length(log_likelihood: float, mixture: Mixture, count: int, parameters: int) -> float:
    """`-loglik + M/2 sum_k log pi_k + (M + 1)/2 K log n` of a mixture of K components with M parameters each, for n = count points."""
    return (
        -log_likelihood
        + 0.5 * parameters * np.log(mixture.weights).sum()
        + 0.5 * (parameters + 1) * len(mixture) * np.log(count)
    )


def select_number(
    data: WeightedData, start: Mixture, fewest: int, tolerance: float, max_sweeps: int
) -> Selection:
    """From the components of `start` down to `fewest`: EM that lets weak components die, then the smallest is removed and the EM goes on.

    tolerance: relative change of the log-likelihood at which a number of components has converged.
    """
    parameters = component_parameters(data.points.shape[1], data.diagonal)
    data = replace(data, typical_scatter=_weighted_scatter(data))
    mixture, best, shortest, lengths = start, start, np.inf, []
    while True:
        mixture, log_likelihood = _converge(
            data, mixture, parameters, fewest, tolerance, max_sweeps
        )
        length = message_length(log_likelihood, mixture, len(data.points), parameters)
        lengths.append((len(mixture), float(length)))
        if length < shortest:
            best, shortest = mixture, length
        if len(mixture) <= fewest:
            return Selection(merge_twins(best), tuple(lengths))
        mixture = mixture.keep(np.delete(np.arange(len(mixture)), np.argmin(mixture.weights)))


def _weighted_scatter(data: WeightedData) -> np.ndarray:
    """(d, d) covariance of all points with their prior weights, so that far outliers do not count."""
    share = data.weights.mean / data.weights.mean.sum()
    residual = data.points - share @ data.points
    return (share[:, None] * residual).T @ residual


def _converge(
    data: WeightedData,
    mixture: Mixture,
    parameters: int,
    fewest: int,
    tolerance: float,
    max_sweeps: int,
) -> tuple[Mixture, float]:
    """Sweeps over the components until the log-likelihood stands still. One step of a sweep is an EM step in which only one component's
    weight changes, so that a component that dies hands its points to the others at once.
    """
    previous = data.expect(mixture)
    for _ in range(max_sweeps):
        component, expectation = 0, previous
        while component < len(mixture):
            mixture, died = _step(data, mixture, expectation, component, parameters, fewest)
            component += not died
            expectation = data.expect(mixture)
        if abs(expectation.log_likelihood - previous.log_likelihood) <= tolerance * max(
            abs(expectation.log_likelihood), 1.0
        ):
            break
        previous = expectation
    return mixture, expectation.log_likelihood


def _step(
    data: WeightedData,
    old: Mixture,
    expectation: Expectation,
    component: int,
    parameters: int,
    fewest: int,
) -> tuple[Mixture, bool]:
    """All means and covariances and one component's weight `max(sum_i eta_i - M/2, 0) / n`; whether that component died of it."""
    moved = data.maximize(expectation, old)
    mass = expectation.responsibilities[:, component].sum() - 0.5 * parameters
    if mass <= 0 and len(old) > fewest:
        survivors = np.delete(np.arange(len(old)), component)
        return Mixture(old.weights, moved.means, moved.covariances, moved.outlier_weight).keep(
            survivors
        ), True
    weights = old.weights.copy()
    weights[component] = max(mass, 0.5) / len(data.points)
    return Mixture(
        weights, moved.means, moved.covariances, moved.outlier_weight
    ).normalized(), False


def merge_twins(mixture: Mixture) -> Mixture:
    """Components with one and the same mean are one component."""
    weights, keep = mixture.weights.copy(), []
    for k in range(len(mixture)):
        offset = mixture.means[keep] - mixture.means[k]
        near = (offset**2).sum(1) <= _SAME_PLACE * np.trace(mixture.covariances[k])
        if near.any():
            weights[keep[int(np.argmax(near))]] += weights[k]
        else:
            keep.append(k)
    return Mixture(
        weights[keep], mixture.means[keep], mixture.covariances[keep], mixture.outlier_weight
    )
