# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes of people who cross: the room holds their walks; who hides whom, by plain geometry."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from av_perception.robot_head import load_head
from av_perception.simulation import crossing_scenes
from av_perception.simulation.assets import PHOTOGRAPHS, VOICES
from av_perception.simulation.crossing_scenes import HEAD, crossing_scene
from av_perception.simulation.crossings import CROSSINGS, crossing
from av_perception.simulation.scene import HEAD_MARGIN, WALL_MARGIN

CAMERA = load_head(HEAD).camera
STEP_S = 0.04
HALF_WIDTH_M = 0.1  # of a head, and of what is below it
HALF_HEIGHT_M = 0.15


@pytest.fixture(autouse=True)
def photographs(tmp_path, monkeypatch):
    """A cache of small pictures of one gray in place of the photographs."""
    for photo in PHOTOGRAPHS.values():
        cv2.imwrite(str(tmp_path / photo.file), np.full((8, 8, 3), 200, np.uint8))
    monkeypatch.setattr(crossing_scenes, 'cache_directory', lambda: tmp_path)
    monkeypatch.setattr(crossing_scenes, 'ensure_assets', lambda names: None)
    monkeypatch.setattr(
        crossing_scenes, 'asset_path', lambda name: tmp_path / PHOTOGRAPHS[name].file
    )
    return tmp_path


def paths_of(scene):
    """(people, times, 3) in the base frame."""
    time_s = np.arange(0.0, scene.duration, STEP_S)
    return np.stack([talker.positions(time_s) for talker in scene.talkers])


def in_view(path):
    """(times,) bool, the head's middle is in the image."""
    optical = CAMERA.base_from_optical.inverse().apply(path)
    return np.abs(optical[:, 0] / optical[:, 2]) < CAMERA.width / 2 / CAMERA.focal[0]


def hides(front, rear):
    """(times,) bool: the ray to the middle of a head meets the one in front, or what is below."""
    eye = CAMERA.base_from_optical.translation
    share = (front[:, 0] - eye[0]) / (rear[:, 0] - eye[0])
    ray = eye + share[:, None] * (rear - eye)
    beside = np.abs(ray[:, 1] - front[:, 1]) > HALF_WIDTH_M
    above = ray[:, 2] > front[:, 2] + HALF_HEIGHT_M
    return (share < 1) & ~beside & ~above


@pytest.mark.parametrize('kind', CROSSINGS)
@pytest.mark.parametrize('seed', [0, 11, 1003])
def test_everybody_is_in_the_room_and_has_a_face_and_a_voice_of_their_own(kind, seed):
    scene = crossing_scene(kind, seed)
    assert scene == crossing_scene(kind, seed) and scene.name == f'{kind}_{seed}'
    paths = paths_of(scene)
    in_room = paths + scene.room.head_position
    assert (in_room > WALL_MARGIN).all() and (in_room < np.array(scene.room.size) - 0.2).all()
    assert np.linalg.norm(paths, axis=-1).min() > HEAD_MARGIN
    for name in ('id', 'voice', 'photo'):
        given = [getattr(talker, name) for talker in scene.talkers]
        assert len(set(given)) == len(given), name
    assert all(talker.turns is None and talker.voice in VOICES for talker in scene.talkers)


@pytest.mark.parametrize('kind', CROSSINGS)
def test_the_walks_are_those_of_the_planted_faces(kind):
    scene, walks = crossing_scene(kind, 4), crossing(kind, 4, CAMERA)
    assert tuple(talker.waypoints for talker in scene.talkers) == walks.paths
    assert scene.duration == walks.duration_s


def test_the_cast_changes_from_seed_to_seed():
    casts = [
        tuple((t.photo, t.voice) for t in crossing_scene('behind', s).talkers) for s in range(20)
    ]
    assert len(set(casts)) > 10
    assert {photo for cast in casts for photo, _ in cast} == set(PHOTOGRAPHS)


@pytest.mark.parametrize(
    'kind, front, rear, least_s',
    [
        ('behind', 0, 1, 0.3),
        ('dark', 0, 1, 0.3),
        ('before', 1, 0, 0.3),
        ('two_at_once', 0, 1, 0.2),
        ('two_at_once', 0, 2, 0.2),
        ('stop_hidden', 0, 1, 1.0),
        ('turn_back', 0, 1, 0.1),
        ('hide_5s', 0, 1, 5.0),
    ],
)
def test_who_is_said_to_be_hidden_is_and_nobody_else(kind, front, rear, least_s):
    for seed in range(6):
        paths = paths_of(crossing_scene(kind, seed))
        hidden = hides(paths[front], paths[rear])
        assert STEP_S * hidden.sum() >= least_s - 2 * STEP_S, seed
        assert not hidden[0] and not hidden[-1], seed
        assert not hides(paths[rear], paths[front]).any(), seed


