# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Shared memory that killed processes have left is removed; what lives or is another's stays."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from dds_domains import free_domain
from waiting import wait_for

from av_perception.cli.doctor import check_shared_memory
from av_perception.ros import process, shared_memory
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.privacy import SHARED_MEMORY
from av_perception.ros.shared_memory import MIB, find_leftovers, remove_leftovers

SEGMENT = 'fastrtps_0123456789abcdef'
PORT = 'fastdds_port7411'
PATIENCE_S = 60.0
PARTICIPANT = """
import sys, time
import rclpy
from av_perception.ros.privacy import private_node
rclpy.init()
node = private_node('participant')
print('ready', flush=True)
time.sleep(600)
"""


class Memory:
    """A folder of shared memory, and a machine without processes."""

    def __init__(self, folder: Path):
        self.files = folder / 'shm'
        self.processes = folder / 'proc'
        self.files.mkdir()
        self.processes.mkdir()

    def segment(self, name: str = SEGMENT) -> set[str]:
        (self.files / name).write_bytes(b's' * MIB)
        (self.files / f'{name}_el').touch()
        return {name, f'{name}_el'}

    def port(self, name: str = PORT, ending: str = '_el') -> set[str]:
        (self.files / name).write_bytes(b'p' * 4096)
        (self.files / f'sem.{name}_mutex').write_bytes(b'm' * 32)
        (self.files / f'{name}{ending}').touch()
        return {name, f'{name}{ending}', f'sem.{name}_mutex'}

    def map(self, name: str) -> None:
        folder = self.processes / '42'
        folder.mkdir()
        path = self.files / name
        line = f'7f02-7f03 rw-s 00000000 00:19 {path.stat().st_ino}     {path}\n'
        (folder / 'maps').write_text(line)

    def names(self) -> set[str]:
        return {file.name for file in self.files.iterdir()}

    def remove(self) -> shared_memory.Leftovers:
        return remove_leftovers(self.files, self.processes)


@pytest.fixture
def memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_memory, 'YOUNGEST_S', -1.0)
    return Memory(tmp_path)


def test_what_nobody_holds_is_counted_then_removed(memory):
    memory.segment()
    memory.port()
    memory.port('fastrtps_port7400', '_sl')
    (memory.files / 'fastrtps_port7413').write_bytes(b'p' * 4096)  # nobody ever listened there
    (memory.files / 'sem.fastrtps_port7415_mutex').write_bytes(b'm' * 32)
    found = find_leftovers(memory.files, memory.processes)
    assert len(memory.names()) == 10, 'to look takes nothing away'
    assert found.num_segments == 1 and found.num_bytes > MIB
    assert memory.remove() == found
    assert memory.names() == set()


