# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Positions and covariances of heads: closed forms, numerical derivatives, random draws."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from vision_scenes import CAMERA, landmarks_of

from av_perception.geometry.boxes import centers, from_center_and_size
from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.stereo_matching import DisparityMatch
from av_perception.vision.triangulation import TriangulationConfig, locate_head

CONFIG = TriangulationConfig(head_depth_offset_m=0.0, head_depth_spread_m=0.0)
HEAD = np.array([0.4, -0.2, 2.0])


def box_of(position, face_width_m=CONFIG.face_width_m):
    width = CAMERA.focal[0] * face_width_m / position[2]
    size = np.array([width, 1.33 * width])
    return np.concatenate([CAMERA.project(position) - size / 2, size])


STDS = np.array([0.8, 1.2])  # [px] of the center of a box, across and down


def locate(box, match, camera, config, stds=STDS, **options):
    return locate_head(box, landmarks_of(box)[0], match, camera, config, stds, **options)


def test_a_disparity_gives_the_point_back():
    match = DisparityMatch(CAMERA.disparity(HEAD[2]), 0.01, 0.99)
    position, _ = locate(box_of(HEAD), match, CAMERA, CONFIG)
    np.testing.assert_allclose(position, HEAD, atol=1e-12)


def test_with_a_match_the_size_of_the_box_does_not_change_the_range():
    match = DisparityMatch(CAMERA.disparity(HEAD[2]), 0.01, 0.99)
    position, _ = locate(box_of(HEAD, face_width_m=0.2), match, CAMERA, CONFIG)
    np.testing.assert_allclose(position, HEAD, atol=1e-12)


def test_without_a_match_the_size_gives_the_point_back():
    position, _ = locate(box_of(HEAD), None, CAMERA, CONFIG)
    np.testing.assert_allclose(position, HEAD, atol=1e-12)


@pytest.mark.parametrize('offset', [0.0, 0.08])
def test_the_offset_lies_along_the_ray(offset):
    match = DisparityMatch(CAMERA.disparity(HEAD[2]), 0.01, 0.99)
    config = TriangulationConfig(head_depth_offset_m=offset)
    position, _ = locate(box_of(HEAD), match, CAMERA, config)
    np.testing.assert_allclose(position, HEAD * (1 + offset / np.linalg.norm(HEAD)), atol=1e-12)


def test_the_covariance_is_that_of_numerical_derivatives():
    config = TriangulationConfig(head_depth_offset_m=0.08, head_depth_spread_m=0.01)
    box = box_of(HEAD)
    variance = 0.04

    def position(parameters):
        moved = box + [*parameters[:2], 0, 0]
        return locate(moved, DisparityMatch(parameters[2], variance, 0.99), CAMERA, config)[0]

    middle = np.array([0.0, 0.0, CAMERA.disparity(HEAD[2])])
    steps = np.eye(3) * 1e-4
    slopes = [(position(middle + step) - position(middle - step)) / 2e-4 for step in steps]
    jacobian = np.column_stack(slopes)
    ray = HEAD / np.linalg.norm(HEAD)
    expected = jacobian @ np.diag([*(STDS**2), variance]) @ jacobian.T
    expected += 0.01**2 * np.outer(ray, ray)
    _, covariance = locate(box, DisparityMatch(middle[2], variance, 0.99), CAMERA, config)
    # The offset's direction is taken as fixed in the analytic Jacobian: worth some 0.1 %.
    np.testing.assert_allclose(covariance, expected, rtol=5e-3, atol=1e-3 * expected.max())


def draws(count, seed, with_match):
    """Normalized estimation errors squared of heads.

    Their box and disparity err as the configuration says.
    """
    random = np.random.default_rng(seed)
    result = []
    for _ in range(count):
        head = random.uniform([-0.5, -0.3, 1], [0.5, 0.3, 3])
        box = box_of(head)
        box[:2] += random.normal(0, STDS)
        match = None
        if with_match:
            match = DisparityMatch(CAMERA.disparity(head[2]) + random.normal(0, 0.3), 0.09, 0.95)
        else:
            width = box[2] * (1 + random.normal(0, CONFIG.size_spread))
            box = from_center_and_size(np.array([*centers(box), width, 1.33 * width]))
        position, covariance = locate(box, match, CAMERA, CONFIG)
        error = position - head
        result.append(error @ np.linalg.solve(covariance, error))
    return np.array(result)


def test_stereo_positions_are_as_good_as_they_say():
    # Mean of 1000 chi-square draws of 3 degrees of freedom: 3 +- 1.96 sqrt(6 / 1000).
    assert abs(draws(1000, 1, True).mean() - 3) < 0.16


def test_mono_positions_are_as_good_as_they_say():
    # Relative errors of 10 % are not quite linear any more: the band is wider than that of exact
    # chi-square draws.
    assert 2.5 < draws(1000, 2, False).mean() < 3.5


