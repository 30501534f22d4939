# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The microphone of a stream: the nearer ear, the first of a small array, never a dead one."""

import numpy as np

from av_perception.audio.steering import GeometricSteering
from av_perception.robot_head import load_head
from av_perception.separation.reference_microphones import ReferenceMicrophones

EARS = ReferenceMicrophones(GeometricSteering(load_head('kemar').microphones))
BOTH = (True, True)


def towards(azimuth_deg):
    azimuth = np.radians(azimuth_deg)
    return np.array([np.cos(azimuth), np.sin(azimuth), 0.0])


def test_everybody_is_heard_by_the_ear_that_is_nearer():
    EARS.reset()
    people = {4: towards(60.0), 7: towards(-60.0)}
    assert EARS.casts_shadow
    assert EARS.update(people, BOTH).tolist() == [0, 1]
    assert EARS.update(dict(reversed(people.items())), BOTH).tolist() == [1, 0]
    assert EARS.update(people, (True, False)).tolist() == [0, 0], 'the right ear is dead'


def test_who_walks_changes_ears_once_and_not_at_every_step():
    EARS.reset()
    noise = np.random.default_rng(0).normal(0, 1.5, 121)
    heard = [int(EARS.update({1: towards(60.0 - k + noise[k])}, BOTH)[0]) for k in range(121)]
    assert heard[0] == 0 and heard[-1] == 1
    assert np.count_nonzero(np.diff(heard)) == 1


def test_a_small_array_casts_no_shadow():
    small = ReferenceMicrophones(GeometricSteering(load_head('respeaker').microphones))
    assert not small.casts_shadow
    people = {1: towards(0.0), 2: towards(120.0)}
    assert small.update(people, (False, True, True, True)).tolist() == [1, 1]
    assert small.update({}, (True,) * 4).tolist() == []
