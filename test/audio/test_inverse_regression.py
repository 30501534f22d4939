# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The posterior over directions: full covariances, a dense grid, and a source that moves."""

import numpy as np
import pytest
from acoustic_maps import random_map
from scipy.stats import multivariate_normal
from streaming_regression import InverseRegression


def test_one_complete_vector_equals_the_full_covariance_formula():
    """GLLiM's inverse map: each piece's evidence and Gaussian conditional.

    The weights are N(y; A c + b, Sig + A Gam A^T).
    """
    rng = np.random.default_rng(0)
    model = random_map(rng, 4)
    values = rng.standard_normal((2, 6))
    regression = InverseRegression(model)
    regression.add(values, np.ones((2, 6), bool), np.ones(2))
    posterior = regression.posterior()
    weights, y = [], values.ravel()
    for r in range(4):
        slope, offset = model.slope[:, r].reshape(12, 3), model.offset[:, r].ravel()
        prior, center = np.linalg.inv(model.center_precision[0, r]), model.center[0, r]
        marginal = np.diag(model.variance[:, r].ravel()) + slope @ prior @ slope.T
        weights.append(
            model.log_weight[0, r]
            + multivariate_normal(slope @ center + offset, marginal).logpdf(y)
        )
        gain = prior @ slope.T @ np.linalg.inv(marginal)
        np.testing.assert_allclose(
            posterior.mean[r], center + gain @ (y - slope @ center - offset), rtol=1e-8
        )
        np.testing.assert_allclose(
            posterior.covariance[r], prior - gain @ slope @ prior, rtol=1e-8, atol=1e-12
        )
    np.testing.assert_allclose(
        posterior.log_weight, np.array(weights) - np.logaddexp.reduce(weights), rtol=1e-8
    )


def test_the_mixture_is_the_posterior_on_a_dense_grid():
    """Total variation below 1e-3 between the mixture and prior times likelihood.

    Along one axis, others held; moments agree too.
    """
    rng = np.random.default_rng(1)
    model = random_map(rng, 3, subbands=1, size=3)
    for field in (model.slope, model.center):
        field[..., 1:] = 0  # the features depend on the first component alone
    model.center_precision[:] = np.diag([3.0, 1.0, 1.0])
    model.center_log_det_precision[:] = np.log(3.0)
    frames = [(rng.standard_normal((1, 3)), rng.random((1, 3)) < 0.6) for _ in range(4)]
    regression = InverseRegression(model)
    for values, present in frames:
        regression.add(values, present, np.ones(1))
    posterior = regression.posterior()
    grid = np.linspace(-6, 6, 4001)
    density = np.zeros_like(grid)
    for r in range(3):
        exponent = model.log_weight[0, r] - 1.5 * (grid - model.center[0, r, 0]) ** 2
        for values, present in frames:
            error = values[0] - grid[:, None] * model.slope[0, r, :, 0] - model.offset[0, r]
            exponent = exponent - 0.5 * (
                (error**2 / model.variance[0, r] + np.log(model.variance[0, r])) * present[0]
            ).sum(axis=1)
        density += np.exp(exponent)
    density /= density.sum()
    deviation = np.sqrt(posterior.covariance[:, 0, 0])
    mixture = (
        np.exp(-0.5 * ((grid[:, None] - posterior.mean[:, 0]) / deviation) ** 2)
        / deviation
        @ posterior.weight
    )
    mixture /= mixture.sum()
    assert 0.5 * np.abs(mixture - density).sum() < 1e-3
    assert posterior.expectation[0] == pytest.approx(grid @ density, abs=1e-4)
    assert posterior.spread[0, 0] == pytest.approx(
        grid**2 @ density - (grid @ density) ** 2, abs=1e-4
    )


def test_forgetting_weighs_frames_by_age():
    rng = np.random.default_rng(2)
    model = random_map(rng, 2)
    frames = rng.standard_normal((5, 2, 6))
    forgetful, weighted = InverseRegression(model, forgetting=0.8), InverseRegression(model)
    for age, values in zip(range(4, -1, -1), frames):
        forgetful.add(values, np.ones((2, 6), bool), np.ones(2))
        weighted.add(values, np.ones((2, 6), bool), np.full(2, 0.8**age))
    np.testing.assert_allclose(forgetful.posterior().mean, weighted.posterior().mean)
    np.testing.assert_allclose(forgetful.posterior().log_weight, weighted.posterior().log_weight)


