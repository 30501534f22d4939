# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What `up`, its page and the demo listen on: this machine alone, unless more was asked for."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from network_sockets import START_TIMEOUT_S, a_users_shell, network_sockets

from av_perception.ros.bringup import session
from av_perception.ros.bringup.environment import PROFILE_VARIABLES
from av_perception.ros.privacy import free_domain

LOOPBACK = '0100007F'  # 127.0.0.1 as /proc writes it
PAGE = 'open http://127.0.0.1:'


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    parents = {}
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            status = (folder / 'stat').read_text()
        except OSError:  # just ended
            continue
        parents[int(folder.name)] = int(status.rsplit(')')[-1].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


@pytest.fixture()
def up(tmp_path):
    """Starts `up` with the page; gives it when the page is there, and its output."""
    started = []
    params = tmp_path / 'params.yaml'
    params.write_text(yaml.safe_dump({'/**/web_view': {'ros__parameters': {'port': 0}}}))

    def start(*words):
        log = tmp_path / 'log'
        command = [sys.executable, '-m', 'av_perception.cli.main', 'up', 'simulated', '--view']
        few = ['--microphones', 'others', '--camera', 'none', '--params-file', str(params)]
        environment = {**a_users_shell(), 'ROS_DOMAIN_ID': str(free_domain())}
        with open(log, 'wb') as file:
            options = {'stdout': file, 'stderr': file, 'env': environment}
            process = subprocess.Popen([*command, *few, *words], start_new_session=True, **options)
        started.append(process)
        deadline = time.monotonic() + START_TIMEOUT_S
        while PAGE not in log.read_text() and time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        return process, log.read_text()

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.slow
def test_up_and_its_page_listen_on_this_machine_alone(up):
    process, said = up()
    assert 'closed to the network' in said
    sockets = [s for pid in descendants(process.pid) for s in network_sockets(pid)]
    assert len(sockets) == 1 and sockets[0].startswith(f'tcp {LOOPBACK}:'), sockets


@pytest.mark.slow
def test_two_machines_open_the_network_and_say_so(up):
    process, said = up('--where', 'computer')
    assert 'open to the network: every host' in said
    sockets = [s for pid in descendants(process.pid) for s in network_sockets(pid)]
    assert any(s.startswith('udp ') for s in sockets)
    tcp = [s for s in sockets if s.startswith('tcp')]
    assert len(tcp) == 1 and LOOPBACK in tcp[0], 'the page stays on this machine'


def test_the_demo_is_closed_and_in_a_domain_of_its_own(monkeypatch, tmp_path):
    """Whatever domain the shell is in: a demo beside a robot must not talk to it."""
    for name in PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('ROS_DOMAIN_ID', '0')
    seen = {}

    class Runner:
        def __init__(self, *_, environment, **__):
            seen.update(environment)
            raise InterruptedError

    class Head:
        microphones = camera = None

    class Recording:
        head = Head()
        head_name = 'none'
        folder = tmp_path
        num_frames = 0
        truth = None

    monkeypatch.setattr(session, 'GraphRunner', Runner)
    with pytest.raises(InterruptedError):
        session.play_through_graph(Recording(), tmp_path)
    assert seen['ROS_DOMAIN_ID'] != '0'
    assert all('shared_memory' in seen[name] for name in PROFILE_VARIABLES)
