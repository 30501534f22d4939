# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What boxes err by is learnt back from planted errors, and compared with what is stated."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console
from vision_scenes import CAMERA, landmarks_of

from av_perception.benchmarks.box_errors import (
    IMAGES,
    BoxErrors,
    fit_noise,
    groups_of_sizes,
    measure_boxes,
)
from av_perception.benchmarks.far_faces import StreamKind
from av_perception.cli.benchmarks.box_errors import table_of
from av_perception.cli.main import main
from av_perception.vision.box_noise import BoxNoise
from av_perception.vision.face_decoding import FaceDetections

PLANTED = BoxNoise((0.02, 0.04), (0.3, 0.5), small_px=24.0)
TRUTH = np.array([[100.0, 100, 30, 40], [300, 120, 20, 26]])


def planted_errors(count, noise=PLANTED):
    random = np.random.default_rng(5)
    errors = BoxErrors()
    for _ in range(count):
        width = random.uniform(14, 70)
        scale = random.choice([1.0, 2.0])
        box = np.array([[0.0, 0.0, width, width]])
        errors.widths.append(width)
        errors.scales.append(scale)
        errors.errors.append(random.normal(0, noise.center_stds(box, np.array([scale]))[0]))
    return errors


def faces(boxes, scale=2.0):
    boxes = np.asarray(boxes)
    return FaceDetections(boxes, np.full(len(boxes), 0.9), landmarks_of(boxes), scale)


def test_planted_noise_is_learnt_back():
    learnt = fit_noise(planted_errors(4000), PLANTED.small_px)
    assert learnt.spread == pytest.approx(PLANTED.spread, rel=0.06)
    assert learnt.grid_px == pytest.approx(PLANTED.grid_px, rel=0.06)


@pytest.mark.slow
def test_errors_as_stated_are_one_in_every_group():
    for group in groups_of_sizes(planted_errors(4000), PLANTED):
        assert group.normalized == pytest.approx((1.0, 1.0), abs=5 * np.sqrt(2 / group.count))
        low, high = group.widths
        assert low < high and group.count > 20
    twice = BoxNoise((0.04, 0.08), (0.6, 1.0), PLANTED.small_px)
    for group in groups_of_sizes(planted_errors(500, twice), PLANTED):
        assert group.normalized == pytest.approx((4.0, 4.0), abs=20 * np.sqrt(2 / group.count))


def test_faces_of_others_and_faces_that_are_missed_have_no_error():
    errors = BoxErrors()
    errors.add(faces(TRUTH + [1.0, -2.0, 0, 0]), TRUTH)
    errors.add(faces(TRUTH[:1] + [0.5 * 30, 0, 0, 0]), TRUTH)  # near it, but somebody else's
    errors.add(faces(np.zeros((0, 4))), TRUTH)
    np.testing.assert_allclose(errors.errors, [[1.0, -2.0]] * 2)
    assert (errors.widths, errors.scales) == ([30.0, 20.0], [2.0, 2.0])


def test_every_look_gets_every_image_and_where_the_faces_were_before(monkeypatch):
    class Still:
        def __init__(self, *arguments):
            pass

        def draw(self, index):
            return np.full((2, 2, 3), index), TRUTH, None

    monkeypatch.setattr('av_perception.benchmarks.box_errors.Stream', Still)
    seen = {'exact': [], 'moved': []}

    def look(name, offset):
        def find(image, before):
            seen[name].append((int(image.max()), before))
            return faces(TRUTH + [offset, 0.0, 0.0, 0.0])

        return find

    errors = {name: BoxErrors() for name in seen}
    looks = {'exact': look('exact', 0.0), 'moved': look('moved', 2.0)}
    measure_boxes(StreamKind(CAMERA, [], 20.0), 3, looks, errors)
    assert [index for index, _ in seen['exact']] == 3 * list(IMAGES)
    for (_, one), (_, other) in zip(seen['exact'], seen['moved']):
        np.testing.assert_array_equal(one, other)
        assert 0 < np.abs(one - TRUTH).max() < 20
    assert np.all(np.array(errors['exact'].errors) == 0)
    np.testing.assert_allclose(errors['moved'].errors, [[2.0, 0.0]] * 12)


def test_the_table_has_a_row_for_each_group():
    console = Console(width=160)
    groups = groups_of_sizes(planted_errors(300), PLANTED)
    with console.capture() as capture:
        console.print(table_of('centerface', PLANTED, PLANTED, groups))
    text = capture.get()
    assert '0.020, 0.040' in text and 'from 45 px' in text and text.count(' px │') >= len(groups)


@pytest.mark.parametrize(
    ('words', 'refusal'),
    [
        (['--streams', '0'], '--streams must be at least 1'),
        (['--face-sizes', '5'], '--face-sizes must lie in 10..70 pixels'),
        (['--face-sizes', '40', '90'], '--face-sizes must lie in 10..70 pixels'),
    ],
)
def test_settings_without_sense_are_named(words, refusal, capsys):
    assert main(['benchmark', 'box-errors', *words]) == 2
    assert refusal in capsys.readouterr().err
