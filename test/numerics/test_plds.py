# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Piecewise-linear dynamical systems against Kalman, enumeration and planted parameters."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from av_perception.numerics.block_tridiagonal import chain_moments
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import GllimConfig
from av_perception.numerics.kalman import Dynamics, kalman_filter, rts_smoother
from av_perception.numerics.plds import AffinePieces, PieceDynamics, Plds, observation_of_gllim
from av_perception.numerics.plds_filter import filter_plds
from av_perception.numerics.plds_learning import (
    PldsLearningConfig,
    bayesian_information,
    conditional_log_density,
    fit_across_groups,
    fit_by_information,
    learn_dynamics,
)
from av_perception.numerics.plds_smoother import smooth_plds
from av_perception.numerics.softmax import log_sum_exp


def spread(rng, size, count=None):
    root = rng.standard_normal((*([count] if count else []), size, size))
    return 0.1 * root @ root.swapaxes(-1, -2) + 0.2 * np.eye(size)


def random_model(seed, pieces=2, state=2, seen=3, shared=False, distance=1.0):
    rng = np.random.default_rng(seed)
    count = 1 if shared else pieces
    return Plds(
        AffinePieces(
            rng.standard_normal((pieces, seen, state)),
            distance * rng.standard_normal((pieces, seen)),
            rng.uniform(0.1, 0.4, (pieces, seen)),
        ),
        PieceDynamics(
            rng.standard_normal(state),
            spread(rng, state),
            0.6 * np.eye(state) + 0.2 * rng.standard_normal((count, state, state)),
            0.3 * rng.standard_normal((count, state)),
            spread(rng, state, count),
        ),
        np.log(rng.dirichlet(np.ones(pieces))),
        np.log(rng.dirichlet(np.ones(pieces), pieces)),
    )


def sample(model, count, seed):
    """States, pieces and observations of a model."""
    rng = np.random.default_rng(seed)
    motion, seen = model.dynamics, model.observation
    states, labels, values = [], [], []
    for t in range(count):
        row = model.log_switching[labels[-1]] if t else model.log_initial
        label = rng.choice(model.num_pieces, p=np.exp(row))
        if t:
            m = 0 if motion.is_shared else label
            mean = motion.transition[m] @ states[-1] + motion.drift[m]
            states.append(rng.multivariate_normal(mean, motion.noise[m]))
        else:
            states.append(rng.multivariate_normal(motion.mean, motion.covariance))
        labels.append(label)
        mean = seen.slope[label] @ states[-1] + seen.offset[label]
        values.append(mean + np.sqrt(seen.variance[label]) * rng.standard_normal(len(mean)))
    return np.array(states), np.array(labels), np.array(values)


def as_kalman(model, path):
    """The linear system of a path (T,) of pieces: arguments of `kalman_filter` but the values.

    Drifts are carried by a component that is always 1.
    """
    motion, seen = model.dynamics, model.observation
    moves = np.zeros(len(path), int) if motion.is_shared else path
    size = motion.mean.size
    last = [[*np.zeros(size), 1.0]]
    transition = [
        np.vstack([np.column_stack([motion.transition[m], motion.drift[m]]), last])
        for m in moves[1:]
    ]
    noise = np.zeros((len(path) - 1, size + 1, size + 1))
    noise[:, :size, :size] = motion.noise[moves[1:]]
    noise[:, size, size] = 1e-12
    covariance = np.zeros((size + 1, size + 1))
    covariance[:size, :size] = motion.covariance
    covariance[size, size] = 1e-12
    dynamics = Dynamics(np.append(motion.mean, 1.0), covariance, np.array(transition), noise)
    observation = np.concatenate([seen.slope, np.zeros((*seen.offset.shape, 1))], axis=2)[path]
    variance = np.array([np.diag(v) for v in seen.variance[path]])
    return dynamics, observation, variance


def filtered_path(model, values, path):
    dynamics, observation, variance = as_kalman(model, path)
    return dynamics, kalman_filter(
        dynamics, values - model.observation.offset[path], observation, variance
    )


