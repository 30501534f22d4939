# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of faces by size draws what it says, and rates planted faces as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from vision_scenes import CAMERA

from av_perception.benchmarks.far_faces import (
    IMAGES,
    PEOPLE,
    SETTLED,
    Person,
    Stream,
    StreamKind,
    false_faces,
    measure_far_faces,
    read_people,
)
from av_perception.cli.benchmarks.face_search import table_of_sizes
from av_perception.errors import UserError
from av_perception.simulation.cutout import FACE_WIDTH_M, PIXELS_PER_METER, Cutout
from av_perception.vision.face_decoding import FaceDetections

SIDE = round(FACE_WIDTH_M * PIXELS_PER_METER)


def board() -> Person:
    """Somebody who is a white square as wide as a face."""
    texture = np.full((SIDE, SIDE, 4), 255, np.uint8)
    view = Cutout(texture, np.full(2, SIDE / 2 - 0.5), np.full(2, FACE_WIDTH_M / 2))
    return Person(view, np.zeros((5, 2)), 1.0)


class Truth:
    """Finds what is drawn, moved by `offset` and `wider`, and so many `false` faces."""

    def __init__(self, offset=0.0, wider=1.0, false=0, from_image=1):
        self.offset = offset
        self.wider = wider
        self.false = false
        self.from_image = from_image
        self.images = 0
        self.streams = []

    def detect(self, image):
        """Find the faces of the next image of the stream that was drawn last."""
        self.images += 1
        _, boxes, landmarks = self.streams[-1].shown
        if self.images < self.from_image:
            boxes, landmarks = boxes[:1], landmarks[:1]
        boxes = boxes + [self.offset, 0.0, 0.0, 0.0]
        boxes[:, :2] -= boxes[:, 2:] * (self.wider - 1) / 2
        boxes[:, 2:] *= self.wider
        nobody = np.tile([5.0, 5.0, 9.0, 9.0], (self.false, 1))
        boxes = np.concatenate([boxes, nobody])
        landmarks = np.concatenate([landmarks, np.zeros((self.false, 5, 2))])
        return FaceDetections(boxes, np.full(len(boxes), 0.9), landmarks)


@pytest.fixture
def planted(monkeypatch):
    """Make `Truth` know what is drawn: images are looked at in the order they are drawn in."""

    def measure(**errors):
        truth = Truth(**errors)

        class Watched(Stream):
            def __init__(self, *arguments):
                super().__init__(*arguments)
                self.truths = []
                truth.streams.append(self)
                truth.images = 0

            def draw(self, index):
                image, *rest = super().draw(index)
                self.truths.append((image, *rest))
                return image, *rest

            @property
            def shown(self):
                return self.truths[truth.images - 1]

        monkeypatch.setattr('av_perception.benchmarks.far_faces.Stream', Watched)
        people = [board()] * PEOPLE
        return measure_far_faces(StreamKind(CAMERA, people, 20.0), 1, {5: lambda: truth})[0]

    return measure


def test_a_face_is_drawn_where_the_truth_says_and_as_wide():
    kind = StreamKind(CAMERA, [board()] * PEOPLE, 24.0)
    stream = Stream(kind, np.random.default_rng(3))
    empty = Stream(kind, np.random.default_rng(3))
    empty._views = [replace(view, texture=view.texture * 0) for view in empty._views]
    for index in (0, IMAGES - 1):
        image, boxes, _ = stream.draw(index)
        other, _, _ = empty.draw(index)
        differs = np.abs(image.astype(int) - other).sum(axis=2) > 60
        for box in boxes:
            columns = slice(int(box[0]) - 6, int(box[0] + box[2]) + 8)
            row = differs[int(box[1] + box[3] / 2), columns]
            assert row.sum() == pytest.approx(box[2], abs=3)
            middle = columns.start + np.flatnonzero(row).mean()
            assert middle == pytest.approx(box[0] + box[2] / 2, abs=1.5)


def test_faces_as_drawn_have_no_error(planted):
    result = planted()
    assert result.recall == result.precision == 1.0
    assert result.first_image == (1.0, 1.0)
    assert result.count == PEOPLE * (IMAGES - SETTLED + 1)
    assert max(result.center_px, result.width_error, result.landmark_error) < 1e-9


def test_planted_errors_are_measured(planted):
    result = planted(offset=2.0, wider=1.1, false=1)
    assert result.center_px == pytest.approx(np.sqrt(2.0))  # RMS of 2 and 0
    assert result.width_error == pytest.approx(0.1)
    assert result.precision == pytest.approx(PEOPLE / (PEOPLE + 1))


def test_who_is_found_late_is_found_from_then_on(planted):
    result = planted(from_image=9)
    # One is found from the start, three from the ninth image on; the sixth is the first to count.
    assert result.recall == pytest.approx((11 + 3 * 8) / (4 * 11))
    assert result.first_image == (9.0, 9.0)


def test_faces_without_people_are_counted():
    class Eager:
        def detect(self, image):
            assert image.shape == (CAMERA.height, CAMERA.width, 3)
            return FaceDetections(np.ones((2, 4)), np.ones(2), np.ones((2, 5, 2)))

    pictures = [np.zeros((40, 60, 3), np.uint8)] * 3
    assert false_faces(pictures, CAMERA, Eager()) == (6 * IMAGES, 3 * IMAGES)


def test_a_folder_without_people_is_refused(tmp_path):
    with pytest.raises(UserError, match='0 faces'):
        read_people([tmp_path])


@pytest.mark.slow
def test_the_table_has_a_row_for_each_width(planted):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table_of_sizes([planted(), planted(offset=2.0)]))
    assert capture.get().count('20 px') == 2 and '1.41 px' in capture.get()
