# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that need ROS say so in one line where it is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from av_perception.cli.main import main
from av_perception.ros.bringup.availability import advice_for

NEED_ROS = (
    ['demo'],
    ['up', 'simulated'],
    ['view', '--port', '0'],
    ['record', '-o', 'new'],
    ['replay', 'bag'],
    ['doctor', '--graph'],
    ['sample', '--bag'],
)
# Finds nothing of ROS, as where it was never installed.
PROGRAM = """
import importlib.util, sys
from av_perception.ros.bringup.availability import advice_for
find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if advice_for(name) else find_spec(name, *a)
class Absent:
    def find_spec(self, name, path=None, target=None):
        if advice_for(name):
            raise ModuleNotFoundError(f'No module named {name!r}', name=name)
sys.meta_path.insert(0, Absent())
from av_perception.cli.main import main
for command in %r:
    print(main(command), file=sys.stderr)
"""


@pytest.mark.slow
def test_verbs_that_need_ros_say_how_to_get_it(tmp_path):
    """Regression: `up` and `demo` rendered a scene and then showed a traceback."""
    (tmp_path / 'bag').mkdir()
    done = subprocess.run(
        [sys.executable, '-c', PROGRAM % (NEED_ROS,)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stderr.splitlines()
    assert lines[1::2] == ['2'] * len(NEED_ROS), done.stderr
    for line in lines[::2]:
        assert line.startswith('av-perception: error: this needs ROS, and '), line
        assert 'ROS wheels' in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ['bag'], 'nothing was begun'


def test_a_missing_module_that_is_not_of_ros_is_no_advice(monkeypatch):
    absent = ModuleNotFoundError('No module named x', name='av_perception.x')

    def fail(words):
        raise absent

    monkeypatch.setattr('av_perception.cli.main._run', fail)
    with pytest.raises(ModuleNotFoundError):
        main(['sample'])
    assert advice_for('av_perception_msgs.msg') and advice_for(None) is None
