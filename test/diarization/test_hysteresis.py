# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When turns begin and end, and what is learnt from ends that are taken back."""

from __future__ import annotations

import math

import numpy as np
import pytest

from av_perception.diarization.hysteresis import Decision, TurnEnds
from av_perception.diarization.joint_activity_config import JointActivityConfig

CONFIG = JointActivityConfig(resume_s=0.5, resume_step=0.5, end_step=0.25)
MS = 1_000_000


def speaks(since_ms):
    return Decision(since_ms * MS, speaking=True)


def silent(since_ms):
    return Decision(since_ms * MS, speaking=False)


def after(*changes, settle_ms=None):
    """Threshold after decisions of person 1, each settled at its time."""
    ends = TurnEnds()
    for decision in changes:
        ends.settle(decision.since_ns, CONFIG)
        ends.note(1, decision, CONFIG)
    if settle_ms is not None:
        ends.settle(settle_ms * MS, CONFIG)
    return ends.lowered(CONFIG.off)


def test_a_changed_decision_says_so():
    decision = Decision(0)
    assert not decision.update(0.5, 40 * MS, CONFIG)
    assert decision.update(0.7, 80 * MS, CONFIG) and decision.speaking
    assert not decision.update(0.3, 120 * MS, CONFIG, off=0.2)
    assert decision.update(0.1, 160 * MS, CONFIG, off=0.2) and not decision.speaking


def test_an_end_that_is_taken_back_lowers_the_threshold_and_one_that_lasts_raises_it():
    off = CONFIG.off
    assert after(speaks(0)) == off
    torn = after(speaks(0), silent(1000), speaks(1200))
    assert torn == pytest.approx(off * math.exp(-0.5))
    again = after(speaks(0), silent(1000), speaks(1200), silent(3000), settle_ms=3600)
    assert again == pytest.approx(off * math.exp(-0.25))
    assert after(speaks(0), silent(1000), speaks(1600)) == off


def test_the_threshold_stays_between_its_bounds():
    torn = [change for k in range(50) for change in (silent(1000 * k), speaks(1000 * k + 200))]
    assert after(*torn) == pytest.approx(CONFIG.off * math.exp(-3))
    lasting = [change for k in range(50) for change in (silent(2000 * k), speaks(2000 * k + 900))]
    assert after(*lasting) == CONFIG.off


def test_who_leaves_while_silent_had_ended_the_turn():
    ends = TurnEnds()
    ends.note(1, silent(0), CONFIG)
    ends.note(1, speaks(200), CONFIG)
    ends.note(1, silent(400), CONFIG)
    ends.settle(5000 * MS, CONFIG)
    ends.settle(9000 * MS, CONFIG)
    assert ends.lowered(1.0) == pytest.approx(math.exp(-0.25))


def test_the_share_of_torn_turns_settles_where_both_steps_balance():
    """Dips of a random depth tear a turn where they reach below the threshold."""
    rng = np.random.default_rng(4)
    ends = TurnEnds()
    torn = []
    for k in range(3000):
        is_dip = rng.random() < 0.7
        reaches = rng.uniform(0, CONFIG.off) if is_dip else 0.0
        if reaches < ends.lowered(CONFIG.off):
            ends.note(1, silent(10_000 * k), CONFIG)
            if is_dip:
                ends.note(1, speaks(10_000 * k + 100), CONFIG)
            ends.settle((10_000 * k + 5000) * MS, CONFIG)
            torn.append(is_dip)
    expected = CONFIG.end_step / (CONFIG.resume_step + CONFIG.end_step)
    assert np.mean(torn[300:]) == pytest.approx(expected, abs=0.03)
