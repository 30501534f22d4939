# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The suite on two machines at once, and what the computer heard while the cable got worse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

import numpy as np

from av_perception.errors import UserError
from av_perception.paths import share_directory
from av_perception.ros.bringup.environment import PROFILE_VARIABLES, RANGE_VARIABLE
from av_perception.ros.two_machines.clock import Pace
from av_perception.ros.two_machines.listener import READY
from av_perception.ros.two_machines.namespaces import COMPUTER, ROBOT, TwoMachines
from av_perception.ros.two_machines.wire import Conditions

START_S = 60.0  # at most, by the clock of the machines, until everybody is seen and heard
LEAD_S = 8.0  # from the start of the processes to that of the recording, likewise
STOP_S = 60.0
DOMAIN = '77'  # nobody else is on these two machines
HEAD = 'simulated'
PYTHON = (sys.executable, '-m')
UP = (*PYTHON, 'av_perception.cli.main', 'up', HEAD)
# When Fast DDS takes a silent participant for gone, and how often it says that it is there.
LEASE = (
    '<builtin><discovery_config><leaseDuration><sec>{lease}</sec></leaseDuration>'
    '<leaseAnnouncement><sec>{announcement}</sec></leaseAnnouncement></discovery_config></builtin>'
)
DECIDED = (*PROFILE_VARIABLES, RANGE_VARIABLE, 'ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS')


@dataclass(frozen=True)
class Setting:
    """How the suite is started on two machines.

    Its field `slower` tells how many times slower than real everything goes, cable and all.
    """

    #: The recording that the robot plays.
    recording: Path
    #: Of each person: the head's center in the head's base frame, (3,) [m].
    places: dict[int, np.ndarray]
    #: Where logs go.
    folder: Path
    slower: float = 1.0
    #: Further words of `up --where computer`.
    computer: tuple[str, ...] = ()
    #: By so much the robot's clock is ahead [s].
    ahead_s: float = 0.0
    #: Further variables of the environment of both.
    variables: dict[str, str] = field(default_factory=dict)
    #: A command that runs on the computer beside, a discovery server.
    beside: tuple[str, ...] = ()


class Session:
    """What runs on both machines. Times are of their clocks, the robot's set right.

    Attributes
    ----------
    machines
        The namespaces and the cable.
    heard
        By kind, what the computer heard; complete when the session has ended.
    """

    def __init__(self, machines: TwoMachines, setting: Setting):
        self.machines = machines
        self.setting = setting
        self.pace = Pace(time.time_ns(), setting.slower)
        self.heard: dict[str, list] = {}

    def hold(self, seconds: float) -> tuple[int, int]:
        """Wait, and give when that began and ended [ns]."""
        start_ns = time.time_ns()
        time.sleep(seconds * self.pace.slower)
        return self.pace.at(start_ns), self.pace.at(time.time_ns())

    def become(self, conditions: Conditions) -> None:
        """Change the cable."""
        slower = self.pace.slower
        self.machines.become(
            replace(
                conditions,
                delay_s=conditions.delay_s * slower,
                queue_s=conditions.queue_s * slower,
                rate_bps=conditions.rate_bps / slower,
            )
        )

    def commands(self) -> dict[str, list[list[str]]]:
        """Give what each machine runs."""
        setting = self.setting
        robot = [*UP, '--where', ROBOT, '--source', 'file', '--recording', str(setting.recording)]
        computer = [*UP, '--where', COMPUTER, *setting.computer]
        clocks: dict[str, list[list[str]]] = {ROBOT: [], COMPUTER: []}
        if self.pace.slower != 1.0 or setting.ahead_s:
            lead_s = LEAD_S / self.pace.slower + 2.0
            start_s = 1e-9 * self.pace.start_ns + setting.ahead_s + lead_s
            robot += ['--start-time', f'{start_s:.3f}']
            clocks = {
                ROBOT: [self._clock(robot, ROBOT, setting.ahead_s)],
                COMPUTER: [self._clock(computer, COMPUTER, 0.0)],
            }
        beside = [list(setting.beside)] if setting.beside else []
        return {
            ROBOT: [robot, *clocks[ROBOT]],
            COMPUTER: [*beside, computer, *clocks[COMPUTER]],
        }

    def _clock(self, words: list[str], machine: str, ahead_s: float) -> list[str]:
        """Have a command take the time of a clock of its own; gives that clock's command."""
        topic = f'/clock_of_{machine}'
        words += ['--sim-time', '--remap', f'/clock:={topic}']
        figures = (str(self.pace.start_ns), str(self.pace.slower), str(ahead_s))
        return [*PYTHON, 'av_perception.ros.two_machines.clock', topic, *figures]

    def finish(self, path: Path) -> None:
        """Read what was heard, with the times of arrival by the machines' clocks."""
        ahead_ns = round(1e9 * self.setting.ahead_s)
        self.heard = {
            kind: [[note[0] - ahead_ns, self.pace.at(note[1]), *note[2:]] for note in notes]
            for kind, notes in json.loads(path.read_text()).items()
        }


