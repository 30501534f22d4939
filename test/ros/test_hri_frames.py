# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Frames of people as REP-155 asks: x out of the face, z up, wherever the camera stands."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from human_frames import person

from av_perception.hri.people import Human, HumansFrame
from av_perception.ros import conversions
from av_perception.ros.hri_messages import FACE_FORWARD_M, human_transforms

STAMP_NS = 5_000_000_007


def human(place, confidence=1.0, face='f', voice=''):
    track, _ = person(1)
    track = dataclasses.replace(track, mean=np.array([*place, 0, 0, 0], float))
    return Human('p', face, voice, True, False, confidence, 1.0, 1.0, track)


def transforms(*people, camera=(0.0, 0.0, 0.5), **options):
    frame = HumansFrame(STAMP_NS, people, ())
    messages = human_transforms(frame, 'odom', np.array(camera), **options)
    return {message.child_frame_id: message for message in messages}


@pytest.mark.parametrize('seed', range(5))
def test_a_face_looks_at_the_camera_and_stays_upright(seed):
    random = np.random.default_rng(seed)
    head, camera = random.uniform(-3, 3, 3), random.uniform(-3, 3, 3)
    pose = conversions.transform_from_msg(transforms(human(head), camera=camera)['face_f'])
    ahead, _, up = pose.rotation.T
    np.testing.assert_allclose(up, [0, 0, 1], atol=1e-12)
    toward = (camera - head)[:2]
    np.testing.assert_allclose(ahead[:2], toward / np.linalg.norm(toward), atol=1e-12)
    np.testing.assert_allclose(pose.translation, head + FACE_FORWARD_M * ahead, atol=1e-12)
    assert np.linalg.det(pose.rotation) == pytest.approx(1)


def test_a_camera_right_above_a_head_still_gives_a_rotation():
    pose = conversions.transform_from_msg(transforms(human((0, 0, 0)), camera=(0, 0, 2))['face_f'])
    np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    'fields, names',
    [
        ({}, {'person_p', 'face_f'}),
        ({'voice': 'v'}, {'person_p', 'face_f', 'voice_v'}),
        ({'face': ''}, {'person_p'}),
        ({'face': '', 'voice': 'v', 'confidence': 0.0}, {'voice_v'}),
        ({'face': '', 'confidence': 0.0}, set()),
        ({'confidence': 0.3}, {'person_p', 'face_f'}),
    ],
)
def test_who_has_a_place_has_a_frame_and_so_have_face_and_voice(fields, names):
    found = transforms(human((2, 0, 0), **fields))
    assert set(found) == names
    poses = {str(message.transform) for message in found.values()}
    assert len(poses) <= 1, 'the frames of one person coincide'
    assert all(message.header.frame_id == 'odom' for message in found.values())
    stamps = {conversions.ns_from_time(message.header.stamp) for message in found.values()}
    assert stamps <= {STAMP_NS}


def test_persons_may_be_left_to_a_person_manager():
    assert set(transforms(human((2, 0, 0), voice='v'), persons=False)) == {'face_f', 'voice_v'}
    assert transforms() == {}


def test_a_head_whose_turn_is_known_gives_the_face_its_orientation_and_a_gaze():
    """REP-155: x out of the face and z up; z of the gaze out of the face."""
    rotation = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # looks along y
    found = transforms(human((2, 0, 0)), orientations={1: rotation})
    assert set(found) == {'person_p', 'face_f', 'gaze_f'}
    face = conversions.transform_from_msg(found['face_f'])
    gaze = conversions.transform_from_msg(found['gaze_f'])
    np.testing.assert_allclose(face.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(face.translation, [2, FACE_FORWARD_M, 0], atol=1e-9)
    np.testing.assert_allclose(gaze.rotation[:, 2], [0, 1, 0], atol=1e-9)
    np.testing.assert_allclose(gaze.rotation[:, 1], [0, 0, -1], atol=1e-9)
    np.testing.assert_allclose(gaze.translation, face.translation, atol=1e-9)


def test_others_have_no_gaze():
    found = transforms(human((2, 0, 0)), orientations={99: np.eye(3)})
    assert set(found) == {'person_p', 'face_f'}
