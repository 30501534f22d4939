# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who had the processors, from counters that the system keeps."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_perception.ros.bringup import machine_load
from av_perception.ros.bringup.machine_load import LoadSample, MachineLoad, read_processors

TICKS = os.sysconf('SC_CLK_TCK')
S = 10**9


def test_waiting_is_not_being_busy():
    user, nice, system, idle, iowait, irq, softirq, steal, guest = range(1, 10)
    line = f'cpu  {user} {nice} {system} {idle} {iowait} {irq} {softirq} {steal} {guest} 0\ncpu0 1'
    busy_s, stolen_s = read_processors(line)
    assert busy_s * TICKS == pytest.approx(user + nice + system + irq + softirq)
    assert stolen_s * TICKS == pytest.approx(steal)


def test_an_old_kernel_tells_nothing_of_a_host():
    assert read_processors('cpu 1 2 3 4 5 6 7\n')[1] == 0.0


@pytest.mark.parametrize('text', ['', 'intr 1 2 3', 'cpu 1 2 x 4 5 6 7 8', 'cpu 1 2 3'])
def test_what_is_no_such_file_is_left_out(text, tmp_path, monkeypatch):
    with pytest.raises((ValueError, IndexError)):
        read_processors(text)
    (tmp_path / 'stat').write_text(text)
    for path in (tmp_path / 'stat', tmp_path / 'absent'):
        monkeypatch.setattr(machine_load, 'STAT', path)
        load = MachineLoad()
        load.note(0, [os.getpid()])
        load.note(S, [os.getpid()])
        assert load.during(0, S) is None


def test_a_spell_is_that_between_the_samples_around_it():
    samples = [LoadSample(k * S, float(k * k), 0.0, 0.25 * k) for k in range(6)]
    found = MachineLoad(samples).during(round(1.5 * S), round(3.5 * S))  # from 1 s to 4 s
    assert found is not None
    assert found.own == pytest.approx(0.25)
    assert found.others == pytest.approx((16 - 1) / 3 - 0.25)


def test_nothing_is_said_of_what_was_not_sampled():
    load = MachineLoad([LoadSample(S, 0.0, 0.0, 0.0), LoadSample(2 * S, 1.0, 0.0, 0.0)])
    assert load.during(0, 2 * S) is None and load.during(S, 3 * S) is None
    assert load.during(S, S) is None


@pytest.mark.skipif(not Path('/proc/stat').is_file(), reason='asks /proc')
def test_own_work_is_not_that_of_others():
    load = MachineLoad()
    load.note(0, [os.getpid()])
    began = os.times().user
    while os.times().user < began + 0.2:
        pass
    load.note(S, [os.getpid()])
    found = load.during(0, S)
    assert found is not None and found.own >= 0.15 and found.others >= 0.0
