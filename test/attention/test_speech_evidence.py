# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Evidence of speech: how it grows and fades, who starts with some, what gaps and ids do to it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from attention_stories import PERIOD_NS, START_NS, person, voice

from av_perception.attention.config import AttentionConfig
from av_perception.attention.speech_evidence import SpeechEvidence
from av_perception.interfaces import LifeState

CONFIG = AttentionConfig()
STEP_S = 0.04
LONGEST_S = 2 * CONFIG.min_speech_s


class Watch:
    """Evidence frame by frame of 40 ms."""

    def __init__(self):
        self.evidence = SpeechEvidence()
        self.stamp_ns = START_NS

    def sees(self, people, probability=None, frames=1, elapsed_s=STEP_S):
        """What is known of the first person at the end."""
        for _ in range(frames):
            self.stamp_ns += PERIOD_NS
            tracks = {track.id: track for track in people}
            self.evidence.update(self.stamp_ns, elapsed_s, tracks, probability or {}, CONFIG)
        return self.evidence.of(people[0].id) if people else None


def asleep(track_id, azimuth_deg):
    return person(track_id, azimuth_deg, seen=False, heard=False, state=LifeState.SLEEPING)


@pytest.mark.parametrize('seed', range(5))
def test_it_is_a_walk_between_two_walls(seed):
    """Against the definition, on random probabilities, some of them at the threshold or NaN."""
    random = np.random.default_rng(seed)
    watch = Watch()
    level_s, last_ns = 0.0, None
    for _ in range(200):
        value = random.choice([random.uniform(), CONFIG.speech_threshold, math.nan, -1.0, 2.0])
        elapsed_s = random.uniform(0, 0.1)
        found = watch.sees([person(1, 0.0)], {1: value}, elapsed_s=elapsed_s)
        speaks = value >= CONFIG.speech_threshold
        level_s = min(max(level_s + (elapsed_s if speaks else -elapsed_s), 0.0), LONGEST_S)
        last_ns = watch.stamp_ns if speaks else last_ns
        assert found.speech_s == pytest.approx(level_s) and found.spoke_ns == last_ns


def test_a_long_speech_is_forgotten_as_fast_as_a_short_one():
    watch = Watch()
    assert watch.sees([person(1, 0.0)], {1: 1.0}, 1000).speech_s == pytest.approx(LONGEST_S)
    frames = math.ceil(LONGEST_S / STEP_S)
    assert watch.sees([person(1, 0.0)], frames=frames).speech_s < 1e-12
    assert watch.evidence.of(1).silent_s(watch.stamp_ns) == pytest.approx(frames * STEP_S)


def test_who_never_spoke_has_been_silent_for_ever():
    assert Watch().sees([person(1, 0.0)]).silent_s(START_NS) == math.inf


def test_speech_of_somebody_who_is_not_tracked_is_nobodys():
    watch = Watch()
    assert watch.sees([person(1, 0.0)], {7: 1.0}, 10).speech_s == 0.0
    with pytest.raises(KeyError):
        watch.evidence.of(7)


@pytest.mark.parametrize(
    'track, credit_s',
    [
        (voice(1, 90.0), CONFIG.found_by_voice_s),
        (person(1, 0.0), 0.0),  # seen
        (person(1, 0.0, heard=True, ever_seen=False), 0.0),  # heard and seen at once
        (person(1, 90.0, seen=False), 0.0),  # of old, and has a face: not found by voice
        (voice(1, 90.0, heard=False), 0.0),
    ],
)
def test_only_who_was_found_by_voice_alone_starts_with_speech(track, credit_s):
    assert Watch().sees([track], elapsed_s=0.0).speech_s == credit_s


def test_the_credit_is_given_once_and_fades():
    watch = Watch()
    watch.sees([voice(1, 90.0)], elapsed_s=0.0)
    levels = [watch.sees([voice(1, 90.0)]).speech_s for _ in range(6)]
    np.testing.assert_allclose(levels, np.maximum(0.2 - STEP_S * np.arange(1, 7), 0), atol=1e-12)


def test_who_is_woken_by_voice_starts_with_speech_and_who_is_woken_by_a_face_does_not():
    for woken, credit_s in ((person(1, 90.0, seen=False), 0.2), (person(1, 90.0, heard=True), 0)):
        watch = Watch()
        watch.sees([person(1, 90.0)], frames=3)
        assert watch.sees([asleep(1, 90.0)], frames=50).speech_s == 0.0
        assert watch.sees([woken], elapsed_s=0.0).speech_s == credit_s
        # Awake is awake: the voice of the next frame is no second waking.
        level_s = watch.sees([person(1, 90.0, seen=False)]).speech_s
        assert level_s == pytest.approx(max(credit_s - STEP_S, 0.0))


