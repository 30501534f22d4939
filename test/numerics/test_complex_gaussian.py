# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Complex densities against real ones, closed forms, integrals and samples."""

import numpy as np
import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal

from av_perception.numerics.complex_gaussian import log_angular_central, log_complex_normal


def shape_matrix(size, seed=0):
    random = np.random.default_rng(seed)
    root = random.standard_normal((size, size)) + 1j * random.standard_normal((size, size))
    return root @ root.conj().T + 0.2 * np.eye(size)


def vectors(count, size, seed=1):
    random = np.random.default_rng(seed)
    return random.standard_normal((count, size)) + 1j * random.standard_normal((count, size))


def test_normal_is_the_real_one_of_real_and_imaginary_parts():
    spread, values = shape_matrix(3), vectors(6, 3)
    real = 0.5 * np.block([[spread.real, -spread.imag], [spread.imag, spread.real]])
    expected = multivariate_normal(np.zeros(6), real).logpdf(
        np.concatenate([values.real, values.imag], axis=1)
    )
    np.testing.assert_allclose(log_complex_normal(values, spread), expected)


def test_normal_integrates_to_one():
    spread = np.array([[0.7]])
    total, _ = dblquad(
        lambda y, x: np.exp(log_complex_normal(np.array([x + 1j * y]), spread)), -6, 6, -6, 6
    )
    assert total == pytest.approx(1.0, abs=1e-6)


def uniform_directions(count, size, seed=2):
    values = vectors(count, size, seed)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize(('size', 'area'), [(1, 2 * np.pi), (2, 2 * np.pi**2), (3, np.pi**3)])
def test_angular_density_integrates_to_one_over_the_sphere(size, area):
    density = np.exp(log_angular_central(uniform_directions(400000, size), shape_matrix(size)))
    error = density.std() / np.sqrt(len(density))
    assert area * density.mean() == pytest.approx(1.0, abs=5 * area * error + 1e-12)


def test_angular_density_of_no_direction_is_uniform():
    density = np.exp(log_angular_central(uniform_directions(5, 3), 4.2 * np.eye(3)))
    np.testing.assert_allclose(density, 1 / np.pi**3)


def test_angular_density_is_that_of_directions_of_normal_vectors():
    """For D = 2 and B = diag(b, 1) the law of s = |z_1|^2 in [0, 1] is b / (b + (1 - b) s)^2."""
    b, share = 3.0, np.linspace(0.05, 0.95, 7)
    directions = np.stack([np.sqrt(share), 1j * np.sqrt(1 - share)], axis=1)
    density = np.exp(log_angular_central(directions, np.diag([b, 1.0])))
    # s is uniform where z is, on an area of 2 pi^2
    np.testing.assert_allclose(2 * np.pi**2 * density, b / (b + (1 - b) * share) ** 2)
    values = vectors(200000, 2, 3) * np.sqrt([b, 1.0])
    power = np.abs(values) ** 2
    sampled = np.mean(power[:, 0] < 0.5 * power.sum(axis=1))
    grid = np.linspace(0, 0.5, 2001)
    law = b / (b + (1 - b) * grid) ** 2
    expected = np.sum(0.5 * (law[1:] + law[:-1])) * (grid[1] - grid[0])
    assert sampled == pytest.approx(expected, abs=0.006)


def test_neither_scale_nor_phase_counts():
    spread, values = shape_matrix(3), vectors(6, 3)
    expected = log_angular_central(values, spread)
    np.testing.assert_allclose(log_angular_central(7 * values, spread), expected)
    np.testing.assert_allclose(log_angular_central(np.exp(2j) * values, spread), expected)
    np.testing.assert_allclose(log_angular_central(values, 7 * spread), expected)


def test_every_vector_may_have_its_own_matrix():
    values = vectors(4, 3)
    matrices = np.stack([shape_matrix(3, seed) for seed in range(4)])
    for density in (log_complex_normal, log_angular_central):
        together = density(values, matrices)
        apart = [density(v, m) for v, m in zip(values, matrices)]
        np.testing.assert_allclose(together, apart)


def test_a_matrix_that_is_not_positive_definite_is_an_error():
    with pytest.raises(np.linalg.LinAlgError):
        log_complex_normal(vectors(1, 2), np.diag([1.0, -1.0]))
