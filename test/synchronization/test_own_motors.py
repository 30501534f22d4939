# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Blocks of sound while the head turns: what is the motors', what is a voice."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio.direction_bins import BinBlock
from av_perception.interfaces import AudioFeatures
from av_perception.synchronization.ego_motion import EgoMotion
from av_perception.synchronization.own_motors import OwnMotors

MS = 1_000_000
START = 10**12
BLOCK = 40 * MS
NUM_BINS = 40
MOTORS = 0.01  # mean power of a bin


def block(stamp_ns, power, voice, bins=None):
    """Two frames, four microphones; power: of all rows or of each."""
    bins = np.arange(NUM_BINS) if bins is None else np.asarray(bins)
    unit = np.arange(len(bins) * 8).reshape(len(bins), 2, 4).astype(np.complex64)
    kept = np.ones((len(bins), 2), bool)
    powers = np.broadcast_to(power, len(bins)).astype(np.float32)
    return BinBlock(stamp_ns, voice, bins, unit, kept, powers, (True,) * 4)


def turned(rate, start_ns=START, seconds=10.0):
    """A head whose joint says a rate [rad/s] every 10 ms."""
    motion = EgoMotion(0.3)
    for k in range(round(100 * seconds)):
        motion.note_rate(start_ns + k * 10 * MS, rate)
    return motion


def is_same(first, second):
    pairs = zip(
        (first.bins, first.unit, first.kept, first.power),
        (second.bins, second.unit, second.kept, second.power),
    )
    voices = first.voice_activity == second.voice_activity
    return voices and all(np.array_equal(one, two) for one, two in pairs)


def listened(motors, count=25, first=0):
    """Motors without voice for `count` blocks; powers are exponential, as noise is."""
    random = np.random.default_rng(1)
    for k in range(first, first + count):
        power = random.exponential(MOTORS, NUM_BINS)
        given = motors.removed_from(block(START + k * BLOCK, power, 0.02))
        assert not len(given) and given.voice_activity is None
    return START + (first + count) * BLOCK


@pytest.mark.parametrize('voice', [0.0, 0.02, 0.9, None])
def test_a_head_that_stands_hears_everything(voice):
    motors = OwnMotors(turned(0.0))
    heard = block(START + BLOCK, 1.0, voice)
    assert motors.removed_from(heard) is heard


def test_fast_motors_drown_voices_too():
    given = OwnMotors(turned(1.0)).removed_from(block(START + BLOCK, 1.0, 0.99))
    assert not len(given) and given.voice_activity is None


def test_slow_motors_without_voice_were_taken_for_who_stands_in_view():
    """Regression: a turn at 0.25 rad/s made somebody silent seem to speak for a second."""
    listened(OwnMotors(turned(0.25)))


def test_the_first_voice_of_all_is_heard_whole():
    """Nothing is known of the motors yet."""
    heard = block(START + BLOCK, 1.0, 0.9)
    assert is_same(OwnMotors(turned(0.25)).removed_from(heard), heard)


def test_of_a_voice_what_is_louder_than_the_motors_is_left():
    motors = OwnMotors(turned(0.25))
    stamp_ns = listened(motors)
    power = np.full(NUM_BINS, 0.3 * MOTORS)
    power[7:20] = 50 * MOTORS  # 17 dB
    heard = block(stamp_ns, power, 0.9)
    given = motors.removed_from(heard)
    assert given.bins.tolist() == list(range(7, 20)) and given.voice_activity == 0.9
    np.testing.assert_array_equal(given.unit, heard.unit[7:20])
    np.testing.assert_array_equal(given.kept, heard.kept[7:20])
    np.testing.assert_array_equal(given.power, heard.power[7:20])


def test_few_bins_of_motors_pass_for_a_voice():
    """Exponential powers: a third lies above twice their geometric mean."""
    motors = OwnMotors(turned(0.25))
    stamp_ns = listened(motors, 60)
    power = np.random.default_rng(2).exponential(MOTORS, NUM_BINS)
    assert len(motors.removed_from(block(stamp_ns, power, 0.9))) <= 0.5 * NUM_BINS


def test_the_first_syllable_before_its_voice_is_noticed_does_not_make_the_rest_a_motor():
    motors = OwnMotors(turned(0.25))
    stamp_ns = listened(motors)
    for k in range(2):
        motors.removed_from(block(stamp_ns + k * BLOCK, 50 * MOTORS, 0.2))
    given = motors.removed_from(block(stamp_ns + 2 * BLOCK, 50 * MOTORS, 0.9))
    assert len(given) == NUM_BINS


def test_what_was_learned_stays_for_the_next_turn():
    motion = turned(0.25, seconds=2.0)
    motors = OwnMotors(motion)
    listened(motors)
    still_ns = START + 3000 * MS
    assert len(motors.removed_from(block(still_ns, 0.3 * MOTORS, 0.9))) == NUM_BINS
    for k in range(100):
        motion.note_rate(START + 5000 * MS + k * 10 * MS, 0.2)
    assert not len(motors.removed_from(block(START + 5500 * MS, 0.3 * MOTORS, 0.9)))


def test_bins_that_were_never_heard_before_are_nobodys_motor():
    motors = OwnMotors(turned(0.25))
    motors.removed_from(block(START, MOTORS, 0.0, bins=[1, 2]))
    given = motors.removed_from(block(START + BLOCK, MOTORS, 0.9, bins=[0, 1, 2, 300]))
    assert given.bins.tolist() == [0, 300]


def test_without_a_voice_detector_slow_turns_are_heard_as_before():
    heard = block(START + BLOCK, 1.0, None)
    assert OwnMotors(turned(0.25)).removed_from(heard) is heard


def test_the_sound_of_a_frame_goes_with_its_blocks():
    def features(voice):
        return AudioFeatures(START, voice, *(np.zeros(0) for _ in range(4)))

    def heard(rate, voice):
        blocks = [block(START, 1.0, voice)]
        audio, given, is_drowned = OwnMotors(turned(rate)).removed_from_frame(
            START, features(voice), blocks
        )
        return audio is not None, [len(one) for one in given], is_drowned

    assert heard(0.0, 0.1) == (True, [NUM_BINS], False)
    assert heard(0.25, 0.1) == (False, [0], False)
    assert heard(0.25, 0.9) == (True, [NUM_BINS], False)
    assert heard(2.0, 0.9) == (False, [], True)
    fast = OwnMotors(turned(2.0))
    assert fast.removed_from_frame(START, None, []) == (None, [], False), 'nothing to drown'
    assert OwnMotors(turned(0.0)).removed_from_frame(START, None, None) == (None, None, False)
