# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The clock of another machine, against one that is planted and delays that are drawn."""

from __future__ import annotations

import random

import pytest

from av_perception.synchronization.clock_offset import ANSWERS, ClockOffset

S = 1_000_000_000


def asked(ahead_s: float, delays, start_ns: int = 1_700_000_000 * S) -> ClockOffset:
    """Questions to a clock that is ahead, with these delays there and back [s]."""
    offset = ClockOffset()
    for k, (there_s, back_s) in enumerate(delays):
        sent_ns = start_ns + k * S
        read_ns = sent_ns + round(S * there_s)
        offset.push(sent_ns, read_ns + round(S * ahead_s), read_ns + round(S * back_s))
    return offset


@pytest.mark.parametrize('ahead_s', [0.42, -0.42, 0.0, 3600.0])
@pytest.mark.parametrize('seed', range(5))
def test_the_truth_lies_within_the_error_that_is_said(ahead_s, seed):
    rng = random.Random(seed)
    delays = [(rng.expovariate(20), rng.expovariate(20)) for _ in range(20)]
    offset = asked(ahead_s, delays)
    assert abs(offset.ahead_s - ahead_s) <= offset.error_s + 1e-8
    assert offset.error_s == pytest.approx(min(map(sum, delays[-ANSWERS:])) / 2, abs=1e-8)


def test_equal_delays_give_it_exactly():
    assert asked(0.42, [(0.02, 0.02)]).ahead_s == pytest.approx(0.42, abs=1e-8)


@pytest.mark.parametrize('ahead_s, word', [(0.42, 'ahead of'), (-0.42, 'behind')])
def test_a_wrong_clock_is_named_with_what_to_do(ahead_s, word):
    sentence = asked(ahead_s, [(0.02, 0.02)]).sentence('microphone_array')
    assert f'the clock of microphone_array is 0.42 s {word} this one' in sentence
    assert 'chrony' in sentence


def test_what_may_as_well_be_the_network_is_not_called_a_wrong_clock():
    assert asked(0.0, [(0.9, 0.0)]).ahead_s == pytest.approx(0.45)
    assert asked(0.0, [(0.9, 0.0)]).sentence('x') == ''
    assert asked(0.09, [(0.0, 0.0)]).sentence('x') == '', 'tolerated'
    assert ClockOffset().sentence('x') == '', 'nothing is known'


def test_our_own_clock_that_is_set_back_begins_anew():
    offset = asked(0.42, [(0.01, 0.01)])
    offset.push(10 * S, 5 * S, 9 * S)
    assert not offset.is_known
