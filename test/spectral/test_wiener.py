# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Wiener filters against the conditional mean of the joint Gaussian and against each other."""

import numpy as np
import pytest

from av_perception.spectral.wiener import multichannel_filters, rank_one_filter, wiener_gains

MICROPHONES, BINS = 3, 4


def complex_normal(random, *shape):
    return random.standard_normal(shape) + 1j * random.standard_normal(shape)


def covariances(random, *shape):
    root = complex_normal(random, *shape, MICROPHONES, MICROPHONES)
    return root @ root.conj().swapaxes(-1, -2) + 0.1 * np.eye(MICROPHONES)


def test_gains_share_the_mixture():
    variances = np.array([[1.0, 0.0, 0.0], [3.0, 2.0, 0.0]])
    np.testing.assert_allclose(wiener_gains(variances), [[0.25, 0.0, 0.5], [0.75, 1.0, 0.5]])


def test_rank_one_is_the_conditional_mean():
    random = np.random.default_rng(0)
    steering = complex_normal(random, BINS, MICROPHONES)
    variance, noise = random.uniform(0.1, 3, BINS), covariances(random, BINS)
    filters = rank_one_filter(steering, variance, noise)
    for f in range(BINS):
        mixture = variance[f] * np.outer(steering[f], steering[f].conj()) + noise[f]
        # E[s x^H] E[x x^H]^-1
        expected = variance[f] * steering[f].conj() @ np.linalg.inv(mixture)
        np.testing.assert_allclose(filters[f].conj(), expected, atol=1e-12)
        error = variance[f] - variance[f] * (expected @ steering[f]).real
        assert variance[f] * (1 - filters[f].conj() @ steering[f]).real == pytest.approx(error)


def test_images_add_up_and_are_conditional_means():
    random = np.random.default_rng(1)
    spreads = covariances(random, 2, BINS)
    filters = multichannel_filters(spreads)
    expected = spreads @ np.linalg.inv(spreads.sum(axis=0))
    np.testing.assert_allclose(filters, expected, atol=1e-12)
    np.testing.assert_allclose(
        filters.sum(axis=0), np.tile(np.eye(MICROPHONES), (BINS, 1, 1)), atol=1e-12
    )


def test_the_forms_agree_on_a_source_of_rank_one():
    random = np.random.default_rng(2)
    steering, noise = complex_normal(random, BINS, MICROPHONES), covariances(random, BINS)
    outer = 2.0 * steering[:, :, None] * steering[:, None].conj()
    image = multichannel_filters(np.stack([outer, noise]))[0]
    source = rank_one_filter(steering, np.full(BINS, 2.0), noise)
    np.testing.assert_allclose(image, steering[:, :, None] * source[:, None].conj(), atol=1e-12)


def test_one_microphone_is_a_gain():
    filters = multichannel_filters(np.array([1.0, 3.0]).reshape(2, 1, 1))
    np.testing.assert_allclose(filters[:, 0, 0], wiener_gains(np.array([1.0, 3.0])))
    single = rank_one_filter(np.ones(1), np.array(1.0), np.array([[3.0]]))
    np.testing.assert_allclose(single, [0.25])


def test_a_silent_source_gives_nothing():
    assert (rank_one_filter(np.ones(2), np.array(0.0), np.eye(2)) == 0).all()
