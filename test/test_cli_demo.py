"""When the demo says that it worked, and when not."""

from __future__ import annotations

import pytest

from av_perception.cli.demo import _problems

GOOD = {'mota': 0.98, 'der': 0.2, 'ids_kept': {'1': True, '2': True}, 'exit_statuses': {'tracker': 0}}


@pytest.mark.parametrize('change, word', [
    ({}, None), ({'mota': 0.8}, 'MOTA'), ({'mota': None}, 'MOTA'), ({'der': 0.3}, 'DER'), ({'der': None}, None),
    ({'ids_kept': {'1': True, '2': False}}, 'ids of 2'), ({'exit_statuses': {'tracker': -9}}, 'tracker (exit status -9)')])
def test_what_keeps_the_demo_from_having_worked(change, word):
    problems = _problems(GOOD | change)
    assert (not problems) if word is None else (len(problems) == 1 and word in problems[0])