def test_moments_of_a_chain_are_those_of_the_dense_matrix():
    rng = np.random.default_rng(0)
    count, size = 5, 3
    diagonal = np.array([spread(rng, size) + 3 * np.eye(size) for _ in range(count)])
    upper = 0.4 * rng.standard_normal((count - 1, size, size))
    vector = rng.standard_normal((count, size))
    dense = np.zeros((count * size, count * size))
    for t in range(count):
        here = slice(t * size, (t + 1) * size)
        dense[here, here] = diagonal[t]
        if t + 1 < count:
            ahead = slice((t + 1) * size, (t + 2) * size)
            dense[here, ahead] = upper[t]
            dense[ahead, here] = upper[t].T
    moments = chain_moments(diagonal, upper, vector)
    inverse = np.linalg.inv(dense).reshape(count, size, count, size)
    exact = np.linalg.solve(dense, vector.ravel()).reshape(count, size)
    np.testing.assert_allclose(moments.means, exact, atol=1e-10)
    for t in range(count):
        np.testing.assert_allclose(moments.covariances[t], inverse[t, :, t], atol=1e-10)
    for t in range(count - 1):
        np.testing.assert_allclose(moments.lag_one[t], inverse[t, :, t + 1], atol=1e-10)
    assert moments.log_det_precision == pytest.approx(np.linalg.slogdet(dense)[1])


@pytest.mark.parametrize('missing', [False, True])
def test_one_piece_is_the_kalman_filter_and_smoother(missing):
    model = random_model(1, pieces=1)
    *_, values = sample(model, 12, 2)
    if missing:
        values[4] = np.nan
        values[7, 1] = np.nan
    path = np.zeros(len(values), int)
    dynamics, exact = filtered_path(model, values, path)
    ours = filter_plds(model, values)
    np.testing.assert_allclose(ours.means, exact.means[:, :2], atol=1e-9)
    np.testing.assert_allclose(ours.covariances, exact.covariances[:, :2, :2], atol=1e-9)
    np.testing.assert_allclose(ours.bounds, exact.log_likelihoods, atol=1e-9)
    smooth = rts_smoother(dynamics, exact)
    result = smooth_plds(model, values)
    np.testing.assert_allclose(result.states.means, smooth.means[:, :2], atol=1e-9)
    np.testing.assert_allclose(result.states.covariances, smooth.covariances[:, :2, :2], atol=1e-9)
    lag_one = smooth.lag_one[:, :2, :2].swapaxes(1, 2)
    np.testing.assert_allclose(result.states.lag_one, lag_one, atol=1e-9)
    assert result.bound == pytest.approx(exact.log_likelihoods.sum(), abs=1e-8)


def test_equal_pieces_make_no_difference():
    one = random_model(3, pieces=1)
    three = replace(
        random_model(3, pieces=3),
        observation=AffinePieces(
            *(np.repeat(part, 3, axis=0) for part in vars(one.observation).values())
        ),
        dynamics=replace(
            one.dynamics,
            transition=np.repeat(one.dynamics.transition, 3, axis=0),
            drift=np.repeat(one.dynamics.drift, 3, axis=0),
            noise=np.repeat(one.dynamics.noise, 3, axis=0),
        ),
    )
    *_, values = sample(one, 10, 4)
    single, several = smooth_plds(one, values), smooth_plds(three, values)
    np.testing.assert_allclose(several.states.means, single.states.means, atol=1e-9)
    assert several.bound == pytest.approx(single.bound)
    np.testing.assert_allclose(
        filter_plds(three, values).means, filter_plds(one, values).means, atol=1e-9
    )


@pytest.mark.parametrize('shared', [False, True])
@pytest.mark.parametrize('seed', range(5))
def test_the_bound_never_falls_and_never_exceeds_the_likelihood(seed, shared):
    model = random_model(seed, shared=shared, distance=2.0)
    *_, values = sample(model, 4, seed + 10)
    exact = log_sum_exp(np.array([path_evidence(model, values, p) for p in all_paths(2, 4)]))
    start = np.random.default_rng(seed).dirichlet(np.ones(2), 4)
    result = smooth_plds(model, values, start=start, tolerance=0.0)
    assert np.diff(result.history).min() >= -1e-9
    assert result.bound <= exact + 1e-9


def all_paths(pieces, count):
    return [np.array(path) for path in product(range(pieces), repeat=count)]


def path_evidence(model, values, path):
    """Exact log p(path, y)."""
    chain = model.log_initial[path[0]] + model.log_switching[path[:-1], path[1:]].sum()
    return chain + filtered_path(model, values, path)[1].log_likelihoods.sum()


def test_on_separated_pieces_the_bound_is_tight_and_the_moments_are_exact():
    model = random_model(5, distance=6.0)
    *_, values = sample(model, 4, 6)
    paths = all_paths(2, 4)
    evidence = np.array([path_evidence(model, values, path) for path in paths])
    weights = np.exp(evidence - log_sum_exp(evidence))
    means = 0.0
    for weight, path in zip(weights, paths):
        dynamics, filtered = filtered_path(model, values, path)
        means = means + weight * rts_smoother(dynamics, filtered).means[:, :2]
    result = smooth_plds(model, values)
    assert log_sum_exp(evidence) - result.bound < 0.05  # KL(q || p)
    np.testing.assert_allclose(result.states.means, means, atol=0.05)


