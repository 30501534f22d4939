# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Means over the runs of a kind."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from av_perception.benchmarks.summary import averaged


@dataclass(frozen=True)
class Run:
    kind: str
    tracker: str
    seed: int
    score: float
    right: bool


RUNS = [Run('a', 'x', 0, 1.0, True), Run('b', 'x', 0, 5.0, True), Run('a', 'x', 1, 2.0, False)]


def test_runs_of_a_kind_are_averaged_in_the_order_of_their_first():
    first, second = averaged(RUNS, ('kind', 'tracker'), ['seed'])
    assert first == {
        'kind': 'a',
        'tracker': 'x',
        'scenes': 2,
        'score': 1.5,
        'score_sd': 0.5,
        'right': 0.5,
        'right_sd': 0.5,
    }
    assert second['kind'] == 'b' and second['scenes'] == 1 and second['score_sd'] == 0.0


def test_fewer_names_make_larger_groups():
    (row,) = averaged(RUNS, ['tracker'], ['kind', 'seed'])
    assert row['scenes'] == 3 and row['score'] == pytest.approx(8 / 3)
    assert averaged([], ['tracker'], []) == []
