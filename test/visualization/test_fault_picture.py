# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The picture of recoveries."""

from __future__ import annotations

import pytest

from av_perception.errors import UserError
from av_perception.visualization.fault_picture import draw_recoveries

FAULTS = [
    {'name': 'sound-stops', 'recovery_s': 0.2, 'held': True},
    {'name': 'images-stop', 'recovery_s': 3.0, 'held': False},
    {'name': 'up-killed', 'recovery_s': None, 'held': True},
]


@pytest.mark.parametrize('ending', ['png', 'svg'])
def test_a_bar_for_each_fault_that_has_a_recovery(tmp_path, ending):
    path = tmp_path / f'faults.{ending}'
    draw_recoveries(FAULTS, path)
    content = path.read_bytes()
    assert len(content) > 1000
    if ending == 'svg':
        assert b'sound-stops' in content and b'up-killed' not in content


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match='cannot write'):
        draw_recoveries(FAULTS, tmp_path / 'absent' / 'faults.png')
