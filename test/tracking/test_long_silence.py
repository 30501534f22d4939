# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Nobody for ten minutes, then somebody, who is alone for two more; false faces now and then."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.interfaces import Face, VisualFeatures
from av_perception.robot_head import load_head
from av_perception.tracking.tracker import Tracker
from av_perception.tracking.tracker_config import TrackerConfig

HEAD = load_head('simulated')
FRAME_S = 0.2
EMPTY = 3000  # images, ten minutes
ALONE = 600
STD_M = np.array([0.004, 0.004, 0.02])
FALSE_SHARE = 0.03  # of the images


def face_at(place, random):
    """A face whose head is at a place in the base frame."""
    position = HEAD.camera.base_from_optical.inverse().apply(place) + random.normal(0, STD_M)
    size = np.array(HEAD.camera.focal) * 0.16 / position[2]
    box = np.append(HEAD.camera.project(position) - size / 2, size)
    landmarks = np.tile(box[:2] + size / 2, (5, 1))
    return Face(box, 0.95, landmarks, position, np.diag(STD_M**2), np.zeros(0))


def false_face(random):
    azimuth, distance = random.uniform(-0.5, 0.5), random.uniform(1.0, 4.0)
    place = distance * np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    return face_at(place + [0.0, 0.0, random.uniform(-0.5, 0.5)], random)


@pytest.mark.slow
def test_an_empty_room_gives_nobody_and_who_comes_then_stays_one_person():
    random = np.random.default_rng(0)
    tracker = Tracker(TrackerConfig(), HEAD)
    ids: dict[int, int] = {}  # number of the first image by id
    shown = 0
    for number in range(EMPTY + ALONE):
        faces = [false_face(random)] if random.random() < FALSE_SHARE else []
        if number >= EMPTY:
            faces.append(face_at(np.array([1.6, 0.3, 0.05]), random))
        stamp_ns = 10**9 + round(1e9 * FRAME_S) * number
        frame = tracker.step(stamp_ns, VisualFeatures(stamp_ns, tuple(faces)), None)
        for track in frame.tracks:
            ids.setdefault(track.id, number)
            shown += track.seen
    assert list(ids) == [1] and EMPTY < ids[1] <= EMPTY + 5
    assert shown >= ALONE - 6