@contextmanager
def running(machines: TwoMachines, setting: Setting) -> Iterator[Session]:
    """Run the suite on both machines while it lasts; `heard` is filled when it ends.

    Raises
    ------
    UserError
        When the computer does not see and hear everybody in time.
    """
    session = Session(machines, setting)
    given = json.dumps({person: place.tolist() for person, place in setting.places.items()})
    heard = setting.folder / 'heard.json'
    hosts = {
        ROBOT: ['av_perception.ros.two_machines.hosted'],
        COMPUTER: ['av_perception.ros.two_machines.listener', given, str(heard)],
    }
    started: dict[str, subprocess.Popen] = {}
    try:
        for machine, commands in session.commands().items():
            words = [word for command in commands for word in ('--', *command)]
            started[machine] = _start(session, machine, [*PYTHON, *hosts[machine], *words])
        _wait_until_well(session, started[COMPUTER])
        yield session
    finally:
        for process in reversed(started.values()):
            _stop(process)
    session.finish(heard)


def _start(session: Session, machine: str, words: list[str]) -> subprocess.Popen:
    setting = session.setting
    environment = {k: v for k, v in os.environ.items() if k not in DECIDED}
    environment |= {'ROS_DOMAIN_ID': DOMAIN, **setting.variables}
    if setting.slower != 1.0:
        profile = slowed_profile(setting.folder / 'profile.xml', setting.slower)
        environment |= dict.fromkeys(PROFILE_VARIABLES, profile)
    with open(setting.folder / f'{machine}.log', 'wb') as log:
        return subprocess.Popen(
            session.machines.command(machine, words),
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )


def slowed_profile(path: Path, slower: float) -> str:
    """Write the profile for the network with all its times longer; gives its path."""
    shipped = share_directory() / 'config' / 'fastdds_network.xml'

    def longer(found: re.Match) -> str:
        return f'<nanosec>{round(int(found[1]) * slower)}</nanosec>'

    text = re.sub(r'<nanosec>(\d+)</nanosec>', longer, shipped.read_text())
    lease = LEASE.format(lease=round(20 * slower), announcement=round(3 * slower))
    path.write_text(text.replace('<rtps>', f'<rtps>{lease}', 1))
    return str(path)


def _wait_until_well(session: Session, listener: subprocess.Popen) -> None:
    assert listener.stdout is not None
    os.set_blocking(listener.stdout.fileno(), False)
    deadline = time.monotonic() + START_S * session.pace.slower
    said = ''
    while READY not in said:
        if listener.poll() is not None or time.monotonic() > deadline:
            raise UserError(
                f'the computer did not see and hear everybody within {START_S:.0f} s: see '
                f'robot.log and computer.log in {session.setting.folder}; is this machine too '
                'busy? then --slower'
            )
        said += _read(listener.stdout)
        time.sleep(0.1)


def _read(stream: IO[bytes]) -> str:
    return (stream.read() or b'').decode(errors='replace')


def _stop(process: subprocess.Popen) -> None:
    """End what runs by the end of its input; by force after a while."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
