# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Batched Gaussians against SciPy, and the algebra they rest on against dense inverses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from av_perception.numerics.gaussian import (
    inverse_and_log_det,
    limit_leading,
    log_normal,
    matvec,
    propagate_covariance,
    quadratic,
    schur_complement,
    symmetrize,
)
from av_perception.numerics.gaussian_mixture import Pieces, fit_pieces


def covariances(random, *batch, size=3, scale=1.0):
    root = random.normal(size=(*batch, size, size))
    return scale * (root @ root.swapaxes(-1, -2) + 0.1 * np.eye(size))


@pytest.mark.parametrize('size', [1, 2, 3, 6])
@pytest.mark.parametrize('batch', [(), (4,), (3, 2)])
def test_log_density_is_that_of_scipy(size, batch):
    random = np.random.default_rng(size)
    covariance = covariances(random, *batch, size=size)
    residual = random.normal(size=(*batch, size))
    found = log_normal(residual, covariance)
    assert found.shape == batch
    flat = zip(
        residual.reshape(-1, size), covariance.reshape(-1, size, size), np.ravel(found).tolist()
    )
    for vector, matrix, value in flat:
        assert value == pytest.approx(multivariate_normal(cov=matrix).logpdf(vector), rel=1e-10)


def test_density_far_out_is_a_small_number_and_no_zero():
    assert log_normal(np.array([1e3]), np.eye(1)) == pytest.approx(-5e5, rel=1e-4)


@pytest.mark.parametrize('size', [1, 2, 5])
def test_schur_complement_and_determinant_are_those_of_the_inverse(size):
    random = np.random.default_rng(size)
    whole = covariances(random, 7, size=size + 1)
    complement, log_det = schur_complement(whole.transpose(1, 2, 0))
    block, border, corner = whole[:, :size, :size], whole[:, :size, size], whole[:, size, size]
    inverse, expected = inverse_and_log_det(block)
    np.testing.assert_allclose(complement, corner - quadratic(border, inverse), rtol=1e-8)
    np.testing.assert_allclose(log_det, expected, rtol=1e-8, atol=1e-10)
    # The complement is the inverse of the last entry of the inverse.
    np.testing.assert_allclose(complement, 1 / np.linalg.inv(whole)[:, size, size], rtol=1e-8)


def test_the_matrix_that_is_eliminated_is_not_written_to():
    whole = covariances(np.random.default_rng(0), 4, size=3).transpose(1, 2, 0)
    before = whole.copy()
    schur_complement(whole)
    np.testing.assert_array_equal(whole, before)


def test_products_of_batches_are_those_of_each():
    random = np.random.default_rng(3)
    matrices, vectors = random.normal(size=(5, 2, 3)), random.normal(size=(5, 3))
    inner = covariances(random, 5)
    for i in range(5):
        np.testing.assert_allclose(matvec(matrices, vectors)[i], matrices[i] @ vectors[i])
        np.testing.assert_allclose(
            quadratic(vectors, inner)[i], vectors[i] @ inner[i] @ vectors[i]
        )
        np.testing.assert_allclose(
            propagate_covariance(matrices, inner)[i], matrices[i] @ inner[i] @ matrices[i].T
        )


def test_a_propagated_covariance_is_that_of_propagated_samples():
    random = np.random.default_rng(4)
    covariance, transition = covariances(random), random.normal(size=(2, 3))
    samples = random.multivariate_normal(np.zeros(3), covariance, 200_000)
    np.testing.assert_allclose(
        np.cov(samples @ transition.T, rowvar=False),
        propagate_covariance(transition, covariance),
        rtol=0.03,
        atol=0.03,
    )


def test_the_symmetric_part_stays_and_the_rest_goes():
    random = np.random.default_rng(5)
    symmetric = covariances(random, 4)
    skew = random.normal(size=(4, 3, 3))
    skew = skew - skew.swapaxes(1, 2)
    np.testing.assert_allclose(symmetrize(symmetric + skew), symmetric, atol=1e-12)


def eigenvalues(covariance, size):
    return np.linalg.eigvalsh(covariance[:, :size, :size])


def test_bounded_covariances_are_within_the_bound_along_any_axis():
    random = np.random.default_rng(6)
    covariance = covariances(random, 50, size=6, scale=3.0)
    bounded = limit_leading(covariance, 3, 1.5)
    assert (eigenvalues(bounded, 3) <= 1.5**2 + 1e-9).all()
    assert (np.linalg.eigvalsh(bounded) > 0).all(), 'positive definite'
    np.testing.assert_allclose(bounded, bounded.swapaxes(1, 2), atol=1e-12)
    # What follows the leading block is not shrunk, and directions within the bound stay.
    np.testing.assert_array_equal(bounded[:, 3:, 3:], covariance[:, 3:, 3:])
    np.testing.assert_allclose(
        eigenvalues(bounded, 3), np.minimum(eigenvalues(covariance, 3), 1.5**2), rtol=1e-8
    )


