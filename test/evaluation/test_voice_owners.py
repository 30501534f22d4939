# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose voice a stream carries: planted streams that stay, pass on, and come back."""

import numpy as np
import pytest

from av_perception.evaluation.voice_owners import NOBODY, is_passed_on, swaps, voice_owners

RATE = 1000
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((10 * RATE, 2))
MIXTURE = IMAGES.sum(axis=1)


def test_a_stream_is_whose_voice_it_carries_and_quiet_ones_are_nobodys():
    stream = 0.5 * IMAGES[:, 1] + 0.1 * IMAGES[:, 0]
    stream[4 * RATE : 7 * RATE] *= 0.05
    owners = voice_owners(stream, IMAGES, MIXTURE, RATE)
    assert len(owners) == 19
    assert set(owners[:7]) == {1} and set(owners[8:13]) == {NOBODY} and set(owners[14:]) == {1}


def test_half_of_each_is_clearly_nobodys():
    both = IMAGES[:, 0] + IMAGES[:, 1] + 0.7 * RANDOM.standard_normal(len(IMAGES))
    assert set(voice_owners(both, IMAGES, MIXTURE, RATE)) == {NOBODY}


def test_silence_and_sounds_that_are_too_short_are_no_error():
    nothing = np.zeros_like(MIXTURE)
    assert set(voice_owners(nothing, 0 * IMAGES, nothing, RATE)) == {NOBODY}
    assert len(voice_owners(nothing[:10], IMAGES[:10], MIXTURE[:10], RATE)) == 0
    assert swaps(np.zeros(0, int)) == 0


@pytest.mark.parametrize(
    'owners, count, passed_on',
    [
        ([0, 0, 0, 0], 0, False),
        ([0, 0, 1, 1], 1, True),
        ([0, 0, -1, -1, 1, -1, 1], 1, True),
        ([0, 0, 1, 0, 0], 0, False),
        ([0, 0, 1, 1, 0, 0], 2, False),
        ([-1, -1], 0, False),
        ([1], 0, False),
    ],
)
def test_a_swap_is_a_change_that_stays(owners, count, passed_on):
    assert swaps(np.array(owners)) == count
    assert is_passed_on(np.array(owners)) == passed_on


def test_a_planted_swap_is_found_once():
    stream = np.where(np.arange(len(MIXTURE)) < 5 * RATE, *IMAGES.T)
    assert swaps(voice_owners(stream, IMAGES, MIXTURE, RATE)) == 1
