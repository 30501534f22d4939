# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Planted looks have the spreads that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.robot_head.profile import load_head
from av_perception.simulation.crossing_faces import face_scene
from av_perception.simulation.crossings import crossing
from av_perception.simulation.planted_looks import LooksSpread, PlantedLooks

WITHIN = np.array([[0.04, 0.01], [0.01, 0.09]])
BETWEEN = np.array([[1.0, -0.5], [-0.5, 2.0]])


def looks(people=1, seed=0, **spread):
    spread = LooksSpread(WITHIN, BETWEEN, **spread)
    return PlantedLooks(spread, people, np.random.default_rng(seed))


def test_visits_of_one_person_spread_by_what_was_planted_within_people():
    planted = looks(image_sd=0.0)
    visits = np.array([planted.of_person(20 * k, 0) for k in range(4000)])
    np.testing.assert_allclose(np.cov(visits.T), WITHIN, atol=0.005)


def test_people_spread_by_what_was_planted_between_and_within_them():
    planted = looks(people=8000)
    everybody = np.array([planted.of_person(0, k) for k in range(8000)])
    np.testing.assert_allclose(np.cov(everybody.T), WITHIN + BETWEEN, atol=0.1)
    strangers = np.array([planted.of_nobody(0) for _ in range(8000)])
    np.testing.assert_allclose(np.cov(strangers.T), WITHIN + BETWEEN, atol=0.1)


def test_looks_hardly_change_while_somebody_is_seen_and_every_second_image_has_them():
    planted = looks(every=2, image_sd=0.01)
    rows = [planted.of_person(frame, 0) for frame in range(100)]
    assert all(len(row) == (2 if frame % 2 == 0 else 0) for frame, row in enumerate(rows))
    seen = np.array(rows[::2])
    assert seen.std(axis=0).max() < 0.02
    # After a second out of sight the light is another.
    assert np.abs(planted.of_person(126, 0) - seen[-1]).max() > 0.05


@pytest.mark.parametrize(
    'wrong',
    [{'every': 0}, {'image_sd': -1.0}, {'between': np.eye(3)}, {'within': np.ones((2, 3))}],
)
def test_senseless_spreads_are_refused(wrong):
    with pytest.raises(ValueError):
        LooksSpread(**{'within': WITHIN, 'between': BETWEEN, **wrong})


def test_looks_change_nothing_else_of_a_scene_and_half_hidden_faces_have_none():
    camera = load_head('simulated').camera
    walks = crossing('behind', 3, camera)
    plain = face_scene(walks, camera, 3)
    spread = LooksSpread(WITHIN, BETWEEN, every=1)
    scene = face_scene(walks, camera, 3, looks=spread)
    described = 0
    for before, after in zip(plain.images, scene.images):
        assert [f.position.tolist() for f in before.faces] == [
            f.position.tolist() for f in after.faces
        ]
        described += sum(f.appearance.size > 0 for f in after.faces)
    total = sum(len(image.faces) for image in scene.images)
    assert 0.6 * total < described < total
