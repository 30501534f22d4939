# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces that are given the depth of the head before them."""

from __future__ import annotations

import numpy as np
import pytest
from linear_tracking import FIXED, LinearModel
from tracking_scenes import HEAD, face_at, image, only, stamp, stereo_covariance, watch

from av_perception.interfaces import Face, LifeState
from av_perception.numerics.kalman_steps import update
from av_perception.tracking.association.other_depth import OtherDepth, OtherDepthConfig
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.inference.dynamics_update import ProcessNoise
from av_perception.tracking.inference.variational_frame import InferenceConfig, VariationalFrame
from av_perception.tracking.state_space.interface import LinearMap, Measurements
from av_perception.tracking.tracker import Tracker, TrackerConfig

FRONT = np.array([1.6, 0.0, 0.1])


def at_depth(face: Face, depth_m: float) -> Face:
    """The same face in the image, with the depth of something else, as sharp as ever."""
    position = face.position * depth_m / face.position[2]
    return Face(face.box, 0.9, face.landmarks, position, stereo_covariance(position))


def evidence(value, noise, ray_noise, visual_map, log_volume, beside):
    """The faces of one image, and their outlier state."""
    count = len(visual_map.value)
    beside = np.full((len(value), count), beside)
    other = OtherDepth(OtherDepthConfig(), ray_noise, -2.0, beside)
    return VisualAssociation(
        Measurements(value, noise),
        visual_map,
        np.zeros((len(value), count)),
        log_volume,
        np.ones(count, bool),
        None,
        other,
    )


def frame_of(model, prediction, association):
    noise = ProcessNoise(FIXED, prediction.base_noise)
    ratio = np.tile(np.eye(6), (len(prediction.mean), 1, 1))
    return VariationalFrame(prediction, noise, ratio, association, None)


@pytest.mark.parametrize('num_faces, num_tracks', [(0, 2), (1, 1), (3, 2), (2, 0)])
def test_what_faces_say_is_the_sum_of_what_each_says(num_faces, num_tracks):
    rng = np.random.default_rng(num_faces)
    matrix = rng.normal(size=(num_tracks, 3, 6))
    visual_map = LinearMap(rng.normal(size=(num_tracks, 3)), matrix, np.ones(num_tracks, bool))
    root = rng.normal(size=(num_faces, 3, 3))
    measurements = Measurements(
        rng.normal(size=(num_faces, 3)), root @ root.swapaxes(1, 2) + np.eye(3)
    )
    association = VisualAssociation(
        measurements, visual_map, np.zeros((num_faces, num_tracks)), 1.0, visual_map.usable
    )
    alpha = rng.dirichlet(np.ones(1 + num_tracks), num_faces).reshape(num_faces, 1 + num_tracks)
    precision, vector = association.information(alpha)
    assert precision.shape == (num_tracks, 6, 6) and vector.shape == (num_tracks, 6)
    for n in range(num_tracks):
        expected = np.zeros((6, 7))
        for m in range(num_faces):
            told = alpha[m, 1 + n] * matrix[n].T @ np.linalg.inv(measurements.noise[m])
            expected[:, :6] += told @ matrix[n]
            expected[:, 6] += told @ (measurements.value[m] - visual_map.value[n])
        np.testing.assert_allclose(precision[n], expected[:, :6], atol=1e-10)
        np.testing.assert_allclose(vector[n], expected[:, 6], atol=1e-10)


@pytest.mark.parametrize('offset, is_other', [(0.0, False), (4.0, True)])
def test_the_likelier_state_is_an_exact_kalman_filter(offset, is_other):
    """Without clutter, a far value tells its ray alone, a near one all."""
    rng = np.random.default_rng(1)
    model = LinearModel(rng)
    prediction = model.predict(rng.normal(size=(1, 6)), 0.01 * np.eye(6)[None])
    visual_map = model.visual_map(prediction.mean)
    noise = 0.01 * np.eye(3)
    large = 0.02 * np.eye(2)
    value = visual_map.value + [[0.05, -0.05, offset]]
    association = evidence(value, noise[None], large[None], visual_map, np.inf, False)
    frame = frame_of(model, prediction, association)
    q = frame.run(InferenceConfig(iterations=4, tolerance=0.0))
    assert association.other_depth.face.tolist() == [0] * is_other
    told = slice(2) if is_other else slice(3)
    mean, covariance, _ = update(
        prediction.mean[0],
        q.predicted_covariance[0],
        visual_map.matrix[0, told],
        value[0, told],
        large if is_other else noise,
    )
    np.testing.assert_allclose(q.mean[0], mean, atol=1e-9)
    np.testing.assert_allclose(q.covariance[0], covariance, atol=1e-9)
    assert q.elsewhere == pytest.approx(float(is_other))


@pytest.mark.parametrize('seed', range(10))
def test_the_bound_never_falls_with_the_outlier_state(seed):
    rng = np.random.default_rng(seed)
    model = LinearModel(rng)
    prediction = model.predict(rng.normal(size=(3, 6)), np.tile(0.2 * np.eye(6), (3, 1, 1)))
    visual_map = model.visual_map(prediction.mean)
    value = visual_map.value[[0, 1, 2, 0]] + rng.normal(0, 0.3, (4, 3))
    value[:, 2] += np.array([8.0, *rng.choice([0.0, 8.0], 3)])
    noise = np.tile(0.02 * np.eye(3), (4, 1, 1))
    rays = np.tile(0.02 * np.eye(2), (4, 1, 1))
    association = evidence(value, noise, rays, visual_map, 5.0, bool(seed % 2))
    frame = frame_of(model, prediction, association)
    bounds = []
    for is_first in [True] + [False] * 8:
        frame.assign_faces(is_first)
        frame.estimate_states()
        bounds.append(frame.lower_bound())
    assert len(association.other_depth.face)
    assert np.all(np.diff(bounds[1:]) > -1e-9)


