# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""No request kills a node, and a node that an exception ends says so in one line, with status 2.

Called as a program it hosts the two nodes below: <where the first fails> <respawn: true or false>.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pytest
from dds_domains import free_domain
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState
from ros_bench import with_fixtures
from waiting import wait_for as come_true

from av_perception.ros.node import PerceptionNode
from av_perception.ros.observer import GraphObserver
from av_perception.ros.process import run_nodes
from av_perception.ros.worker import Pacer

pytestmark = pytest.mark.slow
PATIENCE_S = 300.0
ACTIVE = State.PRIMARY_STATE_ACTIVE
own_domain = functools.cache(free_domain)  # of all processes here
PLACES = ('constructor', 'configure', 'timer', 'worker', 'thread', 'exit', 'deactivate')


class Fragile(PerceptionNode):
    """Fails at the place that the command line names, the first time it gets there."""

    NAME = 'fragile'
    place = ''

    def __init__(self, **options):
        super().__init__(**options)
        self._break('constructor')

    def configure(self) -> None:
        self._break('configure')

    def activate(self) -> None:
        self.every(0.1, lambda: self._break('timer'))
        self.every(0.1, lambda: self._break('exit'))
        if self.place == 'thread':
            threading.Thread(target=self._break_beside_the_other).start()
        if self.place == 'worker':
            self._pacer = Pacer([], time.monotonic_ns, lambda: self._break('worker'), self.fail)

    def _break_beside_the_other(self) -> None:
        Steady.is_up.wait()
        self._break('thread')

    def deactivate(self) -> None:
        self._break('deactivate')

    def _break(self, place: str) -> None:
        if Fragile.place == place:
            Fragile.place = ''
            raise SystemExit('broken') if place == 'exit' else KeyError('broken')


class Steady(PerceptionNode):
    """Its neighbor."""

    NAME = 'sound'
    is_up = threading.Event()

    def activate(self) -> None:
        self.is_up.set()


@pytest.fixture(scope='module')
def observer():
    """Hears what runs on the domain of this test."""
    with GraphObserver(domain_id=own_domain()) as observer:
        yield observer


class Process:
    """A process and its output; killed when the test is over."""

    def __init__(self, *command: str):
        environment = with_fixtures({**os.environ, 'ROS_DOMAIN_ID': str(own_domain())})
        self._file = tempfile.TemporaryFile('w+')
        self._process = subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdout=self._file,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._file.close()

    @property
    def output(self) -> str:
        return os.pread(self._file.fileno(), 1 << 20, 0).decode()

    def end(self, ask: bool = True) -> tuple[int, str]:
        """Exit status and output, asked by SIGINT or of its own accord."""
        if ask:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(timeout=PATIENCE_S), self.output


def host(place: str, respawn: bool = False, level: str = 'info') -> Process:
    return Process(__file__, place, str(respawn).lower(), '--ros-args', '--log-level', level)


def wait_for(observer, name: str, state: int) -> bool:
    return observer.wait_for_state(name, state, time.monotonic() + PATIENCE_S)


@pytest.mark.slow
def test_a_transition_that_is_not_allowed_is_refused_and_the_node_goes_on(observer):
    """Regression: activate while active raised RCLError, and the node was dead."""
    forbidden = (
        Transition.TRANSITION_ACTIVATE,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
        99,
    )
    with Process('-m', 'av_perception.nodes.speaking_status') as process:
        assert wait_for(observer, 'speaking_status', ACTIVE)
        for number in forbidden:
            assert not observer.transition('speaking_status', number)
            assert observer.state('speaking_status') == ACTIVE
        assert not _by_label(observer, 'cleanup') and not _by_label(observer, 'dance')
        assert _by_label(observer, 'deactivate')
        assert not observer.transition('speaking_status', Transition.TRANSITION_DEACTIVATE)
        assert observer.transition('speaking_status', Transition.TRANSITION_ACTIVATE)
        status, output = process.end()
    assert status == 0, output
    refusals = [line for line in output.splitlines() if 'transition' in line]
    assert len(refusals) == len(forbidden) + 3, output
    assert all('[WARN]' in line and 'refused the transition' in line for line in refusals)
    assert 'Traceback' not in output and 'ERROR' not in output


def _by_label(observer, label: str) -> bool:
    client = observer.node.create_client(ChangeState, 'speaking_status/change_state')
    request = ChangeState.Request(transition=Transition(label=label))
    return observer._call_or_fail('speaking_status', client, request).success


@pytest.mark.slow
def test_twenty_rounds_of_the_life_cycle_with_a_forbidden_request_in_each(observer):
    rounds = (
        Transition.TRANSITION_DEACTIVATE,
        Transition.TRANSITION_CLEANUP,
        Transition.TRANSITION_CONFIGURE,
        Transition.TRANSITION_ACTIVATE,
    )
    with Process('-m', 'av_perception.nodes.speaking_status') as process:
        assert wait_for(observer, 'speaking_status', ACTIVE)
        for _ in range(20):
            assert all(observer.transition('speaking_status', number) for number in rounds)
            assert not observer.transition('speaking_status', Transition.TRANSITION_ACTIVATE)
        assert process.end()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize('place', [p for p in PLACES if p != 'thread'])
def test_an_exception_ends_a_node_with_one_line_and_status_2_and_the_other_goes_on(
    observer, place
):
    """Regression: a traceback on the terminal, or in one process a thread that died in silence."""
    with host(place) as process:
        assert wait_for(observer, 'sound', ACTIVE)
        if place != 'deactivate':
            assert come_true(lambda: observer.state('fragile') is None)
        status, output = process.end()
    errors = [line for line in output.splitlines() if '[ERROR]' in line]
    assert status == 2 and 'Traceback' not in output, output
    own = [line for line in errors if '[fragile]' in line]
    kind = 'SystemExit: broken' if place == 'exit' else "KeyError: 'broken'"
    assert errors == own and len(own) == 1 and f'ended by itself: {kind}' in own[0], output


@pytest.mark.slow
def test_a_thread_that_dies_ends_the_process_for_nobody_knows_whose_it_was():
    with host('thread') as process:
        status, output = process.end(ask=False)
    errors = [line for line in output.splitlines() if '[ERROR]' in line]
    assert status == 2 and 'Traceback' not in output, output
    assert len(errors) == 2 and all("KeyError: 'broken'" in line for line in errors), output


@pytest.mark.slow
def test_the_traceback_is_in_the_log_at_level_debug(observer):
    with host('configure', level='debug') as process:
        assert wait_for(observer, 'sound', ACTIVE)
        status, output = process.end()
    assert status == 2 and "raise SystemExit('broken') if" in output


@pytest.mark.slow
@pytest.mark.parametrize('place', [p for p in PLACES if p != 'deactivate'])
def test_a_node_that_an_exception_ended_comes_back_in_one_process(observer, place):
    """Regression: respawn in one process saw a UserError only."""
    with host(place, respawn=True) as process:
        assert come_true(lambda: 'ended by itself' in process.output)
        assert wait_for(observer, 'fragile', ACTIVE) and wait_for(observer, 'sound', ACTIVE)
        # The name of the node that ended leaves the graph once discovery has caught up.
        get_names = observer.node.get_node_names
        assert come_true(lambda: [get_names().count(n) for n in ('fragile', 'sound')] == [1, 1])
        status, output = process.end()
    assert status == 0, output
    assert output.count('[fragile]: ended by itself') == 1, output


if __name__ == '__main__':
    Fragile.place = sys.argv[1]
    sys.exit(run_nodes({Fragile: 0, Steady: 0}, sys.argv[3:], respawn=sys.argv[2] == 'true'))
