# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Nothing outlives the command that started it, however that ends; what does is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from dds_domains import free_domain
from waiting import PATIENCE_S, wait_for

from av_perception.ros.lifeline import VARIABLE, Lifeline, leftovers, name_leftovers
from av_perception.simulation.cache import simulated_recording

PROCESSES = Path('/proc')
ONE = ('up', 'simulated', '--source', 'device', '--microphones', 'others', '--camera', 'others')
UP = (*ONE, '--processes')
pytestmark = [
    pytest.mark.skipif(not PROCESSES.is_dir(), reason='finds processes in /proc'),
    pytest.mark.slow,
]


class Command:
    """An av-perception command as a process, and what it starts; all gone after the test."""

    def __init__(self, *words: str, prefix: tuple[str, ...] = ()):
        environment = {**os.environ, 'ROS_DOMAIN_ID': str(free_domain())}
        self._file = tempfile.TemporaryFile('w+')
        self.process = subprocess.Popen(
            [*prefix, sys.executable, '-m', 'av_perception.cli.main', *words],
            env=environment,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )
        self.seen: set[int] = set()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()
        for pid in filter(is_alive, self.seen):
            os.kill(pid, signal.SIGKILL)
        self._file.close()

    @property
    def output(self) -> str:
        return os.pread(self._file.fileno(), 1 << 20, 0).decode()

    def wait_for_children(self, number: int) -> set[int]:
        """The pids of so many running children."""
        assert wait_for(lambda: len(self._children()) >= number), self.output
        return self.seen

    def wait_for_nodes(self, number: int) -> set[int]:
        """The same once as many have said that they are ready."""
        assert wait_for(lambda: self.output.count(': ready after') >= number), self.output
        return self.wait_for_children(number)

    def _children(self) -> set[int]:
        self.seen |= {pid for pid in pids() if status_of(pid)[1:2] == [str(self.process.pid)]}
        return self.seen


def pids() -> list[int]:
    return [int(folder.name) for folder in PROCESSES.glob('[0-9]*')]


def status_of(pid: int) -> list[str]:
    """State, parent, ... of a process; empty when it is gone."""
    try:
        return (PROCESSES / str(pid) / 'stat').read_text().rpartition(')')[2].split()
    except OSError:
        return []


def is_alive(pid: int) -> bool:
    return status_of(pid)[:1] not in ([], ['Z'])  # a zombie waits for who inherited it


def all_gone(found: set[int]) -> bool:
    return wait_for(lambda: not any(map(is_alive, found)))


@pytest.mark.parametrize('words, number', [(UP, 5), (ONE, 1)])
def test_up_killed_hard_leaves_no_node(words, number):
    """Regression: kill -9 of up left all nodes running for ever."""
    with Command(*words) as up:
        nodes = set(up.wait_for_nodes(number))
        up.process.kill()
        assert all_gone(nodes), up.output
        assert 'Traceback' not in up.output, up.output


def test_the_demo_killed_hard_leaves_no_node_and_no_recorder(tmp_path):
    """Regression: nine nodes went on for ever."""
    recording = simulated_recording('short').folder
    words = ('demo', '--recording', str(recording), '-o', str(tmp_path), '--processes')
    with Command(*words) as demo:
        started = set(demo.wait_for_children(9))
        demo.process.kill()
        assert all_gone(started), demo.output


def test_nodes_that_are_still_starting_end_too():
    with Command(*UP) as up:
        nodes = set(up.wait_for_children(5))
        up.process.kill()
        assert all_gone(nodes), up.output


def test_ctrl_c_while_the_nodes_start_shows_no_traceback():
    """Regression: SIGINT found the nodes at their imports, and each showed where."""
    with Command(*UP) as up:
        nodes = set(up.wait_for_children(5))
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(PATIENCE_S) in (0, 130), up.output
        assert all_gone(nodes) and 'Traceback' not in up.output, up.output


