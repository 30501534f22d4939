# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Late results are told apart: single ones, and bursts with their beginning and end."""

import numpy as np
import pytest

from av_perception.evaluation.lateness import late_bursts

TIMES_S = np.arange(0.0, 30.0, 0.04)


def latency_ms(*spells):
    latency = np.full(len(TIMES_S), 40.0)
    for first, last in spells:
        latency[(TIMES_S >= first) & (TIMES_S < last)] = 350.0
    return latency


def test_a_planted_burst_is_found_from_its_first_to_its_last_result():
    found = late_bursts(TIMES_S, latency_ms((2.92, 5.48), (17.0, 18.0)))
    assert np.array(found) == pytest.approx(np.array([[2.92, 5.44], [17.0, 17.96]]), abs=0.041)


def test_bursts_with_a_short_pause_are_one():
    ((first, last),) = late_bursts(TIMES_S, latency_ms((1.0, 2.0), (2.3, 3.0)))
    assert first == pytest.approx(1.0, abs=0.05) and last == pytest.approx(2.96, abs=0.05)
    assert len(late_bursts(TIMES_S, latency_ms((1.0, 2.0), (2.6, 3.6)))) == 2


def test_single_late_results_are_no_burst():
    assert late_bursts(TIMES_S, latency_ms((4.0, 4.08), (9.0, 9.2))) == []
    assert late_bursts(TIMES_S, latency_ms()) == late_bursts(np.zeros(0), np.zeros(0)) == []


def test_the_order_of_results_does_not_matter():
    latency = latency_ms((2.0, 5.0))
    order = np.random.default_rng(3).permutation(len(TIMES_S))
    assert late_bursts(TIMES_S[order], latency[order]) == late_bursts(TIMES_S, latency)
