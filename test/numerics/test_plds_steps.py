# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Each step of the inference against one dense Gaussian of all states, and against paths."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from av_perception.numerics.plds import AffinePieces, Evidence, PieceDynamics, evidence_of
from av_perception.numerics.plds_steps import (
    expected_motion,
    expected_states,
    motion_moments,
    smoothing_cycle,
    state_bound,
)

COUNT = 4
SIZE = 2
PIECES = 3


def spread(rng, *count):
    root = rng.standard_normal((*count, SIZE, SIZE))
    return root @ root.swapaxes(-1, -2) + 0.3 * np.eye(SIZE)


def a_problem(seed, shared=False):
    """Dynamics, how states are observed, values with gaps, and weights of the pieces."""
    rng = np.random.default_rng(seed)
    count = 1 if shared else PIECES
    dynamics = PieceDynamics(
        rng.standard_normal(SIZE),
        spread(rng),
        rng.standard_normal((count, SIZE, SIZE)),
        rng.standard_normal((count, SIZE)),
        spread(rng, count),
    )
    observation = AffinePieces(
        rng.standard_normal((PIECES, 3, SIZE)),
        rng.standard_normal((PIECES, 3)),
        rng.uniform(0.2, 1.0, (PIECES, 3)),
    )
    values = rng.standard_normal((COUNT, 3))
    values[1] = np.nan
    values[2, 0] = np.nan
    return dynamics, observation, values, rng.dirichlet(np.ones(PIECES), COUNT)


def log_motion(dynamics, k, states):
    """(T - 1,) log p(x_t | x_t-1, z_t = k) of states (T, L)."""
    k = 0 if dynamics.is_shared else k
    shift = states[1:] - states[:-1] @ dynamics.transition[k].T - dynamics.drift[k]
    return np.array(
        [multivariate_normal.logpdf(s, np.zeros(SIZE), dynamics.noise[k]) for s in shift]
    )


def log_seen(observation, k, states, values):
    """(T,) log p(y_t | x_t, z_t = k), component by component, gaps left out."""
    mean = states @ observation.slope[k].T + observation.offset[k]
    variance = observation.variance[k]
    terms = -0.5 * (np.log(2 * np.pi * variance) + (values - mean) ** 2 / variance)
    return np.nansum(terms, axis=1)


def averaged_log_joint(problem, flat):
    """Expectation over the pieces of the log joint density, at states (T * L,)."""
    dynamics, observation, values, weights = problem
    states = flat.reshape(COUNT, SIZE)
    total = multivariate_normal.logpdf(states[0], dynamics.mean, dynamics.covariance)
    for k in range(PIECES):
        total += weights[:, k] @ log_seen(observation, k, states, values)
        total += weights[1:, k] @ log_motion(dynamics, k, states)
    return total


def dense_gaussian(problem):
    """Mean (T * L,) and covariance of the exponential of a quadratic, by differences."""
    size = COUNT * SIZE
    unit = np.eye(size)
    at = [averaged_log_joint(problem, e) for e in unit]
    opposite = [averaged_log_joint(problem, -e) for e in unit]
    middle = averaged_log_joint(problem, np.zeros(size))
    precision = np.empty((size, size))
    for i, j in product(range(size), repeat=2):
        both = averaged_log_joint(problem, unit[i] + unit[j])
        precision[i, j] = -(both - at[i] - at[j] + middle)
    for i in range(size):
        precision[i, i] = -(at[i] + opposite[i] - 2 * middle)
    vector = 0.5 * (np.array(at) - opposite)
    covariance = np.linalg.inv(precision)
    return covariance @ vector, covariance


def moments_of(problem):
    dynamics, observation, values, weights = problem
    return expected_states(dynamics, evidence_of(observation, values), weights)


@pytest.mark.parametrize('shared', [False, True])
def test_the_states_are_those_of_the_dense_averaged_joint_density(shared):
    problem = a_problem(0, shared)
    mean, covariance = dense_gaussian(problem)
    states = moments_of(problem)
    blocks = covariance.reshape(COUNT, SIZE, COUNT, SIZE)
    np.testing.assert_allclose(states.means.ravel(), mean, atol=1e-9)
    for t in range(COUNT):
        np.testing.assert_allclose(states.covariances[t], blocks[t, :, t], atol=1e-9)
    for t in range(COUNT - 1):
        np.testing.assert_allclose(states.lag_one[t], blocks[t, :, t + 1], atol=1e-9)
    assert states.log_det_precision == pytest.approx(-np.linalg.slogdet(covariance)[1])


@pytest.mark.parametrize('shared', [False, True])
def test_the_motion_is_that_of_the_dense_gaussian(shared):
    problem = a_problem(1, shared)
    dynamics = problem[0]
    mean, covariance = dense_gaussian(problem)
    states = moments_of(problem)
    moments = motion_moments(dynamics, states)
    expected = expected_motion(dynamics, states)
    assert moments.shape == (COUNT - 1, len(dynamics.drift), SIZE, SIZE)
    for t, k in product(range(COUNT - 1), range(len(dynamics.drift))):
        step = np.zeros((SIZE, COUNT * SIZE))
        step[:, SIZE * t : SIZE * (t + 1)] = -dynamics.transition[k]
        step[:, SIZE * (t + 1) : SIZE * (t + 2)] = np.eye(SIZE)
        shift = step @ mean - dynamics.drift[k]
        exact = step @ covariance @ step.T + np.outer(shift, shift)
        np.testing.assert_allclose(moments[t, k], exact, atol=1e-9)
        quadratic = np.trace(np.linalg.solve(dynamics.noise[k], exact))
        log_det = np.linalg.slogdet(2 * np.pi * dynamics.noise[k])[1]
        assert expected[t, k] == pytest.approx(-0.5 * (log_det + quadratic))


