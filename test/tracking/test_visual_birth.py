# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who is born from faces: a person within a few images, false faces never."""

from __future__ import annotations

import numpy as np
import pytest
from tracking_scenes import HEAD, face_at, image, stamp, watch

from av_perception.interfaces import Face
from av_perception.tracking.tracker import Tracker, TrackerConfig


def test_a_false_alarm_of_one_image_is_never_a_track():
    rng, tracker = np.random.default_rng(2), Tracker(TrackerConfig(), HEAD)
    for f in range(60):
        faces = (
            [face_at([rng.uniform(1, 4), 0.3 * rng.uniform(-1, 1), 0.1], rng)]
            if f % 3 == 0
            else []
        )
        assert not tracker.step(stamp(f), image(f, *faces), None).tracks


def test_two_boxes_on_one_face_make_one_track():
    rng, tracker = np.random.default_rng(3), Tracker(TrackerConfig(), HEAD)
    near, far = face_at([2.0, 0, 0.1]), face_at([2.6, 0, 0.1])
    ghost = Face(near.box + 3, far.score, far.landmarks, far.position, far.covariance)
    frame = watch(
        tracker, range(20), lambda f: [face_at([2.0, 0, 0.1], rng)] + ([ghost] if f > 8 else [])
    )
    assert len(frame.tracks) == 1


def is_born_in_clutter(seed):
    """Whether a walker is a track after five images with five false faces each."""
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    start = np.array([rng.uniform(1, 3), rng.uniform(-0.3, 0.3), 0.1])
    frame = watch(
        tracker, range(5), lambda f: [face_at(start + [0, 0.02 * f, 0], rng), *clutter(rng)]
    )
    return any(np.linalg.norm(t.mean[:3] - start - [0, 0.08, 0]) < 0.15 for t in frame.tracks)


def test_smooth_sequence_is_born_quickly_in_uniform_clutter():
    """Five false faces per image; births of the planted person within B + 2 images."""
    kept = sum(is_born_in_clutter(seed) for seed in range(50))
    assert kept >= 49


def clutter(rng, count=5):
    """Faces uniform in image coordinates and inverse depth."""
    inverse_depth = rng.uniform(0.1, 4.0, count)
    optical = (
        np.stack(
            [rng.uniform(-0.64, 0.64, count), rng.uniform(-0.48, 0.48, count), np.ones(count)],
            axis=1,
        )
        / inverse_depth[:, None]
    )
    return [face_at(p) for p in HEAD.camera.base_from_optical.apply(optical)]


@pytest.mark.slow
def test_clutter_alone_gives_birth_not_once_in_a_thousand_images():
    rng, tracker = np.random.default_rng(5), Tracker(TrackerConfig(), HEAD)
    ids = set()
    for f in range(1000):
        ids |= {t.id for t in tracker.step(stamp(f), image(f, *clutter(rng)), None).tracks}
    assert not ids


def test_two_who_appear_in_one_image_are_born_in_one_image():
    """Regression: the first birth of sure sequences used up all others that were not complete."""
    rng, tracker = np.random.default_rng(12), Tracker(TrackerConfig(), HEAD)
    places = [[2.0, 0.5, 0.1], [2.5, -0.5, 0.1], [3.0, 0.0, 0.1]]
    born = {}
    for f in range(6):
        frame = tracker.step(stamp(f), image(f, *(face_at(p, rng) for p in places)), None)
        for track in frame.tracks:
            born.setdefault(track.id, f)
    assert len(born) == 3 and len(set(born.values())) == 1