def test_a_bound_keeps_correlations_and_bounds_twice_as_once():
    covariance = covariances(np.random.default_rng(7), 20, size=6, scale=3.0)
    bounded = limit_leading(covariance, 3, 1.0)
    np.testing.assert_allclose(limit_leading(bounded, 3, 1.0), bounded, rtol=1e-8, atol=1e-10)
    diagonal = np.diag([9.0, 0.25, 4.0, 1.0])[None]
    diagonal[0, 0, 3] = diagonal[0, 3, 0] = 1.5  # correlation 0.5
    shrunk = limit_leading(diagonal, 3, 1.0)[0]
    np.testing.assert_allclose(np.diag(shrunk), [1.0, 0.25, 1.0, 1.0])
    assert shrunk[0, 3] / np.sqrt(shrunk[0, 0] * shrunk[3, 3]) == pytest.approx(0.5)


def test_what_is_within_the_bound_is_not_touched():
    covariance = covariances(np.random.default_rng(8), 5, size=4, scale=1e-3)
    assert limit_leading(covariance, 3, 1.0) is covariance
    mixed = np.concatenate([covariance, 100 * np.eye(4)[None]])
    bounded = limit_leading(mixed, 3, 1.0)
    np.testing.assert_array_equal(bounded[:5], covariance)
    np.testing.assert_array_equal(mixed[5], 100 * np.eye(4))


def some_pieces(random, count=4, size=2):
    precision = covariances(random, count, size=size)
    weight = random.dirichlet(np.ones(count))
    return Pieces(
        np.log(weight),
        random.normal(size=(count, size)),
        precision,
        np.linalg.slogdet(precision)[1],
    )


def test_the_joint_density_of_pieces_is_that_of_scipy():
    random = np.random.default_rng(9)
    pieces = some_pieces(random)
    inputs = random.normal(size=(10, 2))
    joint = pieces.log_joint(inputs)
    for r in range(4):
        normal = multivariate_normal(pieces.center[r], np.linalg.inv(pieces.precision[r]))
        np.testing.assert_allclose(joint[:, r], pieces.log_weight[r] + normal.logpdf(inputs))


def test_noise_on_the_inputs_is_the_mean_over_noisy_inputs():
    random = np.random.default_rng(10)
    pieces = some_pieces(random)
    inputs = random.normal(size=(3, 2))
    # The log density is quadratic, whose mean is that over two points on each axis.
    steps = 0.3 * np.sqrt(2) * np.concatenate([np.eye(2), -np.eye(2)])
    mean = np.mean([pieces.log_joint(inputs + step) for step in steps], axis=0)
    np.testing.assert_allclose(pieces.log_joint(inputs, 0.3), mean, rtol=1e-10)


def test_pieces_of_planted_groups_are_their_moments():
    random = np.random.default_rng(11)
    groups = [random.normal(size=(200, 2)) + 10 * shift for shift in range(3)]
    inputs = np.concatenate(groups)
    posterior = np.repeat(np.eye(3), 200, axis=0)
    pieces = fit_pieces(posterior, inputs, noise=0.5)
    np.testing.assert_allclose(np.exp(pieces.log_weight), np.full(3, 1 / 3), rtol=1e-9)
    for group, center, precision in zip(groups, pieces.center, pieces.precision):
        np.testing.assert_allclose(center, group.mean(axis=0), rtol=1e-6, atol=1e-8)
        covariance = np.cov(group, rowvar=False, bias=True) + 0.25 * np.eye(2)
        np.testing.assert_allclose(np.linalg.inv(precision), covariance, rtol=1e-6, atol=1e-8)


def test_pieces_of_equal_volume_have_one_determinant_and_one_weight():
    random = np.random.default_rng(12)
    inputs = random.normal(size=(300, 2)) * 10.0 ** random.uniform(-1, 1, (300, 1))
    posterior = random.dirichlet(np.ones(4), 300)
    pieces = fit_pieces(posterior, inputs, 0.1, equal_volume=True)
    np.testing.assert_allclose(pieces.log_det_precision, pieces.log_det_precision[0])
    np.testing.assert_allclose(np.exp(pieces.log_weight), 0.25)
    free = fit_pieces(posterior, inputs, 0.1)
    for one, other in zip(pieces.precision, free.precision):
        ratio = one / other
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-8)  # the same shape


def test_a_piece_without_any_input_stays_finite():
    inputs = np.random.default_rng(13).normal(size=(20, 2))
    posterior = np.column_stack([np.ones(20), np.zeros(20)])
    pieces = fit_pieces(posterior, inputs, 0.2)
    assert all(np.isfinite(array).all() for array in vars(pieces).values())
    np.testing.assert_allclose(np.linalg.inv(pieces.precision[1]), 0.04 * np.eye(2))
