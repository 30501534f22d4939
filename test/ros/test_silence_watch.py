# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who was halted and does not hear what it heard before is told so, once."""

from __future__ import annotations

import pytest

from av_perception.ros import input_monitor
from av_perception.ros.input_monitor import InputMonitor
from av_perception.ros.silence_watch import BACKLOG_S, SILENT_S, SilenceWatch, waited_s

STEP_S = 0.2


class Line:
    """A watch that is called five times a second, and topics that speak as often."""

    def __init__(self, monkeypatch, *topics):
        self.now = 1000.0
        monkeypatch.setattr(input_monitor.time, 'monotonic', lambda: self.now)
        self.monitors = {topic: InputMonitor(topic, 1.0) for topic in topics}
        self.waited = 0.0
        self.watch = SilenceWatch(lambda: self.now, lambda: self.waited)

    def go_on(self, seconds, *speaking, step_s=STEP_S):
        """Give all that is named as silent while time passes."""
        found = []
        for _ in range(round(seconds / step_s)):
            self.now += step_s
            for topic in speaking:
                self.monitors[topic].tick(0.0)
            found += self.watch.silent(self.monitors.values())
        return found

    def halt(self, seconds):
        return self.go_on(seconds, step_s=seconds)


@pytest.fixture
def line(monkeypatch):
    return Line(monkeypatch, '/audio', '/images', '/never')


def test_what_was_heard_before_and_is_silent_after_a_halt_is_named_once(line):
    assert line.go_on(3.0, '/audio', '/images') == []
    assert line.halt(3.0) == []
    assert line.go_on(BACKLOG_S - STEP_S, '/audio', '/images') == [], 'the queue is emptied'
    assert line.go_on(SILENT_S + 2 * STEP_S, '/audio') == ['/images']
    assert line.go_on(9.0, '/audio') == []


def test_who_only_waited_for_a_processor_was_not_halted(line):
    line.go_on(3.0, '/audio', '/images')
    line.waited = 2.5
    assert line.halt(3.0) + line.go_on(9.0, '/audio') == []


def test_the_time_that_a_thread_waits_is_read_from_the_kernel(tmp_path):
    (tmp_path / 'schedstat').write_text('7000000 2500000000 3\n')
    assert waited_s(tmp_path / 'schedstat') == pytest.approx(2.5)
    (tmp_path / 'schedstat').write_text('?')
    assert waited_s(tmp_path / 'schedstat') == waited_s(tmp_path / 'absent') == 0.0


def test_who_speaks_again_is_not_named(line):
    line.go_on(3.0, '/audio', '/images')
    line.halt(3.0)
    assert line.go_on(1.0) + line.go_on(3.0, '/audio', '/images') == []


def test_a_silence_without_a_halt_or_from_before_it_is_somebody_elses(line):
    assert line.go_on(3.0, '/audio', '/images') + line.go_on(9.0, '/audio') == []
    line.halt(3.0)
    assert line.go_on(9.0, '/audio') == []