def test_one_camera_is_honest_along_the_ray():
    match = DisparityMatch(CAMERA.disparity(HEAD[2]), 0.01, 0.99)
    _, stereo = locate(box_of(HEAD), match, CAMERA, CONFIG)
    _, mono = locate(box_of(HEAD), None, CAMERA, CONFIG)
    assert np.sqrt(mono[2, 2]) == pytest.approx(CONFIG.size_spread * HEAD[2], rel=1e-6)
    assert np.sqrt(mono[2, 2]) > 10 * np.sqrt(stereo[2, 2])
    largest = np.linalg.eigh(mono)[1][:, -1]
    assert abs(largest @ HEAD) / np.linalg.norm(HEAD) > 0.999


# Landmarks [m] of a face that looks at the camera, around the head center.
FACE = CONFIG.landmark_span_m * np.array(
    [
        [-0.5, -0.15, 0.02],
        [0.5, -0.15, 0.02],
        [0, 0.35, -0.15],
        [-0.4, 0.85, 0.05],
        [0.4, 0.85, 0.05],
    ]
)


def turned_face(head, size, yaw, pitch):
    """(5, 2) pixels of the landmarks of a head of relative size, turned by angles [rad]."""
    rotation = Rotation.from_euler('YX', [yaw, pitch]).as_matrix()
    return CAMERA.project(head + size * FACE @ rotation.T)


@pytest.mark.parametrize('yaw_deg, pitch_deg', [(0, 0), (30, 0), (50, 0), (0, 30), (-45, 10)])
def test_the_range_from_the_size_is_honest_for_turned_heads(yaw_deg, pitch_deg):
    """People of all sizes; a box whose width shrinks with the yaw half as fast as the face."""
    random = np.random.default_rng(4)
    errors = []
    stated = []
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    for _ in range(300):
        head = np.array([random.uniform(-0.5, 0.5), 0.0, random.uniform(1, 3)])
        size = 1 + random.normal(0, 0.08)
        landmarks = turned_face(head, size, yaw, pitch)
        frontal_width = size * CAMERA.focal[0] * CONFIG.face_width_m / head[2]
        width = frontal_width * (1 + np.cos(yaw)) / 2 * (1 + random.normal(0, 0.05))
        landmarks = landmarks + random.normal(0, 0.03 * width, (5, 2))
        box = np.array([*CAMERA.project(head) - width / 2, width, width])
        position, covariance = locate_head(box, landmarks, None, CAMERA, CONFIG, STDS)
        errors.append((1 / position[2] - 1 / head[2]) * head[2])
        stated.append(np.sqrt(covariance[2, 2]) / position[2])
    z = np.array(errors) / np.array(stated)
    assert abs(np.mean(errors)) < 0.1 and 0.3 < np.mean(z**2) < 1.3


def test_sizes_that_contradict_each_other_are_less_certain():
    box = box_of(HEAD)
    agreeing = landmarks_of(box)[0]
    small = CAMERA.project(HEAD) + 0.4 * (agreeing - CAMERA.project(HEAD))
    spreads = [
        np.sqrt(locate_head(box, landmarks, None, CAMERA, CONFIG, STDS)[1][2, 2])
        for landmarks in (agreeing, small)
    ]
    assert spreads[1] > 4 * spreads[0]


def test_a_coarse_box_is_less_certain_across_and_down():
    match = DisparityMatch(CAMERA.disparity(HEAD[2]), 0.01, 0.99)
    fine, coarse = (
        locate(box_of(HEAD), match, CAMERA, CONFIG, STDS * [1.0, factor])[1]
        for factor in (1.0, 2.0)
    )
    assert coarse[1, 1] == pytest.approx(4 * fine[1, 1], rel=0.05)
    assert coarse[0, 0] == pytest.approx(fine[0, 0], rel=0.05), 'it is coarse down alone'
    assert coarse[2, 2] == pytest.approx(fine[2, 2], rel=0.05), 'the part of the range stays'


def test_sizes_of_a_coarse_detector_are_less_certain():
    fine, coarse = (
        locate(box_of(HEAD), None, CAMERA, CONFIG, size_factor=factor)[1][2, 2]
        for factor in (1.0, 2.0)
    )
    assert coarse == pytest.approx(4 * fine, rel=1e-6)


def test_a_face_that_is_cut_off_is_less_certain():
    whole = np.array([100.0, 100, 40, 50])
    cut = np.array([0.5, 100, 40, 50])
    variances = [locate(box, None, CAMERA, CONFIG)[1][2, 2] for box in (whole, cut)]
    assert variances[1] == pytest.approx(4 * variances[0])


def test_covariances_are_symmetric_and_positive_definite():
    camera = CameraGeometry(320, 240, (200.0, 210.0), (150.0, 125.0), 0.06)
    for x, y, width in ((0, 0, 12), (290, 200, 30), (100, 90, 140)):
        for match in (None, DisparityMatch(4.0, 0.02, 0.9)):
            box = np.array([x, y, width, 1.3 * width], float)
            _, covariance = locate(box, match, camera, CONFIG)
            np.testing.assert_allclose(covariance, covariance.T, rtol=1e-12)
            assert np.linalg.eigvalsh(covariance).min() > 0


@pytest.mark.parametrize(
    'wrong',
    [
        {'face_width_m': 15.0},
        {'size_spread': 0.0},
        {'landmark_span_m': 7.0},
        {'head_depth_spread_m': -1.0},
        {'head_depth_offset_m': 8.0},
    ],
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        TriangulationConfig(**wrong)
