# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Walks of people who cross, and planted faces of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from av_perception.robot_head.profile import load_head
from av_perception.simulation.crossing_faces import (
    FaceSensorConfig,
    face_covariance,
    face_scene,
)
from av_perception.simulation.crossings import CROSSINGS, crossing, walked

CAMERA = load_head('simulated').camera
OPTICAL_FROM_BASE = CAMERA.base_from_optical.inverse()
PERFECT = FaceSensorConfig(
    detection_probability=1.0, hidden_below=0.0, wrong_depth_probability=0.0, clutter=0.0
)


def scene_of(kind, seed=0, sensor=PERFECT):
    return face_scene(crossing(kind, seed, CAMERA), CAMERA, seed, sensor)


def visible(scene):
    """(frames, people) bool."""
    people = scene.truth.id.max()
    return scene.truth.visible.reshape(-1, people)


@pytest.mark.parametrize('kind', CROSSINGS)
def test_every_kind_is_drawn_anew_from_every_seed(kind):
    first, again, other = (crossing(kind, seed, CAMERA) for seed in (3, 3, 4))
    assert first == again and first.paths != other.paths
    for walks in (first, other):
        assert 6 < walks.duration_s < 40 and walks.kind == kind
        time_s = np.arange(0, walks.duration_s, 0.04)
        paths = [walked(path, time_s) for path in walks.paths]
        speeds = [np.linalg.norm(np.diff(path, axis=0), axis=1) / 0.04 for path in paths]
        assert 0.3 < np.max(speeds) < 2.0
        assert min(path[:, 0].min() for path in paths) > 0.7


@pytest.mark.parametrize('kind', ['behind', 'two_at_once', 'stop_hidden', 'turn_back', 'dark'])
@pytest.mark.parametrize('seed', range(3))
def test_somebody_is_hidden_and_comes_out_again(kind, seed):
    seen = visible(scene_of(kind, seed))
    assert seen[0].all() and seen[-1].all() and not seen.all()


def test_a_child_hides_nobody():
    assert visible(scene_of('child')).all()


@pytest.mark.parametrize('kind, absent_s', [('leave_2s', 2), ('leave_5s', 5), ('leave_10s', 10)])
@pytest.mark.parametrize('seed', range(3))
def test_who_leaves_is_away_for_about_as_long_as_is_said(kind, absent_s, seed):
    away = ~visible(scene_of(kind, seed))[:, 1]
    assert abs(away.sum() * 0.04 - absent_s) < 1.5


def test_who_hides_for_five_seconds_is_hidden_for_so_long():
    assert (~visible(scene_of('hide_5s')))[:, 1].sum() * 0.04 > 5


def test_a_stranger_comes_where_another_one_left():
    scene = scene_of('stranger')
    seen = visible(scene)
    assert crossing('stranger', 0, CAMERA).newcomer == 2
    assert not (seen[:, 1] & seen[:, 2]).any() and seen[:, 2].any()
    position = scene.truth.position.reshape(len(seen), 3, 3)
    left = position[np.flatnonzero(seen[:, 1])[-1], 1]
    came = position[np.flatnonzero(seen[:, 2])[0], 2]
    assert np.linalg.norm(left - came) < 0.3


def test_free_faces_are_where_the_covariance_says():
    """Squared Mahalanobis distances of positions have a mean of three."""
    scene = scene_of('child')
    people = scene.truth.id.max()
    truth = OPTICAL_FROM_BASE.apply(scene.truth.position.reshape(-1, people, 3))
    squared = []
    for places, image in zip(truth, scene.images):
        for face in image.faces:
            error = face.position - places[np.linalg.norm(places - face.position, axis=1).argmin()]
            squared.append(error @ np.linalg.inv(face.covariance) @ error)
    assert np.mean(squared) == pytest.approx(3.0, abs=0.5)


def test_half_hidden_faces_get_the_depth_of_who_is_in_front():
    sensor = dataclasses.replace(PERFECT, hidden_below=0.35, wrong_depth_probability=1.0)
    scene = scene_of('behind', 1, sensor)
    seen = visible(scene)
    depth = OPTICAL_FROM_BASE.apply(scene.truth.position)[:, 2].reshape(seen.shape)
    wrong = 0
    for depths, image in zip(depth, scene.images):
        found = np.array([face.position[2] for face in image.faces])
        near = np.abs(found - depths[0]) < 0.06
        assert (near | (np.abs(found - depths[1]) < 0.15)).all()
        wrong += near.sum() > 1
    assert wrong > 5


def test_nothing_is_found_of_who_is_hidden_and_false_faces_come_as_often_as_said():
    scene = scene_of('hide_5s', 0, dataclasses.replace(PERFECT, clutter=0.5, hidden_below=0.5))
    hidden = ~visible(scene)[:, 1]
    middle = np.flatnonzero(hidden)[25:-25]
    counts = [len(scene.images[i].faces) - 1 for i in middle]
    assert 0.25 < np.mean(counts) < 0.8


def test_covariance_is_that_of_triangulation():
    rng = np.random.default_rng(0)
    point = np.array([0.3, -0.2, 2.0])
    pixel = CAMERA.project(point) + rng.normal(0, 1.0, (20000, 2))
    disparity = CAMERA.disparity(2.0) + rng.normal(0, 0.15, (20000, 1))
    depth = CAMERA.focal[0] * CAMERA.baseline / disparity
    points = np.hstack([(pixel - CAMERA.center) / CAMERA.focal * depth, depth])
    expected = face_covariance(point, CAMERA, 1.0, 0.15)
    np.testing.assert_allclose(np.cov(points.T), expected, rtol=0.1, atol=2e-6)


@pytest.mark.parametrize(
    'name, value', [('hidden_below', 1.1), ('miss_length', 0.9), ('clutter', -1), ('pixel_sd', 0)]
)
def test_senseless_sensors_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        FaceSensorConfig(**{name: value})