def test_the_credit_takes_nothing_from_who_spoke_more():
    watch = Watch()
    watch.sees([person(1, 0.0)], {1: 1.0}, 12)
    watch.sees([asleep(1, 0.0)], elapsed_s=0.0)
    found = watch.sees([person(1, 0.0, seen=False)], elapsed_s=0.0)
    assert found.speech_s == pytest.approx(LONGEST_S)


def test_a_gap_wipes_out_speech_but_not_who_arrived():
    watch = Watch()
    arrived_ns = START_NS + PERIOD_NS
    watch.sees([person(1, 0.0), person(2, 40.0)], {1: 1.0, 2: 1.0}, 5)
    watch.evidence.forget_speech()
    for i in (1, 2):
        known = watch.evidence.of(i)
        assert (known.speech_s, known.spoke_ns, known.arrived_ns) == (0.0, None, arrived_ns)
    SpeechEvidence().forget_speech()  # of nobody


def test_a_person_arrives_when_first_seen_not_when_first_heard():
    watch = Watch()
    assert watch.sees([voice(1, 90.0)], frames=10).arrived_ns is None
    watch.sees([person(1, 0.0)])
    arrived_ns = watch.stamp_ns
    assert watch.sees([person(1, 0.0)], frames=10).arrived_ns == arrived_ns


def test_who_is_gone_is_forgotten_and_comes_back_as_a_stranger():
    watch = Watch()
    watch.sees([person(1, 0.0)], {1: 1.0}, 10)
    watch.sees([])
    with pytest.raises(KeyError):
        watch.evidence.of(1)
    again = watch.sees([person(1, 0.0)])
    assert again.speech_s == 0.0 and again.arrived_ns == watch.stamp_ns


def test_a_new_id_goes_on_where_the_old_one_ended():
    watch = Watch()
    old = watch.sees([person(1, 0.0)], {1: 1.0}, 5)
    watch.sees([person(2, 1.0)])
    watch.evidence.inherit(2, old)
    heir = watch.sees([person(2, 1.0)], {2: 1.0})
    assert heir.speech_s == pytest.approx(6 * STEP_S)
    assert heir.arrived_ns == START_NS + PERIOD_NS, 'and does not arrive again'


def test_a_voice_that_is_found_takes_back_what_was_credited_to_who_was_there():
    """Regression: the look stayed half a second longer on who was given the voice at first."""
    watch = Watch()
    watch.sees([person(1, 0.0)], {1: 0.9}, 5)  # the new voice, until it is found
    both = [person(1, 0.0), voice(2, 100.0)]
    first = watch.sees(both, {1: 0.9, 2: 0.9}, 7)  # and what is given to person 1 fades slowly
    assert first.silent_s(watch.stamp_ns) == math.inf and first.speech_s == 0.0
    assert watch.evidence.of(2).speech_s >= CONFIG.min_speech_s


def test_who_has_spoken_for_longer_goes_on_speaking_when_a_voice_is_found():
    watch = Watch()
    watch.sees([person(1, 0.0)], {1: 0.9}, 25)
    first = watch.sees([person(1, 0.0), voice(2, 100.0)], {1: 0.9, 2: 0.9})
    assert first.silent_s(watch.stamp_ns) == 0.0


@pytest.mark.parametrize('frames', [9, 18])
def test_a_voice_that_took_long_to_be_found_was_looked_for_at_somebody_else(frames):
    """Regression: 0.36 and 0.68 s after its onset a voice behind the head was found.

    Until then it was given to who was in view, and the look stayed there for as long again.
    """
    watch = Watch()
    watch.sees([person(1, 0.0)], {1: 1.0}, frames)
    first = watch.sees([person(1, 0.0), voice(2, 178.0)], {1: 1.0, 2: 0.4})
    assert first.silent_s(watch.stamp_ns) == math.inf


def test_a_sleeper_is_soon_recognized_so_others_are_doubted_only_if_they_began_just_now():
    for frames, silent_s in ((5, math.inf), (12, 0.0)):
        watch = Watch()
        watch.sees([person(1, 0.0), person(2, 90.0)])
        watch.sees([person(1, 0.0), asleep(2, 90.0)], {1: 1.0}, frames)
        first = watch.sees([person(1, 0.0), person(2, 90.0, seen=False)], {1: 1.0})
        assert first.silent_s(watch.stamp_ns) == silent_s


def test_the_image_in_which_a_voice_is_found_is_no_silence_of_it():
    """Regression: nothing is known yet of the speech of who is new, which counted as silence."""
    watch = Watch()
    assert watch.sees([voice(1, 90.0)], {1: 0.4}).speech_s == CONFIG.found_by_voice_s
    assert watch.sees([voice(1, 90.0)], {1: 1.0}).speech_s >= CONFIG.min_speech_s
