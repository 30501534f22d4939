# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A baseline that scales all distances is told by the width of people's faces."""

import dataclasses

import numpy as np
import pytest

from av_perception.robot_head import load_head
from av_perception.vision.face_scale import LEAST_FACES, REMEMBERED, FaceScale
from av_perception.vision.stereo_matching import DisparityMatch, FaceMatch

TRUE = load_head('simulated').camera
FACE_M = 0.15


def problem_with(baseline, head_size=1.0, count=LEAST_FACES, covered=0.0):
    """What is said of faces that the true pair sees, with a profile of another baseline."""
    rng = np.random.default_rng(0)
    scale = FaceScale(dataclasses.replace(TRUE, baseline=baseline), FACE_M)
    for depth_m in rng.uniform(0.6, 3.0, count):
        width_px = TRUE.focal[0] * FACE_M * head_size / depth_m * rng.normal(1.0, 0.05)
        disparity = DisparityMatch(TRUE.disparity(depth_m), 0.01, 0.95)
        box = np.array([[10.0, 10.0, width_px, 1.3 * width_px]])
        scale.note(box, [FaceMatch(disparity, covered)])
    return scale.problem


@pytest.mark.parametrize('baseline', [0.15, 0.07])
def test_a_wrong_baseline_scaled_all_distances_in_silence(baseline):
    problem = problem_with(baseline)
    assert f'{baseline / TRUE.baseline:.1f}' in problem and '0.1 m would fit' in problem


@pytest.mark.parametrize('head_size', [0.8, 1.0, 1.2])
def test_children_and_large_heads_are_people(head_size):
    assert problem_with(TRUE.baseline, head_size) == ''


def test_what_is_said_follows_the_last_faces():
    scale = FaceScale(TRUE, FACE_M)
    match = FaceMatch(DisparityMatch(TRUE.disparity(2.0), 0.01, 0.95), 0.0)
    width_px = TRUE.focal[0] * FACE_M / 2.0
    for size in (1.0, 1.5, 1.0):
        for _ in range(REMEMBERED):
            scale.note(np.array([[10.0, 10.0, size * width_px, 80.0]]), [match])
        assert ('1.50 times as wide' in scale.problem) == (size == 1.5)


def test_few_or_covered_faces_say_nothing():
    assert problem_with(0.2, count=LEAST_FACES - 1) == ''
    assert problem_with(0.2, covered=0.4) == ''
    unmatched = FaceScale(TRUE, FACE_M)
    for _ in range(LEAST_FACES):
        unmatched.note(np.ones((1, 4)), [FaceMatch(None)])
    assert unmatched.problem == ''
