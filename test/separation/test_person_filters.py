# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Multichannel Wiener filters by masks: exact limits, and against the formula written out."""

import numpy as np
import pytest

from av_perception.separation.person_filters import PersonFilters
from av_perception.spectral.wiener import multichannel_filters


def noise(random, *shape):
    return random.normal(size=(*shape, 2)) @ [1, 1j]


def test_whom_everything_belongs_to_gets_the_microphone():
    random = np.random.default_rng(1)
    filters = PersonFilters(0.008, 0.3)
    for _ in range(10):
        spectra = noise(random, 2, 9, 4)
        found = filters.update(spectra, np.ones((1, 2, 9)), (5,), np.array([2]))
    np.testing.assert_allclose(found[0], spectra[:, :, 2], atol=1e-4)


def test_filters_are_those_of_the_weighted_covariances():
    random = np.random.default_rng(2)
    filters = PersonFilters(0.008, 0.1)
    spectra, masks = noise(random, 12, 5, 3), random.uniform(0, 0.5, (2, 12, 5))
    for t in range(0, 12, 2):
        found = filters.update(spectra[t : t + 2], masks[:, t : t + 2], (1, 2), np.array([1, 1]))
    fading = np.exp(-0.08 * np.arange(12)[::-1])
    weights = np.concatenate([masks, 1 - masks.sum(axis=0, keepdims=True)]) * fading[:, None]
    covariances = np.einsum('jtf,tfm,tfn->jfmn', weights, spectra, spectra.conj())
    gains = multichannel_filters(covariances)[:2, :, 1]  # (J, F, M): row of the microphone
    expected = np.einsum('jfm,tfm->jtf', gains, spectra[10:])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_as_many_sources_as_microphones_come_apart_whatever_overlaps():
    """Two sources in every bin at once, masks that know only who is stronger there."""
    random = np.random.default_rng(3)
    mixing = noise(random, 6, 2, 2)
    filters = PersonFilters(0.008, 5.0)
    errors = []
    for _ in range(400):
        loud = random.integers(0, 2, (2, 6))
        scale = np.stack([np.where(loud == 0, 3.0, 0.05), np.where(loud == 1, 3.0, 0.05)])
        sources = scale * noise(random, 2, 2, 6)
        images = np.einsum('fmj,jtf->jtfm', mixing, sources)
        masks = np.stack([loud == 0, loud == 1]).astype(float)
        found = filters.update(images.sum(axis=0), masks, (1, 2), np.array([0, 0]))
        errors.append(np.sum(np.abs(found - images[..., 0]) ** 2) / np.sum(np.abs(images) ** 2))
    assert np.mean(errors[-100:]) < 0.02


def test_people_come_and_go_and_silence_is_no_error():
    filters = PersonFilters(0.008, 0.3)
    random = np.random.default_rng(4)
    assert filters.update(
        noise(random, 2, 5, 3), np.zeros((0, 2, 5)), (), np.zeros(0, int)
    ).shape == (0, 2, 5)
    filters.update(noise(random, 2, 5, 3), np.full((1, 2, 5), 0.5), (1,), np.array([0]))
    both = filters.update(
        noise(random, 2, 5, 3), np.full((2, 2, 5), 0.5), (2, 1), np.array([0, 0])
    )
    assert np.isfinite(both).all()
    filters.reset()
    assert np.isfinite(
        filters.update(np.zeros((2, 5, 3)), np.ones((1, 2, 5)), (1,), np.array([0]))
    ).all()


def test_no_memory_is_refused():
    with pytest.raises(ValueError, match='memory_s'):
        PersonFilters(0.008, 0.0)
