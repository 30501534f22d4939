# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Crops of mouths: the same of the same face however it lies, and how far they are relied on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_mouths import LANDMARKS, face_of, placed_face
from planted_voices import START_NS, track_at

from av_perception.interfaces import MouthFrame, TrackFrame
from av_perception.lips.mouth_crop import (
    MOUTH_PX,
    UPRIGHT,
    crop_mouths,
    lip_opening,
    mesh_landmarks,
    placement,
)
from av_perception.lips.mouth_tracks import mouths_of_tracks
from av_perception.lips.reliability import ReliabilityConfig, landmark_yaws

BLANK = np.full((480, 640, 3), 128, np.uint8)


def crop_of(image, face, **options):
    [crop] = crop_mouths(image, [face], **options)
    return crop


@pytest.mark.parametrize('angle_deg', [0.0, 20.0, -35.0, 90.0])
@pytest.mark.parametrize('scale', [0.6, 1.0, 2.3])
def test_a_turned_or_scaled_face_gives_the_same_crop(scale, angle_deg):
    plain = crop_of(*placed_face(1.0, 0.0))
    other = crop_of(*placed_face(scale, np.radians(angle_deg)))
    for name in ('mouth', 'eyes'):
        difference = getattr(plain, name).astype(float) - getattr(other, name)
        assert np.abs(difference).mean() < 2.5, name
        assert np.ptp(getattr(plain, name)) > 60, 'there is something to compare'


def test_crops_have_their_landmarks_where_they_belong():
    crop = crop_of(*placed_face(1.0, 0.3))
    assert crop.mouth.shape == (MOUTH_PX, MOUTH_PX) and crop.eyes.shape == (34, MOUTH_PX)
    middle = (MOUTH_PX - 1) // 2
    assert crop.mouth[middle, middle] < 90 < crop.mouth[5, 5], 'the dark mouth is in the middle'
    for column in (-22, 22):
        assert crop.eyes[17, middle + column] < 70, 'eyes'


def test_the_similarity_is_the_one_that_planted_the_landmarks():
    turn = 1.7 * np.exp(0.4j)
    place = 300.0 + 200.0j
    eyes_and_mouth = place + turn * UPRIGHT
    points = np.array([[z.real, z.imag] for z in eyes_and_mouth])
    found = placement(np.insert(points, 2, [0.0, 0.0], axis=0))
    assert found.turn == pytest.approx(turn) and found.middle == pytest.approx(place)


def test_landmarks_that_are_no_numbers_or_one_point_give_no_crop():
    broken = LANDMARKS.copy()
    broken[3, 0] = np.nan
    faces = [face_of(LANDMARKS + 200), face_of(broken, box=[0, 0, 50, 60])]
    faces.append(face_of(np.full((5, 2), 30.0), box=[10, 10, 50, 60]))
    crops = crop_mouths(BLANK, faces)
    assert len(crops) == 1
    assert np.array_equal(crops[0].box, faces[0].box)
    assert crop_mouths(BLANK, []) == ()


def test_two_faces_have_a_crop_each():
    image, one = placed_face(0.8, 0.1, (150.0, 200.0))
    other_image, other = placed_face(0.6, -0.2, (480.0, 240.0), seed=3)
    image[:, 320:] = other_image[:, 320:]
    crops = crop_mouths(image, [one, other])
    assert np.array_equal(crops[0].mouth, crop_of(image, one).mouth)
    assert np.array_equal(crops[1].mouth, crop_of(other_image, other).mouth)
    assert [crop.reliability for crop in crops] == [1.0, 1.0]


def test_gray_images_give_what_color_images_give():
    image, face = placed_face(0.9, 0.2)
    assert np.array_equal(crop_of(image, face).mouth, crop_of(image[..., 0].copy(), face).mouth)


def test_small_faces_are_relied_on_less():
    found = [crop_of(*placed_face(scale, 0.0)).reliability for scale in (1.0, 0.3, 0.22, 0.15)]
    assert found[0] == 1.0 > found[1] > found[2] > found[3] == 0.0


def test_a_mouth_half_outside_the_image_is_not_relied_on():
    inside = crop_of(*placed_face(1.0, 0.0, (60.0, 240.0)))
    half = crop_of(*placed_face(1.0, 0.0, (8.0, 240.0)))
    outside = crop_of(BLANK, face_of(LANDMARKS + [600.0, 420.0]))
    assert inside.reliability == 1.0 and half.reliability == 0.0 and outside.reliability == 0.0


def test_a_face_behind_another_or_doubted_by_the_detector_is_relied_on_less():
    near = face_of(1.4 * LANDMARKS + [100.0, 60.0])
    far = face_of(0.7 * LANDMARKS + [190.0, 130.0])
    alone, _ = crop_mouths(BLANK, [far, face_of(LANDMARKS + [420.0, 100.0])])
    _, covered = crop_mouths(BLANK, [near, far])
    assert alone.reliability == 1.0 and covered.reliability < 0.2
    doubted = crop_of(BLANK, face_of(LANDMARKS + 100.0, score=0.3))
    assert doubted.reliability < 0.3


def test_turned_heads_are_relied_on_less_by_landmarks_or_by_their_pose():
    turned = LANDMARKS.copy()
    turned[2, 0] += 0.9 * 0.6 * 44.0  # tan 42 degrees
    assert landmark_yaws(turned[None])[0] == pytest.approx(np.arctan(0.9))
    face = face_of(turned + 100.0)
    by_landmarks = crop_of(BLANK, face).reliability
    assert 0.3 < by_landmarks < 0.7
    frontal = face_of(LANDMARKS + 100.0)
    assert crop_of(BLANK, frontal, yaws=np.array([-1.1])).reliability == 0.0
    assert crop_of(BLANK, face, yaws=np.array([0.1])).reliability == 1.0, 'the pose knows better'
    assert crop_of(BLANK, face, yaws=np.array([np.nan])).reliability == by_landmarks


def test_a_mesh_gives_landmarks_and_the_opening_of_the_lips():
    points = np.zeros((468, 3))
    points[33], points[263] = [90.0, 50.0, 0], [10.0, 50.0, 0]
    points[13], points[14] = [50.0, 100.0, 0], [50.0, 112.0, 0]
    points[78], points[308] = [30.0, 106.0, 0], [70.0, 106.0, 0]
    assert lip_opening(points) == pytest.approx(12 / 40)
    assert np.isnan(lip_opening(np.zeros((468, 3))))
    eyes = mesh_landmarks(points)[:2]
    assert np.linalg.norm(eyes[0] - eyes[1]) == pytest.approx(80 / 1.44)


def test_mouths_find_their_tracks_by_the_box_of_the_face():
    image, face = placed_face(0.8, 0.0)
    mouths = MouthFrame(START_NS, crop_mouths(image, [face]))
    own = replace(track_at(4, 0.0), box=face.box.astype(np.float32))
    other = replace(track_at(5, 20.0), box=face.box + 3.0)
    unseen = track_at(6, 40.0)
    frame = TrackFrame(START_NS, (other, own, unseen), False)
    assert mouths_of_tracks(frame, mouths) == {4: mouths.mouths[0]}
    assert mouths_of_tracks(replace(frame, stamp_ns=START_NS + 1), mouths) == {}


def test_limits_that_are_no_limits_are_refused():
    with pytest.raises(ValueError, match='eyes_px'):
        ReliabilityConfig(eyes_px=(9.0, 9.0))
