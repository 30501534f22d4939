# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The stereo matcher against textures whose disparity is exact."""

import numpy as np
import pytest
from vision_scenes import CAMERA, Texture, textured_pair

from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.stereo_matching import StereoMatchConfig, StereoMatcher

BOX = np.array([300.0, 200.0, 40.0, 53.0])


def matcher(**changes):
    return StereoMatcher(StereoMatchConfig(**changes), CAMERA, 0.135)


def true_disparity(box, factor=1.0):
    return CAMERA.baseline * box[2] / 0.135 * factor


def errors(width, noise, draws, seed, **changes):
    """Errors [px] and predicted variances of random textures, sub-pixel disparities and noise."""
    random = np.random.default_rng(seed)
    result = []
    for _ in range(draws):
        box = np.array([300 + random.uniform(-20, 20), 200.0, width, width * 1.33])
        disparity = true_disparity(box, random.uniform(0.85, 1.15))
        match = matcher(**changes).match(*textured_pair(box, disparity, random, noise), box)
        result.append((match.disparity - disparity, match.variance))
    return np.array(result).T


@pytest.mark.slow
@pytest.mark.parametrize('width, limit', [(24, 0.06), (40, 0.03), (60, 0.03)])
def test_disparity_is_found_to_a_fraction_of_a_pixel(width, limit):
    error, _ = errors(width, noise=2.0, draws=15, seed=1)
    assert np.sqrt(np.mean(error**2)) < limit and abs(error.mean()) < limit / 2


@pytest.mark.slow
def test_the_variance_is_the_spread_of_the_error():
    error, variance = errors(40, noise=8.0, draws=60, seed=2, disparity_floor_px=0.01)
    mean = np.mean(error**2 / variance)
    # Chi-square with 60 degrees of freedom, divided by 60: 95 % of all runs lie in this band.
    assert 0.67 < mean < 1.39


def test_the_variance_grows_with_the_noise():
    _, quiet = errors(40, noise=1.0, draws=4, seed=3)
    _, noisy = errors(40, noise=12.0, draws=4, seed=3)
    assert noisy.min() > quiet.max() > 0


def test_a_face_of_another_person_size_is_still_found():
    random = np.random.default_rng(4)
    for factor in (0.7, 1.4):
        disparity = true_disparity(BOX, factor)
        match = matcher().match(*textured_pair(BOX, disparity, random), BOX)
        assert match.disparity == pytest.approx(disparity, abs=0.1)


def test_a_disparity_against_the_size_of_the_face_is_refused():
    random = np.random.default_rng(5)
    assert matcher().match(*textured_pair(BOX, true_disparity(BOX, 2.6), random), BOX) is None


def test_uncorrelated_images_are_refused():
    random = np.random.default_rng(6)
    left, _ = textured_pair(BOX, true_disparity(BOX), random)
    _, right = textured_pair(BOX, true_disparity(BOX), random)
    assert matcher().match(left, right, BOX) is None


def test_a_face_hidden_in_the_right_image_is_refused():
    random = np.random.default_rng(7)
    left, right = textured_pair(BOX, true_disparity(BOX), random)
    _, other = textured_pair(BOX, true_disparity(BOX), random)
    first = int(BOX[0] - true_disparity(BOX)) - 2
    right[:, first : first + 46] = other[:, first : first + 46]
    assert matcher().match(left, right, BOX) is None


@pytest.mark.parametrize('value', [0, 120, 255])
def test_a_flat_right_image_or_a_flat_face_is_refused(value):
    random = np.random.default_rng(8)
    left, right = textured_pair(BOX, true_disparity(BOX), random)
    flat = np.full_like(left, value)
    assert matcher().match(left, flat, BOX) is None
    assert matcher().match(flat, right, BOX) is None


def test_a_flat_background_does_not_hide_the_match():
    random = np.random.default_rng(9)
    left, right = textured_pair(BOX, true_disparity(BOX), random, noise=0.0)
    columns = np.arange(CAMERA.width)
    for image, shift in ((left, 0.0), (right, true_disparity(BOX))):
        image[:, (columns < BOX[0] - shift - 1) | (columns > BOX[0] + BOX[2] - shift + 1)] = 200
    match = matcher().match(left, right, BOX)
    assert match.disparity == pytest.approx(true_disparity(BOX), abs=0.1)


def test_a_repeating_texture_is_refused_as_ambiguous():
    random = np.random.default_rng(10)

    def stripes(x, y):
        return np.cos(2 * np.pi * x / 8) + 0.2 * np.cos(0.3 * y)

    wide = BOX + [-40, 0, 80, 0]
    pair = textured_pair(wide, true_disparity(BOX), random, face=stripes)
    assert matcher().match(*pair, BOX) is None


def test_a_row_of_rectification_error_is_tolerated():
    random = np.random.default_rng(11)
    for rows in (-1.0, 1.0):
        pair = textured_pair(BOX, true_disparity(BOX), random, row_offset=rows)
        match = matcher().match(*pair, BOX)
        assert match.disparity == pytest.approx(true_disparity(BOX), abs=0.1)


@pytest.mark.parametrize('corner', [(20.0, 200.0), (610.0, 200.0), (300.0, -15.0), (300.0, 445.0)])
def test_faces_at_the_border_are_matched_by_what_both_images_show(corner):
    box = np.array([*corner, 40.0, 53.0])
    disparity = true_disparity(box, 0.9)
    match = matcher().match(*textured_pair(box, disparity, np.random.default_rng(12)), box)
    assert match.disparity == pytest.approx(disparity, abs=0.15)


@pytest.mark.parametrize(
    'box',
    [
        (-35.0, 200.0, 40.0, 53.0),
        (2.0, 200.0, 40.0, 53.0),
        (300.0, 200.0, 5.0, 6.0),
        (638.0, 478.0, 40.0, 53.0),
        (0.0, 0.0, 1200.0, 900.0),
    ],
)
def test_boxes_that_cannot_be_matched_are_refused(box):
    left, right = textured_pair((300.0, 200.0, 40.0, 53.0), 29.0, np.random.default_rng(13))
    assert matcher().match(left, right, np.array(box)) is None


def test_one_camera_has_no_matcher():
    camera = CameraGeometry(640, 480, (450.0, 450.0), (320.0, 240.0))
    with pytest.raises(ValueError, match='baseline'):
        StereoMatcher(StereoMatchConfig(), camera, 0.135)


@pytest.mark.parametrize(
    'wrong',
    [
        {'min_range_m': 9.0},
        {'size_tolerance': 1.0},
        {'patch_fraction': (0.7, 1.2)},
        {'min_correlation': 0.0},
        {'vertical_search_px': -1},
        {'disparity_floor_px': 0.0},
    ],
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        StereoMatchConfig(**wrong)


def test_the_test_texture_has_unit_variance():
    y, x = np.mgrid[0:200, 0:200].astype(float)
    assert Texture(np.random.default_rng(14))(x, y).std() == pytest.approx(1.0, abs=0.1)
