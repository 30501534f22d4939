# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Features of images reach the frames of the sound, whatever comes."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio_visual.features import (
    VisualFeatures,
    frame_times,
    nothing_seen,
    resample,
)
from av_perception.dvae.spectra import PRIOR_TRANSFORM, RATE


def test_a_row_that_is_no_number_is_not_believed():
    values = np.ones((4, 2))
    values[1, 0] = np.nan
    values[2, 1] = np.inf
    features = VisualFeatures(values, np.array([0.5, 1.0, 1.0, 3.0]))
    np.testing.assert_array_equal(features.reliability, [0.5, 0, 0, 1])
    assert np.isfinite(features.values).all()


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match='features must be'):
        VisualFeatures(np.ones((4, 2)), np.ones(3))


def test_frame_times_are_the_centers_of_the_windows():
    """A click in the middle of a window is loudest there."""
    times = frame_times(30, 2.0)
    for frame in (5, 11):
        samples = np.zeros(8000)
        samples[round((times[frame] - 2.0) * RATE)] = 1.0
        power = np.abs(PRIOR_TRANSFORM.forward(samples)) ** 2
        assert np.argmax(power.sum(axis=1)) == frame


def test_features_between_images_lie_on_the_line():
    stamps = np.arange(10) / 25
    values = np.stack([stamps, 2 * stamps], axis=1)
    times = np.linspace(0, 0.36, 50)
    found = resample(stamps, values, np.linspace(0, 1, 10), times)
    np.testing.assert_allclose(found.values, np.stack([times, 2 * times], axis=1), atol=1e-6)
    np.testing.assert_allclose(found.reliability, times / 0.36, atol=1e-6)


def test_nothing_is_known_in_gaps_and_after_the_last_image():
    stamps = np.array([0.0, 0.04, 1.0, 1.04])
    found = resample(stamps, np.ones((4, 1)), np.ones(4), np.array([-0.5, 0.02, 0.5, 1.05, 2.0]))
    np.testing.assert_array_equal(found.reliability, [0, 1, 0, 1, 0])


def test_images_in_any_order_twice_and_broken_are_sorted_out():
    random = np.random.default_rng(0)
    stamps = np.arange(20) / 25
    values = random.standard_normal((20, 3))
    times = np.linspace(0, 0.76, 33)
    expected = resample(stamps, values, np.ones(20), times)
    order = random.permutation(20)
    many = np.concatenate([stamps[order], [np.nan, 0.4]])
    rows = np.concatenate([values[order], np.ones((1, 3)), values[10:11]])
    rows = np.concatenate([np.full((1, 3), 9.0), rows])  # came first, is replaced
    many = np.concatenate([[0.4], many])
    found = resample(many, rows, np.ones(len(many)), times)
    np.testing.assert_allclose(found.values, expected.values)
    np.testing.assert_array_equal(found.reliability, expected.reliability)


@pytest.mark.parametrize('count', [0, 1])
def test_hardly_any_image_is_hardly_any_knowledge(count):
    found = resample(np.zeros(count), np.ones((count, 2)), np.ones(count), np.array([0.0, 1.0]))
    assert found.reliability.tolist() == [float(count), 0.0]


def test_nobody_seen_is_believed_nowhere():
    features = nothing_seen(3, 2)
    assert len(features) == 3 and features.size == 2 and not features.reliability.any()
    assert len(features[1:]) == 2