@pytest.mark.parametrize('how', [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_what_a_process_holds_stays(memory, how):
    kept = memory.segment() | memory.port() | memory.port('fastrtps_port7400', '_sl')
    with (
        open(memory.files / f'{SEGMENT}_el') as first,
        open(memory.files / f'{PORT}_el') as second,
    ):
        with open(memory.files / 'fastrtps_port7400_sl') as third:
            for lock in (first, second, third):
                fcntl.flock(lock, how)
            assert memory.remove().num_bytes == 0
            assert memory.names() == kept
    assert memory.remove().num_segments == 1, 'the locks went with their process'


@pytest.mark.parametrize('name', [PORT, f'sem.{PORT}_mutex'])
def test_a_port_that_a_process_has_mapped_stays(memory, name):
    """Who writes there would go on to write to memory that nobody else finds."""
    kept = memory.port()
    memory.segment()
    memory.map(name)
    assert memory.remove().num_segments == 1
    assert memory.names() == kept


def test_what_another_user_has_left_stays(memory, monkeypatch):
    kept = memory.segment()
    monkeypatch.setattr(os, 'geteuid', lambda: os.getuid() + 1)
    assert memory.remove().num_bytes == 0
    assert memory.names() == kept


def test_what_is_just_being_made_stays(memory, monkeypatch):
    monkeypatch.setattr(shared_memory, 'YOUNGEST_S', 10.0)
    kept = memory.segment()
    assert memory.remove().num_bytes == 0
    assert memory.names() == kept


def test_files_of_other_programs_stay(memory):
    names = {'sem.mine', 'fastrtps_notes', 'fastrtps_port7411.bak', 'lttng-ust-wait-6'}
    for name in names:
        (memory.files / name).touch()
    assert memory.remove().num_bytes == 0
    assert memory.names() == names


def test_two_that_tidy_up_at_once_do_not_disturb_each_other(memory):
    kept = memory.segment()
    folder = os.open(memory.files, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        assert memory.remove().num_bytes == 0
    finally:
        os.close(folder)
    assert memory.names() == kept


def test_without_shared_memory_there_is_nothing_to_remove(tmp_path):
    assert remove_leftovers(tmp_path / 'absent').num_bytes == 0
    assert not check_shared_memory(tmp_path / 'absent').well


@pytest.mark.parametrize(
    'free, well, words',
    [(512, True, 'are free'), (40, None, 'room for 2'), (10, False, 'docker run --shm-size')],
)
def test_doctor_tells_how_many_processes_find_room(memory, monkeypatch, free, well, words):
    monkeypatch.setattr(shared_memory, 'room', lambda _: (free * MIB, 512 * MIB))
    finding = check_shared_memory(memory.files)
    assert finding.well is well
    assert words in finding.text


def test_doctor_tells_what_killed_processes_have_left(memory):
    memory.segment()
    finding = check_shared_memory(memory.files)
    assert finding.well is None
    assert '1 segment, 1.0 MiB: the next node removes them' in finding.text


def test_a_process_says_in_its_log_what_it_has_removed(memory, monkeypatch, capfd):
    memory.segment()
    monkeypatch.setattr(process, 'remove_leftovers', memory.remove)
    host = process._Host(threading.Event(), 0.0, respawn=False)
    host.tidy_up()
    assert f'{process.TIDIED}: 1 segment, 1.0 MiB' in capfd.readouterr().err
    host.tidy_up()
    assert capfd.readouterr().err == '', 'there is nothing left'


def _files_of(pid: int) -> set[str]:
    """Name the segment of a process and the ports at which it listens alone, with their locks."""
    locks = set()
    for descriptor in Path('/proc', str(pid), 'fd').iterdir():
        target = Path(os.readlink(descriptor))
        if target.parent == SHARED_MEMORY and target.name.endswith('_el'):
            locks.add(target.name)
    return locks | {lock.removesuffix('_el') for lock in locks}


@pytest.mark.slow
def test_what_a_killed_participant_has_left_goes_and_that_of_a_living_one_stays():
    """Regression: each `kill -9` took 17 MiB of memory until the machine was started anew."""
    environment = {**prepare_environment({**os.environ}), 'ROS_DOMAIN_ID': str(free_domain())}
    living, killed = (
        subprocess.Popen(
            [sys.executable, '-c', PARTICIPANT], env=environment, stdout=subprocess.PIPE
        )
        for _ in range(2)
    )
    try:
        for process in (living, killed):
            assert process.stdout.readline() == b'ready\n'
        kept = _files_of(living.pid)
        left = _files_of(killed.pid)
        assert len(kept) >= 6 and len(left) >= 6, 'a segment and two ports, with their locks'
        killed.kill()
        killed.wait()
        assert wait_for(lambda: remove_leftovers() and _are_gone(left, kept), PATIENCE_S)
        assert kept <= set(os.listdir(SHARED_MEMORY))
    finally:
        for process in (living, killed):
            process.kill()
            process.wait()
            process.stdout.close()


def _are_gone(left: set[str], kept: set[str]) -> bool:
    """Whether what was left is gone, but for ports at which the living one still writes."""
    segments = {name for name in left - kept if '_port' not in name}
    return bool(segments) and not segments & set(os.listdir(SHARED_MEMORY))
