# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When the demo of attention counts as having worked, and what it refuses."""

from __future__ import annotations

import dataclasses

from av_perception.cli.attention_demo import problems_of
from av_perception.cli.main import main
from av_perception.evaluation.attention import LookScores

GOOD = LookScores(9, 7, 0.7, 0.8, 1.2, 0, 0.66, 9, 0, 0)


def test_a_good_run_has_no_problems():
    assert problems_of(GOOD) == []
    nobody_outside = dataclasses.replace(GOOD, out_of_view=0, delay_out_of_view_median_s=None)
    assert problems_of(nobody_outside) == []


def test_each_promise_that_is_not_kept_is_named():
    for change, words in (
        ({'delay_out_of_view_median_s': 1.04}, 'took 1.04 s'),
        ({'delay_out_of_view_median_s': None}, 'took for ever'),
        ({'false_turns': 2}, '2 false turns'),
        ({'ids_changed': 1}, '1 ids changed'),
    ):
        (problem,) = problems_of(dataclasses.replace(GOOD, **change))
        assert words in problem


def test_a_recording_cannot_turn_its_head(tmp_path, capsys):
    words = ['demo', '--attention', '--recording', str(tmp_path), '-o', str(tmp_path / 'out')]
    assert main(words) == 2
    assert 'no recording can do that' in capsys.readouterr().err