def nearest(frame, place):
    """Id of the track next to a place, and its distance."""
    track = min(frame.tracks, key=lambda t: np.linalg.norm(t.mean[:3] - place))
    return track.id, np.linalg.norm(track.mean[:3] - place)


def behind(frame: int) -> np.ndarray:
    """Somebody who walks by behind FRONT."""
    return np.array([2.5, -0.6 + 0.02 * frame, 0.15])


def passes(rng, frame: int) -> list[Face]:
    """FRONT and who walks behind: a half-hidden face has the depth of FRONT."""
    walker = behind(frame)
    apart = abs(walker[1] / walker[0] - FRONT[1] / FRONT[0])
    faces = [face_at(FRONT, rng)]
    if apart > 0.10:
        faces.append(face_at(walker, rng))
    elif apart > 0.055:
        faces.append(at_depth(face_at(walker, rng), FRONT[0]))
    return faces


@pytest.mark.parametrize('seed', range(5))
def test_a_half_hidden_face_at_its_occluders_depth_moves_nobody(seed):
    """Regression: the track jumped to the occluder, its own face was left out, a ghost stayed."""
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    start = watch(tracker, range(20), lambda f: passes(rng, f))
    ids = [nearest(start, FRONT)[0], nearest(start, behind(19))[0]]
    assert set(ids) == {1, 2}
    for f in range(20, 61):
        frame = watch(tracker, [f], lambda f: passes(rng, f))
        assert len(frame.tracks) == 2, f
        for person, place, limit_m in zip(ids, (FRONT, behind(f)), (0.06, 0.35)):
            assert nearest(frame, place)[0] == person, f
            assert nearest(frame, place)[1] < limit_m, f
    assert nearest(frame, behind(60))[1] < 0.1


def test_one_wrong_depth_does_not_drag_a_free_person():
    rng, tracker = np.random.default_rng(2), Tracker(TrackerConfig(), HEAD)
    place = np.array([2.4, 0.3, 0.1])
    watch(tracker, range(25), lambda f: [face_at(place, rng)])
    frame = watch(tracker, [25], lambda f: [at_depth(face_at(place, rng), 1.5)])
    assert only(frame).seen and np.linalg.norm(only(frame).mean[:3] - place) < 0.1
    frame = watch(tracker, range(26, 30), lambda f: [face_at(place, rng)])
    assert only(frame).id == 1 and np.linalg.norm(only(frame).mean[:3] - place) < 0.1


def test_a_track_at_the_wrong_depth_believes_its_face_after_a_while():
    """Born at the depth of something that has gone, it must not take every true face for odd."""
    rng, tracker = np.random.default_rng(3), Tracker(TrackerConfig(), HEAD)
    place = np.array([2.4, 0.3, 0.1])
    watch(tracker, range(25), lambda f: [at_depth(face_at(place, rng), 1.5)])
    frame = watch(tracker, range(25, 34), lambda f: [face_at(place, rng)])
    assert only(frame).id == 1 and np.linalg.norm(only(frame).mean[:3] - place) < 0.1


def test_nobody_is_born_where_somebody_is_seen_before_a_second_has_passed():
    rng, tracker = np.random.default_rng(4), Tracker(TrackerConfig(), HEAD)
    beside = FRONT + [0.0, 0.15, 0.0]
    watch(tracker, range(20), lambda f: [face_at(FRONT, rng)])

    def faces(f):
        return [face_at(FRONT, rng), face_at(beside, rng)]

    assert len(watch(tracker, range(20, 44), faces).tracks) == 1
    frame = watch(tracker, range(44, 60), faces)
    assert [t.state for t in frame.tracks] == [LifeState.ACTIVE] * 2


def test_who_comes_out_half_hidden_from_behind_another_is_known_again():
    """Asleep behind somebody, then found at the wrong depth: the old id, near the old place."""
    rng, tracker = np.random.default_rng(5), Tracker(TrackerConfig(), HEAD)
    place = np.array([2.5, 0.05, 0.15])
    known = np.array([2.5, 0.5, 0.15])
    watch(tracker, range(20), lambda f: [face_at(FRONT, rng), face_at(known, rng)])
    watch(tracker, range(20, 110), lambda f: [face_at(FRONT, rng)])
    half = place + [0.0, 0.2, 0.0]
    for f in range(110, 130):
        faces = [face_at(FRONT, rng), at_depth(face_at(half, rng), FRONT[0])]
        frame = tracker.step(stamp(f), image(f, *faces), None)
    assert sorted(t.id for t in frame.tracks if t.state == LifeState.ACTIVE) == [1, 2]
    nearest = min(np.linalg.norm(t.mean[:3] - half) for t in frame.tracks)
    assert nearest < 0.6  # of 0.9 m to the occluder


def test_probabilities_are_checked():
    for name in ('free_probability', 'beside_probability'):
        with pytest.raises(ValueError, match=name):
            OtherDepthConfig(**{name: 1.0})
