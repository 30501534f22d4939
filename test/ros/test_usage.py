# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes in one process cost, told apart by the names of their threads."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from av_perception.ros.bringup.usage import cpu_of_nodes, process_usage
from av_perception.ros.process import _set_up_thread

NAMES = ('microphone_array', 'tracker')
pytestmark = pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='asks /proc')


def work(seconds: float) -> None:
    """Take processor time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_node_is_charged_for_its_thread_and_those_it_starts():
    measured, done = threading.Event(), threading.Event()

    def helper():
        work(0.2)
        done.set()
        measured.wait()

    def node():
        _set_up_thread('microphone_array', 0)
        thread = threading.Thread(target=helper)
        thread.start()
        work(0.1)
        thread.join()

    thread = threading.Thread(target=node)
    thread.start()
    done.wait()
    spent_s = cpu_of_nodes(os.getpid(), NAMES)
    measured.set()
    thread.join()
    assert spent_s['microphone_array'] >= 0.2 and spent_s['tracker'] == 0.0
    assert process_usage(os.getpid()).cpu_s >= spent_s['microphone_array']


def test_a_process_that_is_gone_costs_nothing():
    absent = 2**22 + 1
    assert process_usage(absent) is None
    assert cpu_of_nodes(absent, NAMES) == dict.fromkeys(NAMES, 0.0)
