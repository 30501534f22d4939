# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images that never came, found by the stamps of those that did."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.synchronization.stamp_gaps import StampGaps

PERIOD_NS = 40_000_000
START_NS = 10**12


def missing(numbers, period_ns=PERIOD_NS, jitter_ns=0):
    """How many are said to be missing when the images of these numbers come."""
    random = np.random.default_rng(0)
    gaps = StampGaps()
    total = 0
    for number in numbers:
        stamp_ns = START_NS + number * period_ns
        total += gaps.push(stamp_ns + int(random.uniform(-jitter_ns, jitter_ns)))
    return total


@pytest.mark.parametrize('rate', [5, 25, 30, 90])
def test_a_regular_stream_misses_nothing(rate):
    assert missing(range(200), round(1e9 / rate), jitter_ns=round(0.15e9 / rate)) == 0


@pytest.mark.parametrize('lost', [{30}, {30, 31, 32}, {20, 40, 60}, set(range(50, 60))])
def test_what_is_lost_is_counted(lost):
    assert missing(k for k in range(100) if k not in lost) == len(lost)


def test_half_of_a_stream_is_counted():
    """Regression: a camera that lost every other image at random was said to run well."""
    random = np.random.default_rng(1)
    is_lost = random.random(200) < 0.5
    is_lost[:20] = False
    is_lost[-1] = False
    found = missing(k for k in range(200) if not is_lost[k])
    assert found == pytest.approx(is_lost.sum(), rel=0.1)


def test_a_silence_and_a_new_start_are_no_gaps():
    numbers = [*range(50), *range(500, 550), *range(50)]
    assert missing(numbers) == 0


def test_a_camera_that_slows_down_for_good_counts_for_a_second():
    gaps = StampGaps()
    stamp_ns = START_NS
    counts = []
    for period_ns in [PERIOD_NS] * 50 + [3 * PERIOD_NS] * 80:
        stamp_ns += period_ns
        counts.append(gaps.push(stamp_ns))
    assert sum(counts[:50]) == 0 and counts[51] == 2
    assert sum(counts[90:]) == 0, 'the new pace is usual'


def test_the_reason_has_both_times():
    gaps = StampGaps()
    for number in [*range(20), 23]:
        gaps.push(START_NS + number * PERIOD_NS)
    assert gaps.reason == '160 ms between two stamps, 40 is usual'