def test_a_child_walks_below_the_ray_to_the_adult():
    for seed in range(6):
        adult, child = paths_of(crossing_scene('child', seed))
        assert not hides(child, adult).any() and not hides(adult, child).any()
        assert (child[:, 0] < adult[:, 0]).all() and in_view(child).all()


def share_of_time(share_of_way):
    """When a smooth walk from rest to rest, 3 t^2 - 2 t^3, has come so far."""
    roots = np.roots([-2.0, 3.0, 0.0, -share_of_way])
    return next(t.real for t in roots if abs(t.imag) < 1e-9 and 0 <= t.real <= 1)


@pytest.mark.parametrize('kind, away_s', [('leave_2s', 2), ('leave_5s', 5), ('leave_10s', 10)])
@pytest.mark.parametrize('seed', range(6))
def test_who_leaves_is_away_for_the_wait_and_the_walk_from_the_edge_and_back(kind, away_s, seed):
    scene = crossing_scene(kind, seed)
    stays, leaves = map(in_view, paths_of(scene))
    assert stays.all() and leaves[0] and leaves[-1]
    assert np.abs(np.diff(leaves.astype(int))).sum() == 2, 'out once, and in once'
    _, starts, is_out, turns, is_back, _ = (row[0] for row in scene.talkers[1].waypoints)
    assert turns - is_out == pytest.approx(away_s - 1)
    # From 0.2 half widths of the view to 1.3 and back to 0.3: the edge is at 1.
    expected_s = turns - is_out
    expected_s += (is_out - starts) * (1 - share_of_time(0.8 / 1.1))
    expected_s += (is_back - turns) * share_of_time(0.3)
    assert STEP_S * (~leaves).sum() == pytest.approx(expected_s, abs=2 * STEP_S)


def test_a_stranger_waits_outside_until_the_other_one_is_gone():
    for seed in range(6):
        _, leaves, comes = map(in_view, paths_of(crossing_scene('stranger', seed)))
        assert leaves[0] and not leaves[-1] and comes[-1] and not comes[0]
        assert STEP_S * (~leaves & ~comes).sum() > 1.0 and not (leaves & comes).any()


def test_the_dark_is_a_dimmed_copy_with_the_face_of_the_photograph(photographs):
    walks_of = {t.id: t for t in crossing_scene('dark', 2).talkers}
    assert len(walks_of) == 2
    for talker in walks_of.values():
        image = cv2.imread(talker.photo)
        assert image.shape == (8, 8, 3) and (image == 70).all(), '0.35 of 200'
        known = next(p for p in PHOTOGRAPHS.values() if p.file.split('.')[0] in talker.photo)
        assert talker.face == known.face
    copies = {path: path.stat().st_mtime_ns for path in photographs.rglob('dimmed/*')}
    assert crossing_scene('dark', 2).talkers == tuple(walks_of.values())
    assert copies == {path: path.stat().st_mtime_ns for path in photographs.rglob('dimmed/*')}


def test_a_dimmed_copy_that_was_cut_short_was_taken_for_ever(photographs, monkeypatch):
    """Regression: a run that ended while it wrote the copy left a picture that cannot be read."""

    def cut_short(path, image):
        with open(path, 'wb') as file:
            file.write(b'PNG')
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(crossing_scenes.cv2, 'imwrite', cut_short)
        with pytest.raises(KeyboardInterrupt):
            crossing_scene('dark', 2)
    assert list((photographs / 'dimmed').iterdir()) == []
    assert all(cv2.imread(t.photo) is not None for t in crossing_scene('dark', 2).talkers)


def test_a_kind_that_is_not_there_and_a_negative_seed_are_refused():
    with pytest.raises(ValueError, match='polka'):
        crossing_scene('polka', 0)
    with pytest.raises(ValueError):
        crossing_scene('behind', -1)


def test_a_scene_is_data_that_can_be_changed():
    scene = crossing_scene('behind', 0)
    shorter = dataclasses.replace(scene, duration=2.0)
    assert shorter.talkers == scene.talkers and shorter.duration == 2.0
