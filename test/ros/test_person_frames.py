# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Frames of people on /tf, which all robots of a domain share."""

import numpy as np

from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.ros.person_frames import PERSON_FRAME_PREFIX, person_transforms


def frame(state=LifeState.ACTIVE):
    mean = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    track = TrackEstimate(7, state, mean, np.eye(6), True, False, False, 0, 0, 0.0)
    return TrackFrame(10**9, (track,), False)


def test_people_of_two_robots_had_one_frame_between_them():
    first, second = (
        person_transforms(frame(), f'{robot}_base', f'{robot}/')[0] for robot in ('red', 'blue')
    )
    assert (first.child_frame_id, second.child_frame_id) == ('red/person_7', 'blue/person_7')
    assert first.header.frame_id == 'red_base'
    assert person_transforms(frame(), 'base')[0].child_frame_id == 'person_7'
    assert person_transforms(frame(LifeState.SLEEPING), 'base') == []


def test_a_prefix_that_tf_does_not_take_is_refused():
    assert PERSON_FRAME_PREFIX.refusal('red/') == ''
    assert "write 'red'" in PERSON_FRAME_PREFIX.refusal('/red')
