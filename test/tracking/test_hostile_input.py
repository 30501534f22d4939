# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Broken input is dropped and counted; the tracker goes on."""

from __future__ import annotations

import numpy as np
import pytest
from tracking_scenes import (
    HEAD,
    PERIOD_NS,
    direction_to,
    face_at,
    image,
    only,
    sound_from,
    sound_map,
    stamp,
    watch,
)

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioFeatures, Face, VisualFeatures
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.tracker import Tracker, TrackerConfig

SOUND = sound_map()


class TestHostileInput:
    """Broken input is dropped and counted; the tracker goes on."""

    def test_broken_faces(self):
        rng, tracker = np.random.default_rng(15), Tracker(TrackerConfig(), HEAD)
        good = face_at([2, 0, 0.1])

        def broken(**changes):
            fields = {
                name: getattr(good, name)
                for name in ('box', 'score', 'landmarks', 'position', 'covariance', 'embedding')
            }
            return Face(**{**fields, **changes})

        bad = [
            broken(position=np.full(3, np.nan)),
            broken(position=np.array([0, 0, -1.0])),
            broken(position=np.zeros(2)),
            broken(covariance=np.zeros((3, 3))),
            broken(covariance=np.full((3, 3), np.inf)),
            broken(covariance=-np.eye(3)),
            broken(box=np.full(4, np.nan)),
            broken(box=np.zeros(3)),
        ]
        frame = watch(tracker, range(10), lambda f: [face_at([2, 0, 0.1], rng), *bad])
        assert np.isfinite(only(frame).mean).all() and tracker.counters['bad_faces'] == 10 * len(
            bad
        )

    def test_broken_embeddings_leave_the_position(self):
        rng, tracker = np.random.default_rng(16), Tracker(TrackerConfig(), HEAD)
        looks = [np.ones(4) / 2, np.full(4, np.nan), np.ones(7), np.zeros(4)]
        frame = watch(tracker, range(12), lambda f: [face_at([2, 0, 0.1], rng, looks[f % 4])])
        assert only(frame).seen and tracker.counters['bad_embeddings'] == 9

    @pytest.mark.parametrize('count', [0, 100])
    def test_no_face_and_a_hundred_faces(self, count):
        rng, tracker = np.random.default_rng(17), Tracker(TrackerConfig(), HEAD)
        places = np.stack(
            [
                rng.uniform(1, 8, count),
                rng.uniform(-0.5, 0.5, count),
                rng.uniform(-0.4, 0.4, count),
            ],
            axis=1,
        )
        places[:, 1:] *= places[:, :1]
        frame = watch(tracker, range(8), lambda f: [face_at(p, rng) for p in places])
        assert (len(frame.tracks) == 0) if count == 0 else len(frame.tracks) > 50
        assert all(np.isfinite(t.mean).all() for t in frame.tracks)

    def test_broken_sound(self):
        rng, tracker = np.random.default_rng(18), Tracker(TrackerConfig(), HEAD, SOUND)
        good = sound_from(SOUND, 0, [direction_to([2, 0, 0.1])], rng)
        vectors = good.vectors.copy()
        vectors[3] = np.nan
        energy = np.where(np.arange(16) == 5, np.inf, 1.0)
        sounds = [
            AudioFeatures(0, 0.9, vectors, good.present, energy, good.valid),
            AudioFeatures(0, np.nan, good.vectors, good.present, good.energy, good.valid),
            AudioFeatures(
                0, 0.9, good.vectors[:3], good.present[:3], good.energy[:3], good.valid[:3]
            ),
            AudioFeatures(0, 0.9, good.vectors, good.present & False, good.energy, good.valid),
            AudioFeatures(0, 0.9, good.vectors, good.present, np.zeros(16), good.valid),
        ]
        frame = watch(
            tracker, range(40), lambda f: [face_at([2, 0, 0.1], rng)], lambda f: sounds[f % 5]
        )
        assert np.isfinite(only(frame).mean).all()
        assert tracker.counters['bad_subbands'] == 16 and tracker.counters['bad_audio'] == 16
        assert only(frame).audio_responsibility > 0.5

    def test_stamps_that_jump_back(self):
        rng, tracker = np.random.default_rng(19), Tracker(TrackerConfig(), HEAD)
        before = watch(tracker, range(50), lambda f: [face_at([2, 0, 0.1], rng)])
        assert (
            tracker.step(stamp(45), image(45), None) is before
            and tracker.step(stamp(49), image(49), None) is before
        )
        assert tracker.counters['late_frames'] == 2 and tracker.counters['resets'] == 0
        again = watch(tracker, range(10), lambda f: [face_at([2, 0, 0.1], rng)])
        assert tracker.counters['resets'] == 1 and only(again).id > only(before).id

    def test_broken_pose_drops_the_frame(self):
        tracker = Tracker(TrackerConfig(), HEAD)
        for pose in (
            RigidTransform(np.full((3, 3), np.nan)),
            RigidTransform(2 * np.eye(3)),
            RigidTransform(np.eye(3), np.full(3, np.inf)),
        ):
            assert (
                tracker.step(stamp(1), image(1), None, SensorPoses.of_head(HEAD, pose)).tracks
                == ()
            )
        assert tracker.counters['bad_poses'] == 3

    def test_an_hour_long_gap(self):
        rng, tracker = np.random.default_rng(20), Tracker(TrackerConfig(), HEAD)
        watch(tracker, range(30), lambda f: [face_at([2, 0, 0.1], rng)])
        late = stamp(30) + 3600 * 25 * PERIOD_NS
        frame = tracker.step(late, VisualFeatures(late), None)
        assert all(
            np.isfinite(t.mean).all() and np.isfinite(t.covariance).all() for t in frame.tracks
        )