def test_without_evidence_of_one_moment_the_bound_of_the_states_is_zero():
    """The posterior is the prior: its entropy makes up for the expected log prior."""
    dynamics = a_problem(2)[0]
    nothing = Evidence(
        np.zeros((1, PIECES, SIZE, SIZE)), np.zeros((1, PIECES, SIZE)), np.zeros((1, PIECES))
    )
    states = expected_states(dynamics, nothing, np.full((1, PIECES), 1 / PIECES))
    np.testing.assert_allclose(states.means[0], dynamics.mean, atol=1e-12)
    np.testing.assert_allclose(states.covariances[0], dynamics.covariance, atol=1e-12)
    assert state_bound(dynamics, states) == pytest.approx(0.0, abs=1e-10)


def chain_of(seed):
    rng = np.random.default_rng(seed)
    return (
        np.log(rng.dirichlet(np.ones(PIECES))),
        np.log(rng.dirichlet(np.ones(PIECES), (COUNT - 1, PIECES))),
    )


def test_a_cycle_weighs_every_path_of_pieces_by_its_expected_density():
    problem = a_problem(3)
    dynamics, observation, values, weights = problem
    initial, switching = chain_of(3)
    evidence = evidence_of(observation, values)
    result = smoothing_cycle(dynamics, evidence, (initial, switching), weights)
    # Expectations under the dense Gaussian, by quadrature that is exact for quadratics.
    mean, covariance = dense_gaussian(problem)
    root = np.linalg.cholesky(covariance) * np.sqrt(len(mean))
    nodes = np.concatenate([mean + root.T, mean - root.T]).reshape(-1, COUNT, SIZE)
    local = np.zeros((COUNT, PIECES))
    for k in range(PIECES):
        local[:, k] = np.mean([log_seen(observation, k, x, values) for x in nodes], axis=0)
        local[1:, k] += np.mean([log_motion(dynamics, k, x) for x in nodes], axis=0)
    states = np.zeros((COUNT, PIECES))
    total = 0.0
    for path in product(range(PIECES), repeat=COUNT):
        log_weight = initial[path[0]] + sum(local[t, k] for t, k in enumerate(path))
        log_weight += sum(switching[t, path[t], path[t + 1]] for t in range(COUNT - 1))
        total += np.exp(log_weight)
        for t, k in enumerate(path):
            states[t, k] += np.exp(log_weight)
    np.testing.assert_allclose(result.pieces.states, states / total, atol=1e-9)
    first = multivariate_normal(dynamics.mean, dynamics.covariance)
    entropy = multivariate_normal(mean, covariance).entropy()
    prior = np.mean([first.logpdf(x[0]) for x in nodes])
    assert result.bound == pytest.approx(np.log(total) + prior + entropy)


def test_cycles_never_lower_the_bound_and_stay_below_the_likelihood():
    dynamics, observation, values, weights = a_problem(4)
    chain = chain_of(4)
    evidence = evidence_of(observation, values)
    bounds = []
    for _ in range(12):
        result = smoothing_cycle(dynamics, evidence, chain, weights)
        bounds.append(result.bound)
        weights = result.pieces.states
    assert np.diff(bounds).min() > -1e-9
    exact = -np.inf
    for path in product(range(PIECES), repeat=COUNT):
        exact = np.logaddexp(exact, log_evidence(dynamics, observation, values, chain, path))
    assert bounds[0] < bounds[-1] < exact


def log_evidence(dynamics, observation, values, chain, path):
    """Log p(y, path) by the dense covariance of all that was observed."""
    mean, covariance = [dynamics.mean], np.zeros((COUNT * SIZE, COUNT * SIZE))
    covariance[:SIZE, :SIZE] = dynamics.covariance
    for t, k in enumerate(path[1:], 1):
        transition = dynamics.transition[k]
        past = slice((t - 1) * SIZE, t * SIZE)
        here = slice(t * SIZE, (t + 1) * SIZE)
        mean.append(transition @ mean[-1] + dynamics.drift[k])
        covariance[here, : t * SIZE] = transition @ covariance[past, : t * SIZE]
        covariance[: t * SIZE, here] = covariance[here, : t * SIZE].T
        covariance[here, here] = dynamics.noise[k] + transition @ covariance[past, here]
    slope = np.zeros((COUNT, 3, COUNT, SIZE))
    for t, k in enumerate(path):
        slope[t, :, t] = observation.slope[k]
    slope = slope.reshape(COUNT * 3, COUNT * SIZE)
    picked = list(path)
    expected = slope @ np.concatenate(mean) + observation.offset[picked].ravel()
    total = slope @ covariance @ slope.T + np.diag(observation.variance[picked].ravel())
    seen = np.isfinite(values.ravel())
    density = multivariate_normal(expected[seen], total[np.ix_(seen, seen)])
    log_prior = chain[0][path[0]] + sum(
        chain[1][t, path[t], path[t + 1]] for t in range(COUNT - 1)
    )
    return log_prior + density.logpdf(values.ravel()[seen])
