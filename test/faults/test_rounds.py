# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Of a fault that was done several times, the worst is told."""

from __future__ import annotations

from av_perception.cli.benchmarks.faults import worst_of
from av_perception.ros.faults.fault import FaultResult


def result(frames, **changed):
    given = {'survived': True, 'ids_kept': True, 'told': 'held up', 'is_told_of': True}
    return FaultResult('halted', 'it is halted', recovery_frames=frames, **{**given, **changed})


def test_the_slowest_that_was_stood_is_told():
    assert worst_of([result(2), result(9), result(4)]).recovery_frames == 9


def test_one_that_was_not_stood_is_worse_than_any_that_was():
    lost = result(1, ids_kept=False)
    assert worst_of([result(20), lost, result(30)]) is lost
    never = result(None)
    assert worst_of([lost, never, result(5)]) is never
