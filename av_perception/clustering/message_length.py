# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How many clusters: component-wise EM with the minimum message length criterion.

Source: Figueiredo and Jain, IEEE TPAMI 24(3), 2002, for weighted data by Gebru et al. 2016 (see
`weighted_mixture`).

The criterion alone is short for slivers: a component with few points costs little (its log pi is
very negative) and gains much when they happen to lie on a line. So small components shrink to the
typical scatter meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.clustering.weighted_mixture import Expectation, Mixture, WeightedData
from av_perception.numerics.em import relative_change, run_em

# Squared distance of means, in units of the covariance, below which two components are one.
_SAME_PLACE = 1e-6
_LEAST_MASS = 0.5  # points; what a component that may not die keeps


@dataclass(frozen=True)
class Selection:
    """The mixture that was chosen, and what it was chosen from."""

    #: The one with the shortest message.
    mixture: Mixture
    #: (number of components, shortest message met with it), from many to few.
    lengths: tuple[tuple[int, float], ...]


def component_parameters(size: int, diagonal: bool) -> int:
    """Count the parameters of one component: a mean and a symmetric (or diagonal) matrix."""
    return 2 * size if diagonal else size + size * (size + 1) // 2


def message_length(log_likelihood: float, mixture: Mixture, count: int, parameters: int) -> float:
    """Evaluate `-loglik + M/2 sum_k log pi_k + (M + 1)/2 K log n`.

    Parameters
    ----------
    log_likelihood
        Of all points under the mixture.
    mixture
        K components.
    count
        Number of points n.
    parameters
        M, of each component.
    """
    weights = 0.5 * parameters * np.log(mixture.weights).sum()
    size = 0.5 * (parameters + 1) * len(mixture) * np.log(count)
    return -log_likelihood + weights + size


def select_number(
    data: WeightedData, start: Mixture, fewest: int, tolerance: float, max_sweeps: int
) -> Selection:
    """Find the number of components between that of `start` and `fewest`.

    EM lets weak components die; then the smallest is removed and the EM goes on.

    Parameters
    ----------
    data
        Points and weights.
    start
        As many components as there may be.
    fewest
        As few as there must be.
    tolerance
        Relative change of the log-likelihood at which a number of components has converged.
    max_sweeps
        Over the components, for each number of them.
    """
    parameters = component_parameters(data.points.shape[1], data.diagonal)
    data = replace(data, typical_scatter=_weighted_scatter(data))
    mixture = best = start
    shortest = np.inf
    lengths = []
    while True:
        mixture, log_likelihood = _converge(
            data, mixture, parameters, fewest, tolerance, max_sweeps
        )
        length = message_length(log_likelihood, mixture, len(data.points), parameters)
        lengths.append((len(mixture), float(length)))
        if length < shortest:
            best = mixture
            shortest = length
        if len(mixture) <= fewest:
            return Selection(merge_twins(best), tuple(lengths))
        mixture = mixture.keep(np.delete(np.arange(len(mixture)), np.argmin(mixture.weights)))


def _weighted_scatter(data: WeightedData) -> np.ndarray:
    """(d, d) covariance of all points with their prior weights: far outliers do not count."""
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
    """Sweep over the components until the log-likelihood stands still.

    One step of a sweep is an EM step in which only one component's weight changes, so that a
    component that dies hands its points to the others at once.
    """

    def objective(state: tuple[Mixture, Expectation]):
        return state[1].log_likelihood, state

    def sweep(state: tuple[Mixture, Expectation], _):
        mixture, expectation = state
        component = 0
        while component < len(mixture):
            mixture, died = _step(data, mixture, expectation, component, parameters, fewest)
            component += not died
            expectation = data.expect(mixture)
        return mixture, expectation

    start = (mixture, data.expect(mixture))
    stop = relative_change(tolerance)
    run = run_em(start, objective, sweep, stop, max_sweeps, evaluate_last=True)
    last_mixture, last_expectation = run.state
    return last_mixture, last_expectation.log_likelihood


def _step(
    data: WeightedData,
    old: Mixture,
    expectation: Expectation,
    component: int,
    parameters: int,
    fewest: int,
) -> tuple[Mixture, bool]:
    """Update all means and covariances, and one component's weight.

    It becomes `max(sum_i eta_i - M/2, 0) / n`. The second result says whether it died of that.
    """
    moved = data.maximize(expectation, old)
    mass = expectation.responsibilities[:, component].sum() - 0.5 * parameters
    if mass <= 0 and len(old) > fewest:
        survivors = np.delete(np.arange(len(old)), component)
        return replace(moved, weights=old.weights).keep(survivors), True
    weights = old.weights.copy()
    weights[component] = max(mass, _LEAST_MASS) / len(data.points)
    return replace(moved, weights=weights).normalized(), False


def merge_twins(mixture: Mixture) -> Mixture:
    """Make one component of those that share their mean."""
    weights = mixture.weights.copy()
    keep: list[int] = []
    for k in range(len(mixture)):
        offset = mixture.means[keep] - mixture.means[k]
        near = (offset**2).sum(1) <= _SAME_PLACE * np.trace(mixture.covariances[k])
        if near.any():
            weights[keep[int(np.argmax(near))]] += weights[k]
        else:
            keep.append(k)
    means, covariances = mixture.means[keep], mixture.covariances[keep]
    return Mixture(weights[keep], means, covariances, mixture.outlier_weight)
