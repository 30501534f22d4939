# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How far filters walk: against a dense covariance, planted walks, and the best covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_mixtures import any_model, complex_normal

from av_perception.separation.evolution_update import step_moments, update_evolution
from av_perception.separation.moving_mixture import Evolution, FilterPosterior

FRAMES = 5
MICROPHONES = 3
SOURCES = 2
BINS = 2


def a_posterior(rng, frames=FRAMES):
    """A walk of any dense covariance; that (F, L, J, L, J) comes along."""
    size = frames * SOURCES
    half = complex_normal(rng, BINS, size, size)
    dense = (half @ half.conj().swapaxes(1, 2)).reshape(BINS, frames, SOURCES, frames, SOURCES)
    covariance = np.stack([dense[:, l, :, l] for l in range(frames)])
    lag_one = np.zeros((frames - 1, BINS, SOURCES, SOURCES), complex)
    for l in range(frames - 1):
        lag_one[l] = dense[:, l + 1, :, l]
    mean = complex_normal(rng, frames, MICROPHONES, SOURCES, BINS)
    filters = FilterPosterior(
        mean, np.moveaxis(covariance, 1, -1), np.moveaxis(lag_one, 1, -1), np.zeros(BINS)
    )
    return filters, dense


def exact_steps(filters, dense):
    """(J, J, F) by a difference matrix over all frames, microphone by microphone."""
    frames = len(filters.mean)
    difference = np.diff(np.eye(frames), axis=0)
    total = np.zeros((SOURCES, SOURCES, BINS), complex)
    for f in range(BINS):
        for i in range(MICROPHONES):
            mean = filters.mean[:, i, :, f]
            second = dense[f] + np.einsum('lj,mr->ljmr', mean, mean.conj())
            for row in difference:
                total[..., f] += np.einsum('l,ljmr,m->jr', row, second, row)
    return total


def with_filters(filters, tied=True, seed=0):
    model = any_model(seed=seed, sources=SOURCES)
    start = np.repeat(7.0 * np.eye(SOURCES)[..., None], BINS, axis=2).astype(complex)
    evolution = Evolution(np.zeros(filters.mean.shape[1:], complex), start, 2 * start, tied)
    return replace(model, filters=filters, evolution=evolution)


def test_moments_of_the_steps_are_those_of_the_dense_walk():
    filters, dense = a_posterior(np.random.default_rng(0))
    np.testing.assert_allclose(step_moments(filters), exact_steps(filters, dense), rtol=1e-10)


def test_a_tied_covariance_is_the_mean_of_the_start_and_all_steps():
    filters, dense = a_posterior(np.random.default_rng(1))
    evolution = update_evolution(with_filters(filters)).evolution
    start = MICROPHONES * np.moveaxis(dense[:, 0, :, 0], 0, -1)
    exact = (exact_steps(filters, dense) + start) / (FRAMES * MICROPHONES)
    np.testing.assert_allclose(evolution.step, exact, rtol=1e-9)
    np.testing.assert_array_equal(evolution.start, evolution.step)
    np.testing.assert_array_equal(evolution.mean, filters.mean[0])


def test_a_start_of_its_own_stays_and_steps_are_averaged_alone():
    filters, dense = a_posterior(np.random.default_rng(2))
    model = with_filters(filters, tied=False)
    evolution = update_evolution(model).evolution
    exact = exact_steps(filters, dense) / ((FRAMES - 1) * MICROPHONES)
    np.testing.assert_allclose(evolution.step, exact, rtol=1e-9)
    np.testing.assert_array_equal(evolution.start, model.evolution.start)
    assert not evolution.tied


def expected_log_density(evolution, filters, dense, f):
    """E[log p(A)] but for constants, of one bin."""

    def term(covariance, moments, count):
        log_det = np.linalg.slogdet(covariance)[1]
        return -count * log_det - np.trace(np.linalg.solve(covariance, moments)).real

    shift = filters.mean[0, ..., f] - evolution.mean[..., f]
    first = np.einsum('ij,ir->jr', shift, shift.conj()) + MICROPHONES * dense[f, 0, :, 0]
    steps = exact_steps(filters, dense)[..., f]
    return term(evolution.start[..., f], first, MICROPHONES) + term(
        evolution.step[..., f], steps, MICROPHONES * (FRAMES - 1)
    )


@pytest.mark.parametrize('tied', [True, False])
def test_no_covariance_and_no_mean_nearby_is_better(tied):
    rng = np.random.default_rng(3)
    filters, dense = a_posterior(rng)
    best = update_evolution(with_filters(filters, tied)).evolution
    highest = expected_log_density(best, filters, dense, 0)
    for _ in range(30):
        half = complex_normal(rng, SOURCES, SOURCES)
        change = 1e-2 * (half + half.conj().T)[..., None]
        start = best.start + change if tied else best.start
        for other in (
            replace(best, start=start, step=best.step + change),
            replace(best, mean=best.mean + 0.01 * complex_normal(rng, *best.mean.shape)),
        ):
            assert expected_log_density(other, filters, dense, 0) < highest


def test_a_planted_walk_that_is_known_gives_back_its_step():
    rng = np.random.default_rng(4)
    frames, microphones = 4000, 4
    root = complex_normal(rng, SOURCES, SOURCES)
    walk = np.cumsum(complex_normal(rng, frames, microphones, SOURCES) @ root.T, axis=0)
    nothing = np.zeros((SOURCES, SOURCES, 1), complex)
    filters = FilterPosterior(
        walk[..., None],
        np.tile(nothing, (frames, 1, 1, 1)),
        np.tile(nothing, (frames - 1, 1, 1, 1)),
        np.zeros(1),
    )
    step = update_evolution(with_filters(filters, tied=False)).evolution.step[..., 0]
    scale = np.mean(np.abs(complex_normal(rng, 100_000)) ** 2)
    planted = scale * root @ root.conj().T
    assert np.linalg.norm(step - planted) < 0.03 * np.linalg.norm(planted)


def test_one_frame_has_no_step_and_says_nothing_of_it():
    filters, dense = a_posterior(np.random.default_rng(5), frames=1)
    assert not step_moments(filters).any()
    model = with_filters(filters, tied=False)
    np.testing.assert_array_equal(update_evolution(model).evolution.step, model.evolution.step)
    tied = update_evolution(with_filters(filters)).evolution
    np.testing.assert_allclose(tied.step, np.moveaxis(dense[:, 0, :, 0], 0, -1), rtol=1e-9)


@pytest.mark.parametrize('tied', [True, False])
def test_filters_that_stand_still_leave_a_covariance_that_has_an_inverse(tied):
    """Sources 1 and 2 have one filter: in exact arithmetic the covariance is singular."""
    shape = (FRAMES, SOURCES, SOURCES, BINS)
    flat = np.ones(shape, complex)
    filters = FilterPosterior(
        np.ones((FRAMES, MICROPHONES, SOURCES, BINS), complex), flat, flat[1:], np.zeros(BINS)
    )
    step = update_evolution(with_filters(filters, tied)).evolution.step
    np.testing.assert_array_equal(step, step.conj().swapaxes(0, 1))
    assert np.linalg.eigvalsh(np.moveaxis(step, -1, 0)).min() > 0
