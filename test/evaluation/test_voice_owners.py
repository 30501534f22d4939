# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whose voice a stream carries: planted streams that stay, pass on, and come back."""

import numpy as np
import pytest

from av_perception.evaluation.voice_owners import (
    IN_ONE_LINE_DEG,
    NOBODY,
    in_one_line,
    judge_owners,
    voice_owners,
    window_times,
)

RATE = 1000
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.standard_normal((10 * RATE, 2))
MIXTURE = IMAGES.sum(axis=1)


def apart(count):
    """(W, 2, 2) of two who never stand in one line."""
    return np.tile(np.eye(2, dtype=bool), (count, 1, 1))


def test_a_stream_is_whose_voice_it_carries_and_quiet_ones_are_nobodys():
    stream = 0.5 * IMAGES[:, 1] + 0.1 * IMAGES[:, 0]
    stream[4 * RATE : 7 * RATE] *= 0.05
    owners = voice_owners(stream, IMAGES, MIXTURE, RATE)
    times = window_times(len(stream), RATE)
    assert len(owners) == len(times) == 39 and (times[0], times[-1]) == (0.25, 9.75)
    quiet = (times > 4.2) & (times < 6.8)
    assert set(owners[quiet]) == {NOBODY}
    assert set(owners[(times < 3.8) | (times > 7.2)]) == {1}


def test_half_of_each_is_clearly_nobodys():
    both = IMAGES[:, 0] + IMAGES[:, 1] + 0.7 * RANDOM.standard_normal(len(IMAGES))
    assert set(voice_owners(both, IMAGES, MIXTURE, RATE)) == {NOBODY}


def test_silence_and_sounds_that_are_too_short_are_no_error():
    nothing = np.zeros_like(MIXTURE)
    assert set(voice_owners(nothing, 0 * IMAGES, nothing, RATE)) == {NOBODY}
    assert len(voice_owners(nothing[:10], IMAGES[:10], MIXTURE[:10], RATE)) == 0
    assert len(window_times(10, RATE)) == 0
    found = judge_owners(np.zeros(0, int), apart(0))
    assert (found.windows, found.swaps, found.is_passed_on) == (0, 0, False)


@pytest.mark.parametrize(
    'owners, swaps, wrong, passed_on',
    [
        ([0, 0, 0, 0], 0, 0, False),
        ([0, 0, 0, 1, 1], 1, 2, True),
        ([0, 0, 0, -1, -1, 1, -1, 1], 1, 2, True),
        ([0, 0, 1, 0, 0], 0, 1, False),
        ([0, 0, 1, 1, 0, 0], 1, 2, False),
        ([0, 0, 1, 1, 0, 0, 1, 1, 1, 0], 2, 5, True),
        ([1, 1, 0, 0, 0, 0], 1, 2, True),
        ([-1, -1], 0, 0, False),
        ([1], 0, 0, False),
    ],
)
def test_a_swap_is_anothers_voice_that_stays(owners, swaps, wrong, passed_on):
    found = judge_owners(np.array(owners), apart(len(owners)))
    assert (found.swaps, found.wrong, found.shared) == (swaps, wrong, 0)
    assert found.is_passed_on == passed_on
    assert found.windows == sum(owner != NOBODY for owner in owners)


def test_in_one_line_a_voice_is_shared_and_a_swap_is_one_before_and_behind():
    owners = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1])
    together = apart(11)
    together[3:7] = True
    found = judge_owners(owners, together)
    assert (found.shared, found.wrong, found.swaps, found.is_passed_on) == (3, 2, 1, True)
    together[9:] = True
    found = judge_owners(owners, together)
    assert (found.shared, found.wrong, found.swaps, found.is_passed_on) == (5, 0, 0, False)
    # Whoever is in one line with a third is not in one line with the owner.
    three = np.tile(np.eye(3, dtype=bool), (11, 1, 1))
    three[:, 1:, 1:] = True
    assert judge_owners(owners, three).swaps == 2


def test_who_stands_close_is_in_one_line():
    inside, outside = np.radians(IN_ONE_LINE_DEG + np.array([-0.1, 0.1]))
    azimuths = np.array([[0.0, inside, -outside]])
    directions = np.stack([np.cos(azimuths), np.sin(azimuths), 0 * azimuths], axis=2)
    found = in_one_line(directions)[0]
    np.testing.assert_array_equal(found, [[True, True, False], [True, True, False], [0, 0, 1]])


def test_a_planted_swap_is_found_once():
    stream = np.where(np.arange(len(MIXTURE)) < 6 * RATE, *IMAGES.T)
    owners = voice_owners(stream, IMAGES, MIXTURE, RATE)
    found = judge_owners(owners, apart(len(owners)))
    assert (found.swaps, found.is_passed_on) == (1, True)