def test_separated_pieces_are_recovered():
    model = replace(random_model(7, distance=5.0), log_switching=np.log([[0.9, 0.1], [0.2, 0.8]]))
    _, labels, values = sample(model, 100, 8)
    smooth = smooth_plds(model, values).pieces.states
    assert np.mean(smooth.argmax(axis=1) == labels) >= 0.95
    assert np.mean(filter_plds(model, values).pieces.argmax(axis=1) == labels) >= 0.95


def test_without_observations_the_filter_predicts():
    model = random_model(9, pieces=3, shared=True)
    motion = model.dynamics
    result = filter_plds(model, np.full((6, 3), np.nan))
    mean, covariance = motion.mean, motion.covariance
    chance = np.exp(model.log_initial)
    for t in range(6):
        if t:
            mean = motion.transition[0] @ mean + motion.drift[0]
            moved = motion.transition[0] @ covariance @ motion.transition[0].T
            covariance = moved + motion.noise[0]
            chance = chance @ np.exp(model.log_switching)
        np.testing.assert_allclose(result.means[t], mean, atol=1e-9)
        np.testing.assert_allclose(result.covariances[t], covariance, atol=1e-9)
        np.testing.assert_allclose(result.pieces[t], chance, atol=1e-9)
    np.testing.assert_allclose(result.bounds, 0.0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize('shared', [False, True])
def test_learning_never_loses_and_recovers_the_dynamics(shared):
    planted = random_model(11, seen=4, shared=shared, distance=5.0)
    sharp = replace(planted.observation, variance=0.1 * planted.observation.variance)
    planted = replace(planted, observation=sharp)
    states, labels, values = sample(planted, 300, 12)
    motion = planted.dynamics
    start = replace(
        planted,
        dynamics=replace(
            motion,
            transition=np.tile(0.5 * np.eye(2), (len(motion.noise), 1, 1)),
            drift=np.zeros_like(motion.drift),
            noise=np.tile(np.eye(2), (len(motion.noise), 1, 1)),
        ),
        log_initial=np.log([0.5, 0.5]),
        log_switching=np.log(np.full((2, 2), 0.5)),
    )
    config = PldsLearningConfig(iterations=8, tolerance=1e-6, switching_counts=1.0)
    result = learn_dynamics(start, [values[:150], values[150:]], config)
    assert np.diff(result.history).min() > -1e-6
    learned = result.model.dynamics
    # It is what the states themselves teach, which here are hardly hidden.
    steps = np.r_[0:149, 150:299]  # no step leads from one sequence to the other
    for piece, noise in enumerate(learned.noise):
        chosen = steps if shared else steps[labels[steps + 1] == piece]
        before = np.column_stack([states[chosen], np.ones(len(chosen))])
        taught, *_ = np.linalg.lstsq(before, states[chosen + 1], rcond=None)
        left = states[chosen + 1] - before @ taught
        np.testing.assert_allclose(learned.transition[piece], taught[:2].T, atol=0.08)
        np.testing.assert_allclose(learned.drift[piece], taught[2], atol=0.08)
        np.testing.assert_allclose(noise, left.T @ left / len(chosen), atol=0.08)
    counts = np.zeros((2, 2))
    np.add.at(counts, (labels[steps], labels[steps + 1]), 1)
    switching = (counts + 1) / (counts + 1).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(result.model.log_switching), switching, atol=0.06)


def test_a_piece_that_never_occurs_keeps_its_dynamics():
    model = replace(
        random_model(13, distance=3.0),
        log_initial=np.array([0.0, -np.inf]),
        log_switching=np.array([[0.0, -np.inf], [0.0, -np.inf]]),
    )
    *_, values = sample(model, 60, 14)
    learned = learn_dynamics(model, [values], PldsLearningConfig(iterations=3)).model
    np.testing.assert_array_equal(learned.dynamics.noise[1], model.dynamics.noise[1])
    assert np.isfinite(learned.dynamics.transition).all()


def curved(rng, count):
    """Pairs on a curved manifold: an angle, and six smooth functions of it with noise."""
    angle = rng.uniform(-1.5, 1.5, (count, 1))
    values = np.concatenate([np.sin(angle * f) for f in (1, 1.5, 2)], axis=1)
    values = np.concatenate([values, values**2], axis=1)
    return angle, values