def test_forgetting_follows_a_source_that_jumps():
    rng = np.random.default_rng(3)
    model = random_map(rng, 1)
    places = np.array([[0.5, 0.0, 0.3], [-0.5, 0.4, 0.0]])
    forgetful, stubborn = InverseRegression(model, forgetting=0.9), InverseRegression(model)
    for place in np.repeat(places, 60, axis=0):
        values = (
            np.einsum('kgi,i->kg', model.slope[:, 0], place)
            + model.offset[:, 0]
            + 0.1 * rng.standard_normal((2, 6))
        )
        for regression in (forgetful, stubborn):
            regression.add(values, np.ones((2, 6), bool), np.ones(2))
    assert (
        np.linalg.norm(forgetful.posterior().expectation - places[1]) < 0.25
    )  # the prior counts against ten frames
    assert np.linalg.norm(stubborn.posterior().expectation - places[1]) > 0.4


@pytest.mark.parametrize('forgetting', [0.0, 1.1, float('nan')])
def test_bad_forgetting_is_refused(forgetting):
    with pytest.raises(ValueError, match='forgetting'):
        InverseRegression(random_map(np.random.default_rng(4), 1), forgetting=forgetting)


def test_one_piece_is_bayesian_linear_regression():
    rng = np.random.default_rng(0)
    model = random_map(rng, 1)
    regression = InverseRegression(model)
    frames = [(rng.standard_normal((2, 6)), rng.random((2, 6)) < 0.7) for _ in range(3)]
    information = model.center_precision[0, 0].copy()
    vector = information @ model.center[0, 0]
    for values, present in frames:
        regression.add(np.where(present, values, np.nan), present, np.ones(2))
        for k, g in zip(*np.nonzero(present)):
            row, variance = model.slope[k, 0, g], model.variance[k, 0, g]
            information += np.outer(row, row) / variance
            vector += row * (values[k, g] - model.offset[k, 0, g]) / variance
    posterior = regression.posterior()
    np.testing.assert_allclose(posterior.mean[0], np.linalg.solve(information, vector))
    np.testing.assert_allclose(posterior.covariance[0], np.linalg.inv(information))


def test_posterior_mean_equals_numeric_integration():
    rng = np.random.default_rng(1)
    model = random_map(rng, 3, subbands=1, size=3)
    values, present = rng.standard_normal((1, 3)), np.array([[True, False, True]])
    regression = InverseRegression(model)
    regression.add(values, present, np.ones(1))
    axis = np.linspace(-5, 5, 81)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing='ij'), axis=-1).reshape(-1, 3)
    density = np.zeros(len(points))
    for r in range(3):
        difference = points - model.center[0, r]
        exponent = model.log_weight[0, r] + 0.5 * model.center_log_det_precision[0, r]
        exponent = exponent - 0.5 * np.einsum(
            'ni,ij,nj->n', difference, model.center_precision[0, r], difference
        )
        for g in (0, 2):
            error = values[0, g] - points @ model.slope[0, r, g] - model.offset[0, r, g]
            exponent = exponent - 0.5 * (
                error**2 / model.variance[0, r, g] + np.log(model.variance[0, r, g])
            )
        density += np.exp(exponent)
    np.testing.assert_allclose(
        regression.posterior().expectation, density @ points / density.sum(), atol=1e-3
    )


def test_nothing_observed_returns_the_prior():
    model = random_map(np.random.default_rng(2), 4)
    regression = InverseRegression(model)
    regression.add(np.full((2, 6), np.nan), np.zeros((2, 6), bool), np.ones(2))
    posterior = regression.posterior()
    np.testing.assert_allclose(posterior.log_weight, model.log_weight[0], atol=1e-12)
    np.testing.assert_allclose(posterior.mean, model.center[0], atol=1e-12)


def test_pieces_that_are_not_shared_are_refused():
    model = random_map(np.random.default_rng(3), 2)
    model.center[1] += 1
    with pytest.raises(ValueError, match='share'):
        InverseRegression(model)
