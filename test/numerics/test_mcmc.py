# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Markov chains: the right moments, exact acceptance, reversibility."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from av_perception.numerics.mcmc import (
    Chains,
    langevin_log_ratio,
    langevin_step,
    start_langevin,
    start_walk,
    walk_step,
)

MEAN = np.array([1.0, -2.0])
SPREAD = np.array([[2.0, 0.8], [0.8, 1.0]])
PRECISION = np.linalg.inv(SPREAD)


def density(position):
    offset = position - MEAN
    return -0.5 * ((offset @ PRECISION) * offset).sum(axis=-1)


def density_and_gradient(position):
    return density(position), -(position - MEAN) @ PRECISION


@pytest.mark.parametrize('kind', ['walk', 'langevin'])
def test_moments_of_a_gaussian(kind):
    """From far away to the target: 4000 chains, whose means deviate by 0.02 at random."""
    random = np.random.default_rng(0)
    start = np.full((4000, 2), 3.0)
    walks = kind == 'walk'
    chains = start_walk(start, density) if walks else start_langevin(start, density_and_gradient)
    rate = []
    for _ in range(120):
        if walks:
            chains = walk_step(chains, density, 1.2, random)
        else:
            chains = langevin_step(chains, density_and_gradient, 0.5, random)
        rate.append(chains.accepted.mean())
    np.testing.assert_allclose(chains.position.mean(axis=0), MEAN, atol=0.12)
    np.testing.assert_allclose(np.cov(chains.position.T), SPREAD, atol=0.25)
    assert 0.3 < np.mean(rate[20:]) < 0.95
    np.testing.assert_array_equal(chains.log_density, density(chains.position))


@pytest.mark.parametrize('kind', ['walk', 'langevin'])
def test_one_step_leaves_the_target_as_it_is(kind):
    """From exact samples, with a step so large that an unadjusted move would double the spread."""
    random = np.random.default_rng(1)
    start = random.multivariate_normal(MEAN, SPREAD, 200000)
    if kind == 'walk':
        chains = walk_step(start_walk(start, density), density, 2.0, random)
    else:
        chains = start_langevin(start, density_and_gradient)
        chains = langevin_step(chains, density_and_gradient, 1.0, random)
    assert 0.2 < chains.accepted.mean() < 0.9
    np.testing.assert_allclose(chains.position.mean(axis=0), MEAN, atol=0.025)
    np.testing.assert_allclose(np.cov(chains.position.T), SPREAD, atol=0.05)


def test_langevin_ratio_is_that_of_the_densities():
    random = np.random.default_rng(2)
    step = 0.3
    here = start_langevin(random.standard_normal((5, 2)), density_and_gradient)
    there = start_langevin(random.standard_normal((5, 2)), density_and_gradient)

    def log_proposal(a, b):
        moved = a.position + step * a.gradient
        return [
            multivariate_normal(m, 2 * step * np.eye(2)).logpdf(p)
            for m, p in zip(moved, b.position)
        ]

    expected = there.log_density + log_proposal(there, here)
    expected = expected - here.log_density - log_proposal(here, there)
    np.testing.assert_allclose(langevin_log_ratio(here, there, step), expected)
    np.testing.assert_allclose(langevin_log_ratio(there, here, step), -expected)


def test_a_walk_is_taken_as_often_as_metropolis_says():
    """All start at 0, where the density is e times that of everywhere else."""
    random = np.random.default_rng(3)

    def step_down(position):
        return np.where((position == 0).all(axis=-1), 0.0, -1.0)

    chains = walk_step(start_walk(np.zeros((100000, 1)), step_down), step_down, 1.0, random)
    assert chains.accepted.mean() == pytest.approx(np.exp(-1), abs=0.008)
    assert (chains.position[~chains.accepted] == 0).all()
    assert (chains.position[chains.accepted] > 0).mean() == pytest.approx(0.5, abs=0.02)


def test_flows_between_places_balance():
    """Detailed balance on three intervals: of exact samples as many go as come."""
    random = np.random.default_rng(4)
    start = random.standard_normal((400000, 1))

    def normal(position):
        return -0.5 * (position**2).sum(axis=-1), -position

    chains = langevin_step(start_langevin(start, normal), normal, 0.6, random)
    edges = [-0.5, 0.7]
    before, after = np.digitize(start[:, 0], edges), np.digitize(chains.position[:, 0], edges)
    flow = np.zeros((3, 3))
    np.add.at(flow, (before, after), 1)
    noise = np.sqrt(flow + flow.T)
    assert (np.abs(flow - flow.T) <= 5 * noise).all() and flow.min() > 1000


@pytest.mark.parametrize('bad', [np.nan, -np.inf, np.inf])
def test_a_proposal_without_a_density_is_never_taken(bad):
    def broken(position):
        return np.full(len(position), bad), np.full(position.shape, bad)

    random = np.random.default_rng(5)
    here = start_langevin(np.ones((10, 2)), density_and_gradient)
    after = langevin_step(here, broken, 0.1, random)
    assert not after.accepted.any()
    np.testing.assert_array_equal(after.position, here.position)
    walk = walk_step(start_walk(np.ones((10, 2)), density), lambda p: broken(p)[0], 0.1, random)
    assert not walk.accepted.any() and np.isfinite(walk.log_density).all()


def test_chains_of_a_walk_have_no_gradient():
    walk: Chains = start_walk(np.zeros((2, 2)), density)
    with pytest.raises(ValueError, match='start_langevin'):
        langevin_step(walk, density_and_gradient, 0.1, np.random.default_rng(0))