def test_sigint_ends_what_a_script_started_in_the_background():
    """Regression: a shell has SIGINT ignored in what a script starts with &, and so had up."""
    with Command(*UP, prefix=('sh', '-c', '"$@" & echo $!; wait', 'sh')) as script:
        assert wait_for(lambda: script.output.count(': ready after') >= 5), script.output
        up = int(script.output.split()[0])
        os.kill(up, signal.SIGINT)
        assert all_gone({up}), script.output
        assert script.process.wait(PATIENCE_S) == 0


def test_a_node_that_nobody_of_us_started_does_not_mind_who_did():
    """As under ros2 launch: its shell goes, it stays."""
    node = f'{sys.executable} -m av_perception.nodes.speaking_status'
    with tempfile.TemporaryFile('w+') as file:
        shell = subprocess.Popen(
            ['sh', '-c', f'{node} & echo $!; wait'],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
        )

        def said() -> str:
            return os.pread(file.fileno(), 1 << 16, 0).decode()

        assert wait_for(lambda: ': ready after' in said()), said()
        pid = int(said().split()[0])
        shell.kill()
        shell.communicate()
        time.sleep(3.0)
        assert is_alive(pid) and pid not in leftovers()
        os.kill(pid, signal.SIGTERM)
        assert all_gone({pid})


def test_what_is_left_of_an_earlier_start_is_named_with_what_to_do(capsys):
    """A process that has lost its starter and does not end: halted, or busy without Python."""
    start = (
        'import sys, time; from av_perception.ros.lifeline import Lifeline; '
        'p = Lifeline().start("sleeper", ["sleep", "3600"], {}); '
        'print(p.pid, flush=True); time.sleep(3600)'
    )
    with subprocess.Popen(
        [sys.executable, '-c', start], stdout=subprocess.PIPE, text=True
    ) as starter:
        pid = int(starter.stdout.readline())
        assert pid not in leftovers(), 'its starter lives'
        starter.kill()
    try:
        assert wait_for(lambda: leftovers().get(pid) == 'sleeper')
        name_leftovers(patience_s=0.5)
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and f'sleeper ({pid})' in lines[0] and 'kill -9' in lines[0]
    finally:
        os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: pid not in leftovers())


def test_who_was_halted_when_its_starter_was_killed_ends_with_the_next_start(capsys):
    """Regression: it stayed halted for ever, and held its shared memory."""
    child = (
        'import time; from av_perception.ros.lifeline import watch_starter; '
        'watch_starter(lambda: None); print("listens", flush=True); time.sleep(3600)'
    )
    start = (
        'import os, sys, time; from av_perception.ros.lifeline import Lifeline; '
        f'p = Lifeline().start("halted", [sys.executable, "-c", {child!r}], dict(os.environ)); '
        'print(p.pid, flush=True); time.sleep(3600)'
    )
    with subprocess.Popen(
        [sys.executable, '-c', start], stdout=subprocess.PIPE, text=True
    ) as starter:
        pid = int(starter.stdout.readline())
        assert starter.stdout.readline() == 'listens\n'
        os.kill(pid, signal.SIGSTOP)
        assert wait_for(lambda: status_of(pid)[:1] == ['T'])
        starter.kill()
    try:
        time.sleep(1.0)
        assert is_alive(pid) and leftovers().get(pid) == 'halted'
        name_leftovers(patience_s=PATIENCE_S)
        assert not is_alive(pid)
        assert capsys.readouterr().err == ''
    finally:
        if is_alive(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_child_does_not_hand_its_lifeline_on():
    look = (
        'import os, signal; from av_perception.ros.lifeline import watch_starter, VARIABLE; '
        'signal.signal(signal.SIGINT, signal.SIG_DFL); watch_starter(lambda: None); '
        f'raise SystemExit("{VARIABLE}" in os.environ '
        'or signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))'
    )
    lifeline = Lifeline()
    process = lifeline.start('child', [sys.executable, '-c', look], dict(os.environ))
    assert process.wait(PATIENCE_S) == 0
    lifeline.close()
    lifeline.close()
