# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound at a turning head is that of the still renderer at a head turned so."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.robot_head import load_head
from av_perception.simulation.neck import base_from_head
from av_perception.simulation.room_audio import (
    MovingSource,
    RoomSimulator,
    block_times,
    render_room,
)
from av_perception.simulation.scene import RoomConfig
from av_perception.simulation.turning_room import ANGLE_STEP_RAD, TurningRoom

RATE = 16000
HOP = 640
ROOM = RoomConfig(size=(4.0, 3.5, 2.5), t60=0.25, head_position=(2.0, 1.5, 1.2), snr_db=100.0)
MICROPHONES = load_head('simulated').microphones.positions
PLACE = np.array([3.0, 2.5, 1.3])


def source(seconds=0.6, seed=0):
    random = np.random.default_rng(seed)
    samples = random.normal(size=int(seconds * RATE))
    samples[: RATE // 10] = 0.0
    return MovingSource(samples, np.tile(PLACE, (len(block_times(len(samples), RATE)), 1)))


def streamed(one, pan, tilt=0.0):
    """All hops at one angle, less the 2.5 ms by which they come late."""
    active = [np.abs(one.samples) > 0]
    room = TurningRoom(ROOM, MICROPHONES, [one], active, RATE, seed=0)
    sound = np.concatenate([room.next(pan, tilt) for _ in range(len(one.samples) // HOP)])
    return sound[room._simulator.delay :]


def error_db(sound, reference):
    """Of the part that is not a multiple of the reference."""
    length = min(len(sound), len(reference))
    ours, theirs = sound[:length].ravel(), reference[:length].ravel()
    scale = (ours @ theirs) / (theirs @ theirs)
    return 20 * np.log10(np.linalg.norm(ours - scale * theirs) / np.linalg.norm(ours))


@pytest.mark.parametrize('steps', [(0, 0), (70, -12)])
def test_a_still_head_hears_what_the_still_renderer_renders(steps):
    """At an angle of the grid, by the same image source method: equal but for the noise."""
    pan, tilt = (count * ANGLE_STEP_RAD for count in steps)
    one = source()
    places = base_from_head(pan, tilt).apply(MICROPHONES) + np.array(ROOM.head_position)
    assert error_db(streamed(one, pan, tilt), render_room(ROOM, places, [one], RATE)) < -60


def test_between_angles_of_the_grid_the_error_is_small():
    pan = 40.5 * ANGLE_STEP_RAD  # as far from the grid as can be
    one = source()
    places = base_from_head(pan, 0.0).apply(MICROPHONES) + np.array(ROOM.head_position)
    assert error_db(streamed(one, pan), render_room(ROOM, places, [one], RATE)) < -20


def test_moved_microphones_hear_as_new_ones():
    moved = RoomSimulator(ROOM, MICROPHONES + np.array(ROOM.head_position), RATE)
    moved.response(PLACE)
    elsewhere = MICROPHONES + np.array([0.8, 1.0, 1.5])
    moved.move_microphones(elsewhere)
    new = RoomSimulator(ROOM, elsewhere, RATE)
    np.testing.assert_allclose(moved.response(PLACE), new.response(PLACE), atol=1e-12)


def test_responses_are_kept():
    one = source(1.0)
    room = TurningRoom(ROOM, MICROPHONES, [one], [np.abs(one.samples) > 0], RATE, seed=0)
    for hop in range(20):
        room.next(0.3 * np.sin(hop), 0.0)
    known = len(room._responses)
    for hop in range(20):
        room.next(0.3 * np.sin(hop), 0.0)
    assert len(room._responses) == known <= 21


def test_speech_has_its_level():
    one = source()
    sound = streamed(one, 0.0)[RATE // 5 :]
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.06, rel=0.1)
