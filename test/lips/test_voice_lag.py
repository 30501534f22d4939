# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sound that is stamped late, or early, is told by the lips that move with it."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.lips.voice_lag import LEAST_S, TOLD_S, USUAL_LAG_S, VoiceLag

STEP_S = 0.04
START_NS = 10**12
SECONDS = 40.0


def turns(rng):
    """Whether somebody speaks, by step: turns and pauses of 1 to 3 s."""
    speaks = np.zeros(round(SECONDS / STEP_S), bool)
    edges = np.cumsum(rng.uniform(1.0, 3.0, 40)) / STEP_S
    for start, end in zip(edges[::2].astype(int), edges[1::2].astype(int)):
        speaks[start:end] = True
    return speaks


def watched(late_s, noise=0.5, moves=1.0, people=2, seconds=SECONDS, chews=False):
    """What is found when sound is stamped so much too late."""
    lag = VoiceLag()
    rng = np.random.default_rng(4)
    events = []
    for key in range(1, people + 1):
        speaks = turns(rng)
        mouth = turns(rng) if chews else speaks
        for index in range(round(seconds / STEP_S)):
            time_s = index * STEP_S
            motion = moves * mouth[index] + noise * rng.normal()
            # The probability follows the voice by USUAL_LAG_S, as decisions do.
            heard_s = time_s + late_s - USUAL_LAG_S
            events.append((time_s, 0, key, motion))
            events.append((heard_s, 1, key, 0.97 if speaks[index] else 0.03))
    for time_s, kind, key, value in sorted(events):
        stamp_ns = START_NS + round(1e9 * time_s)
        if kind == 0:
            lag.note_motion(stamp_ns, {key: value})
        else:
            lag.note_voices(stamp_ns, {key: value})
    return lag


@pytest.mark.parametrize('late_s', [0.3, 0.4, 0.6, -0.3, -0.5])
def test_sound_that_is_stamped_wrongly_was_told_by_nothing(late_s):
    lag = watched(late_s)
    assert lag.lag_s == pytest.approx(-late_s, abs=0.06)
    assert ('after their lips' if late_s > 0 else 'before their lips') in lag.problem
    assert f'{abs(lag.lag_s):.2f} s' in lag.problem


def test_the_advice_for_late_sound_names_the_milliseconds():
    lag = watched(0.4)
    assert f'latency_ms by {-1000 * lag.lag_s:.0f},' in lag.problem


@pytest.mark.parametrize('late_s', [0.0, 0.1, -0.1])
def test_sound_that_belongs_to_its_images_is_not_doubted(late_s):
    lag = watched(late_s)
    assert lag.lag_s == 0.0 and lag.problem == ''


@pytest.mark.parametrize('late_s', [0.0, 0.4])
def test_photographs_tell_nothing(late_s):
    assert watched(late_s, moves=0.0).lag_s == 0.0


def test_mouths_that_move_at_other_times_tell_nothing():
    assert watched(0.0, chews=True).lag_s == 0.0


def test_little_speech_tells_nothing():
    assert LEAST_S > 5.0
    assert watched(0.4, people=1, seconds=10.0).lag_s == 0.0


def test_lag_is_found_of_a_mouth_that_is_seen_in_every_second_image():
    lag = VoiceLag()
    rng = np.random.default_rng(1)
    speaks = turns(rng)
    for index, is_speaking in enumerate(speaks):
        stamp_ns = START_NS + round(1e9 * index * STEP_S)
        if index % 2 == 0:
            lag.note_motion(stamp_ns, {1: is_speaking + 0.3 * rng.normal()})
        before = max(0, index - round((0.4 - USUAL_LAG_S) / STEP_S))
        lag.note_voices(stamp_ns, {1: float(speaks[before]), 2: 0.5})
    assert lag.lag_s == pytest.approx(-0.4, abs=0.06)


def test_a_recording_that_starts_anew_is_not_mixed_with_the_one_before():
    lag = watched(0.4)
    assert abs(lag.lag_s) > TOLD_S
    lag.note_voices(START_NS, {1: 0.9})
    lag.note_motion(START_NS, {1: 0.1})
    assert not lag.note_voices(START_NS + 10**9, {1: 0.9})
    assert lag.note_voices(START_NS + 3 * 10**9, {1: 0.9})
    assert lag.lag_s == 0.0


def test_images_that_begin_anew_before_the_sound_are_not_mixed_with_those_before():
    lag = watched(0.4)
    rng = np.random.default_rng(9)
    speaks = turns(rng)
    for index, is_speaking in enumerate(speaks):
        stamp_ns = START_NS + round(1e9 * index * STEP_S)
        lag.note_motion(stamp_ns, {1: is_speaking + 0.3 * rng.normal()})
        if index == 0:  # the last of the session before
            lag.note_voices(START_NS + 41 * 10**9, {1: 1.0})
        before = max(0, index - round(0.1 / STEP_S))
        lag.note_voices(stamp_ns, {1: float(speaks[before])})
    assert lag.lag_s == 0.0