@pytest.mark.slow
def test_on_a_curved_manifold_more_of_the_past_and_future_helps():
    rng = np.random.default_rng(15)
    angles, values = curved(rng, 600)
    noisy = values + 0.15 * rng.standard_normal(values.shape)
    gllim = fit_by_information(angles, noisy, (1, 4, 8), GllimConfig(), 1e-2)
    assert len(gllim.slope) > 1  # a line does not do
    count = 100
    motion = PieceDynamics(
        np.zeros(1),
        np.eye(1),
        np.full((1, 1, 1), 0.99),
        np.zeros((1, 1)),
        np.full((1, 1, 1), 0.01),
    )
    model = Plds(
        observation_of_gllim(gllim, 1),
        motion,
        np.full(len(gllim.slope), -np.log(len(gllim.slope))),
        np.zeros((len(gllim.slope),) * 2),
        gllim.pieces,
    )
    track = np.clip(np.cumsum(0.08 * rng.standard_normal(count)), -1.4, 1.4)[:, None]
    clean = np.concatenate([np.sin(track * f) for f in (1, 1.5, 2)], axis=1)
    seen = np.concatenate([clean, clean**2], axis=1) + 0.15 * rng.standard_normal((count, 6))

    def error(means):
        return np.sqrt(np.mean((means[:, 0] - track[:, 0]) ** 2))

    alone = np.array([filter_plds(model, row[None]).means[0] for row in seen])
    assert error(smooth_plds(model, seen).states.means) < error(filter_plds(model, seen).means)
    assert error(filter_plds(model, seen).means) < error(alone)


def test_the_information_criterion_finds_the_number_of_pieces():
    rng = np.random.default_rng(16)
    inputs = np.concatenate([rng.normal(c, 0.3, (150, 1)) for c in (-2.0, 2.0)])
    slope = np.where(inputs < 0, 1.0, -1.0)
    outputs = np.concatenate([slope * inputs, 3 * slope + inputs], axis=1)
    outputs += 0.1 * rng.standard_normal(outputs.shape)
    chosen = fit_by_information(inputs, outputs, (1, 2, 6), GllimConfig(), 1e-2)
    assert len(chosen.slope) == 2
    assert np.isfinite(bayesian_information(chosen, len(inputs)))


def test_a_gate_tells_regions_apart():
    """Two regions with the same evidence: the predicted state decides."""
    gate = Pieces(
        np.log([0.5, 0.5]),
        np.array([[-1.0], [1.0]]),
        np.full((2, 1, 1), 4.0),
        np.log([4.0, 4.0]),
    )
    observation = AffinePieces(np.zeros((2, 1, 1)), np.zeros((2, 1)), np.ones((2, 1)))
    motion = PieceDynamics(
        np.array([1.0]),
        np.eye(1) * 0.01,
        np.ones((1, 1, 1)),
        np.zeros((1, 1)),
        np.full((1, 1, 1), 0.01),
    )
    model = Plds(observation, motion, np.log([0.5, 0.5]), np.log(np.full((2, 2), 0.5)), gate)
    result = filter_plds(model, np.zeros((3, 1)))
    assert result.pieces[:, 1].min() > 0.99


@pytest.mark.slow
def test_pieces_that_follow_a_group_do_not_help_with_another():
    """Regression: BIC asked for pieces that followed the people who were learned from."""
    rng = np.random.default_rng(17)
    inputs = rng.uniform(-2, 2, (5, 150, 1))
    ripple = np.array([np.sin(4 * x + phase) for x, phase in zip(inputs, rng.uniform(0, 6, 5))])
    outputs = np.concatenate([np.abs(inputs), inputs], axis=2) + 0.1 * ripple
    outputs += 0.01 * rng.standard_normal(outputs.shape)
    candidates = (1, 2, 16)
    by_groups = fit_across_groups(
        list(zip(inputs, outputs)), candidates, GllimConfig(input_noise=0.05), 1e-3
    )
    together = inputs.reshape(-1, 1), outputs.reshape(-1, 2)
    by_information = fit_by_information(*together, candidates, GllimConfig(input_noise=0.05), 1e-3)
    assert len(by_groups.slope) == 2  # the two sides of |x|
    assert len(by_information.slope) > 2


def test_the_density_of_outputs_given_inputs_is_one_altogether():
    rng = np.random.default_rng(18)
    inputs = rng.uniform(-2, 2, (200, 1))
    outputs = np.abs(inputs) + 0.2 * rng.standard_normal((200, 1))
    model = fit_by_information(inputs, outputs, (2,), GllimConfig(input_noise=0.05), 1e-2)
    grid = np.linspace(-3, 6, 4001)[:, None]
    step = grid[1, 0] - grid[0, 0]
    for at in (-1.5, 0.0, 0.7):
        density = np.exp(conditional_log_density(model, np.full_like(grid, at), grid))
        assert density.sum() * step == pytest.approx(1.0, abs=1e-3)
