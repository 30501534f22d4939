# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Clothes and hair in numbers, on drawn people whose colors are known."""

import cv2
import numpy as np
import pytest
from vision_scenes import CAMERA, PlantedDetector

from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.vision.appearance import (
    OFFSET,
    DescriptionConfig,
    describe_people,
    is_obstructed,
)
from av_perception.vision.face_embedding import NoEmbedder
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig

SKIN = np.array([120.0, 150.0, 200.0])
SHIRT = np.array([60.0, 90.0, 40.0])
HAIR = np.array([30.0, 30.0, 50.0])
BOX = np.array([300.0, 100.0, 40.0, 52.0])
DEPTH = np.array([1.5])
FOCAL = 450.0


def person(box=BOX, shirt=SHIRT, gain=1.0, size=(480, 640)):
    """A face of one color, hair above it and a shirt below it, before a wall."""
    image = np.full((*size, 3), 150.0)
    x, y, w, h = box
    shirt_top, shirt_left = int(y + 1.2 * h), max(int(x - 1.2 * w), 0)
    image[shirt_top:, shirt_left : int(x + 2.2 * w)] = shirt
    image[max(int(y - 0.5 * w), 0) : int(y + 0.1 * w), int(x) : int(x + w)] = HAIR
    image[int(y + 0.1 * w) : int(y + h), int(x) : int(x + w)] = SKIN
    return np.clip(image * gain, 0, 255).round().astype(np.uint8)


def described(image, box=BOX):
    return describe_people(image, box[None], DEPTH, FOCAL)[0]


def test_colors_are_relative_to_the_skin():
    row = described(person())
    np.testing.assert_allclose(row[:3], np.log((HAIR + OFFSET) / (SKIN + OFFSET)), atol=0.02)
    expected = np.log((SHIRT + OFFSET) / (SKIN + OFFSET))
    for region in range(1, 5):
        np.testing.assert_allclose(row[3 * region : 3 * region + 3], expected, atol=0.02)
    assert row[-1] == pytest.approx(np.log(40 * 1.5 / FOCAL))
    assert row.shape == (APPEARANCE_SIZE,) and np.isfinite(row).all()


@pytest.mark.parametrize('gain', [0.6, 1.2, np.array([0.8, 1.0, 1.2])])
def test_light_changes_little_and_other_clothes_much(gain):
    plain = described(person())
    lit = described(person(gain=gain))
    other = described(person(shirt=SHIRT[::-1] + [80, 0, 0]))
    assert np.abs(lit - plain).max() < 0.15 < np.abs(other - plain).max()


def test_nearer_and_farther_are_alike():
    near = np.array([250.0, 80.0, 80.0, 104.0])
    row = describe_people(person(near), near[None], DEPTH / 2, FOCAL)[0]
    np.testing.assert_allclose(row, described(person()), atol=0.05)


def test_what_lies_outside_the_image_is_not_a_number():
    low = np.array([300.0, 400.0, 40.0, 52.0])
    row = described(person(low), low)
    assert np.isfinite(row[:3]).all() and np.isnan(row[6:15]).all()
    outside = np.array([300.0, -60.0, 40.0, 52.0])
    assert np.isnan(described(person(), outside)).all()


def test_without_a_depth_the_size_of_the_head_is_unknown():
    row = describe_people(person(), BOX[None], np.array([np.nan]), FOCAL)[0]
    assert np.isnan(row[-1]) and np.isfinite(row[:-1]).all()


def test_who_somebody_nearer_may_cover_is_not_described():
    boxes = np.array([BOX, BOX + [60, 20, 20, 26], BOX + [250, 0, 0, 0]])
    assert is_obstructed(boxes).tolist() == [True, False, False]
    rows = describe_people(person(), boxes, np.full(3, 1.5), FOCAL)
    assert np.isnan(rows[0]).all() and np.isfinite(rows[1]).any()
    assert is_obstructed(boxes[:0]).shape == (0,)


@pytest.mark.parametrize('left', [-10.0, 4.0, 597.0, 610.0])
def test_a_face_at_the_border_is_not_described(left):
    """Regression: who came back in was a stranger by the clothes beside half a face."""
    box = np.array([left, 100.0, 40.0, 52.0])
    assert np.isnan(described(person(box), box)).all()
    inside = np.clip(left, 10.0, 590.0)
    box = np.array([inside, 100.0, 40.0, 52.0])
    assert np.isfinite(described(person(box), box)[:3]).all()


def test_small_faces_and_no_faces():
    small = np.array([300.0, 100.0, 12.0, 15.0])
    assert np.isnan(described(person(), small)).all()
    assert describe_people(person(), np.zeros((0, 4)), np.zeros(0), FOCAL).shape == (
        0,
        APPEARANCE_SIZE,
    )


def test_over_exposed_skin_is_no_reference():
    assert np.isnan(described(person(gain=1.8))).all()
    assert np.isfinite(described(person(gain=1.4))).all()


def test_black_and_noisy_images_are_described_without_a_warning():
    random = np.random.default_rng(1)
    noise = random.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    for image in (np.zeros_like(noise), noise, cv2.GaussianBlur(noise, (0, 0), 3)):
        assert np.abs(described(image)).max() < 10


def test_people_are_described_in_every_second_image_unless_it_is_switched_off():
    image = person()
    other = np.random.default_rng(1).integers(0, 255, image.shape).astype(np.uint8)

    def faces(**changes):
        config = VisualFrontEndConfig(appearance=DescriptionConfig(**changes))
        front_end = VisualFrontEnd(config, CAMERA, PlantedDetector([BOX]), NoEmbedder())
        pairs = (front_end.process(k, image, other) for k in range(4))
        return [features.faces[0].appearance.size for features in pairs]

    assert faces() == [APPEARANCE_SIZE, 0, APPEARANCE_SIZE, 0]
    assert faces(every=3) == [APPEARANCE_SIZE, 0, 0, APPEARANCE_SIZE]
    assert faces(enabled=False) == [0, 0, 0, 0]
    with pytest.raises(ValueError):
        DescriptionConfig(every=0)
