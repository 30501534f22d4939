# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learning and judging looks on planted people; who comes back after an absence."""

import dataclasses
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from av_perception.benchmarks.appearance_accuracy import DescribedPeople, judge, learn_spread
from av_perception.benchmarks.dressed_people import Light, draw_clothes, dress
from av_perception.benchmarks.returning_people import measure_returns
from av_perception.cli.benchmarks.appearance import _faces_of_pictures
from av_perception.errors import UserError
from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.robot_head import load_head
from av_perception.simulation.cutout import PIXELS_PER_METER, Cutout
from av_perception.tracking.track_management.gallery import AppearanceModel
from av_perception.tracking.tracker_config import TrackerConfig


def planted(people, images, model, seed):
    """Groups of three; of every third group all look alike."""
    random = np.random.default_rng(seed)
    nobody = np.zeros(APPEARANCE_SIZE)
    own = random.multivariate_normal(nobody, model.between, people)
    group = np.arange(people) // 3
    alike = group % 3 == 0
    own[alike] = own[3 * group[alike]]
    person = np.repeat(np.arange(people), images)
    views = own[person] + random.multivariate_normal(nobody, model.within, len(person))
    return DescribedPeople(person, group[person], alike[person], views)


def test_planted_spreads_are_learned():
    random = np.random.default_rng(1)
    mixing = random.normal(0, 0.2, (APPEARANCE_SIZE, APPEARANCE_SIZE))
    model = AppearanceModel(0.01 * np.eye(APPEARANCE_SIZE), mixing @ mixing.T)
    looks = planted(900, 6, model, 2)
    looks = dataclasses.replace(looks, alike=np.zeros_like(looks.alike))
    # The first of each alike group stands for the others.
    keep = (looks.group % 3 != 0) | (looks.person % 3 == 0)
    looks = DescribedPeople(*(getattr(looks, f.name)[keep] for f in dataclasses.fields(looks)))
    learned = learn_spread(looks)
    assert np.trace(learned.between) == pytest.approx(np.trace(model.between), rel=0.1)
    # Widened on purpose, by a half.
    assert np.trace(learned.within) == pytest.approx(1.5 * np.trace(model.within), rel=0.15)


def test_judging_planted_people():
    model = AppearanceModel.shipped()
    figures = judge(planted(45, 4, model, 3), model, 1.0)
    assert figures.people == 45 and figures.described == 1
    assert figures.same_known > 0.95 and figures.different_told_apart > 0.95
    # Three who are planted as one cannot be told apart.
    assert figures.alike_told_apart < 0.05


@pytest.mark.slow
def test_who_comes_back_keeps_the_id_and_a_stranger_does_not():
    """Hidden and silent for 5 s; by place alone everybody would be who was there before."""
    model = AppearanceModel.shipped()
    views = dataclasses.replace(model, within=model.within / 2)
    looks = planted(27, 4, views, 4)
    head = load_head('simulated')
    config = TrackerConfig()
    figures = measure_returns(looks, head, config, 5.0, 3)
    assert figures.same_id == 1 and figures.new_id_different == 1
    assert figures.new_id_alike == 0
    off = dataclasses.replace(config.identity, use_appearance=False)
    blind = measure_returns(looks, head, dataclasses.replace(config, identity=off), 5.0, 1)
    assert blind.same_id == 1 and blind.new_id_different == 0


def test_clothes_are_colored_and_the_face_stays():
    random = np.random.default_rng(5)
    size = (int(0.5 * PIXELS_PER_METER), int(0.5 * PIXELS_PER_METER))
    texture = np.full((*size, 4), 255, np.uint8)
    texture[..., :3] = (120, 150, 210)
    center = np.array([size[1] / 2, 0.12 * PIXELS_PER_METER])
    texture[int(center[1] + 0.1 * PIXELS_PER_METER) :, :, :3] = (60, 160, 60)
    person = Cutout(texture, center, np.array([0.0675, 0.09]))
    clothes = draw_clothes(random)
    dressed = dress(person, clothes).texture
    face = slice(int(center[1]) - 20, int(center[1]) + 20)
    np.testing.assert_allclose(dressed[face], texture[face], atol=2)
    middle = size[1] // 2
    np.testing.assert_allclose(dressed[-30, middle, :3], clothes[0], atol=8)
    np.testing.assert_allclose(dressed[-30, 5, :3], clothes[1], atol=8)


def test_light_multiplies_the_channels():
    image = np.full((4, 5, 3), 100, np.uint8)
    light = Light(np.array([0.5, 1.0, 2.0]), 1.0)
    assert light.on(image)[0, 0].tolist() == [50, 100, 200]
    assert Light(np.ones(3), 2.0).on(image)[0, 0, 0] == round(255 * (100 / 255) ** 2)


@pytest.mark.slow
def test_pictures_without_a_face_are_refused_and_everybody_in_the_others_is_somebody(tmp_path):
    class Detector:
        def detect(self, image):
            boxes = np.array([[40.0, 30, 40, 52], [140, 30, 40, 52]])
            return SimpleNamespace(boxes=boxes if image.any() else boxes[:0])

    random = np.random.default_rng(0)
    group = tmp_path / 'group.png'
    cv2.imwrite(str(group), random.integers(1, 255, (240, 240, 3), np.uint8))
    assert list(_faces_of_pictures([group], Detector())) == ['group_0', 'group_1']
    empty = tmp_path / 'empty.png'
    cv2.imwrite(str(empty), np.zeros((240, 240, 3), np.uint8))
    for path in (empty, tmp_path / 'absent.png'):
        with pytest.raises(UserError, match='no picture in which a face is found'):
            _faces_of_pictures([path], Detector())
