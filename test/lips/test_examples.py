# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Moments to learn lips from: one speaks, alone, clear and seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_mouths import frames_with_mouths
from planted_voices import START_NS

from av_perception.interfaces import SpeakingFrame, SpeakingStatus
from av_perception.lips.examples import Sound, lip_examples, noise_power

RATE = 25
SECONDS = 10.0
TURNS = {1: (1.0, 4.0), 2: (3.0, 6.0)}
NOISE = 0.001


def spoken(turns=TURNS):
    """(T,) probabilities of each."""
    time = np.arange(int(SECONDS * RATE)) / RATE
    return {k: np.where((time >= a) & (time < b), 0.95, 0.02) for k, (a, b) in turns.items()}


def made(probabilities, level=0.1, reliability=1.0, noise=NOISE):
    """Examples of two people, of whom the sound is loud while anybody speaks."""
    flat = {key: np.full(len(own), 0.1) for key, own in probabilities.items()}
    rows = frames_with_mouths({1: -20.0, 2: 20.0}, flat)
    frames, mouths = [], []
    for k, (tracks, crops) in enumerate(rows):
        said = tuple(
            SpeakingStatus(key, own[k] > 0.5, float(own[k]), 0)
            for key, own in probabilities.items()
        )
        frames.append((tracks, SpeakingFrame(tracks.stamp_ns, said)))
        poor = tuple(replace(crop, reliability=reliability) for crop in crops.mouths)
        mouths.append(replace(crops, mouths=poor))
    anybody = np.repeat(np.any([own > 0.5 for own in probabilities.values()], axis=0), 640)
    samples = np.random.default_rng(0).normal(size=len(anybody)) * np.where(anybody, level, noise)
    return lip_examples('talk', frames, mouths, Sound(START_NS, samples))


def test_only_who_speaks_alone_counts():
    examples, lost = made(spoken())
    assert [one.name for one in examples] == ['talk, person 1', 'talk, person 2']
    for one, (start, end) in zip(examples, ((1.0, 3.0), (4.0, 6.0))):
        [stretch] = one.stretches
        assert (stretch.start_ns - START_NS) * 1e-9 == pytest.approx(start, abs=0.05)
        assert one.duration_s == pytest.approx(end - start, abs=0.1)
        assert one.mouths[0][0] <= stretch.start_ns
    assert lost['others speak too'] == pytest.approx(2.0, abs=0.1)


def test_noise_and_mouths_that_do_not_show_are_left_out():
    examples, lost = made(spoken(), level=5 * NOISE)
    assert not examples and lost['too noisy'] > 3.5, '14 dB'
    examples, lost = made(spoken(), level=6 * NOISE)
    assert len(examples) == 2, '15.6 dB'
    examples, lost = made(spoken(), reliability=0.3)
    assert not examples and lost['not seen well'] > 3.5


def test_short_words_are_left_out_and_short_pauses_bridged():
    own = spoken({1: (1.0, 1.4), 2: (5.0, 8.0)})
    own[2][150:154] = 0.1  # 160 ms within the turn
    examples, lost = made(own)
    assert [one.name for one in examples] == ['talk, person 2']
    assert len(examples[0].stretches) == 1 and lost['too short'] > 0.3
    own[2][150:160] = 0.1
    assert len(made(own)[0][0].stretches) == 2


def test_noise_is_what_sounds_while_nobody_speaks():
    samples = np.random.default_rng(1).normal(0, 0.1, 160000)
    samples[:80000] *= 0.1
    stamps_ns = START_NS + np.arange(250) * 40_000_000
    speaking = {1: np.repeat([0.0, 1.0], 125)}
    sound = Sound(START_NS, samples)
    assert noise_power(sound, stamps_ns, speaking) == pytest.approx(1e-4, rel=0.2)
    always = {1: np.ones(250)}
    assert noise_power(sound, stamps_ns, always) < 1.1e-4, 'the quietest tenth'
