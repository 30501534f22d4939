# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The repository built by colcon, and the nodes of every launch file started from install/, as
`ros2 launch` starts them.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from colcon_workspace import Workspace, build
from dds_domains import free_domain
from launch_standin import resolve
from lifecycle_msgs.msg import State
from waiting import PATIENCE_S, wait_for

from av_perception.ros.observer import GraphObserver
from av_perception.simulation.cache import simulated_recording

LAUNCH = Path(__file__).resolve().parents[2] / 'launch'
own_domain = functools.cache(free_domain)
PLAYED = {'source': 'simulated', 'scene': 'short', 'head': 'simulated', 'start_time': '0.0'}


@pytest.fixture(scope='module')
def workspace(tmp_path_factory) -> Workspace:
    """Built once."""
    simulated_recording('short')  # rendered before the nodes want it
    return build(tmp_path_factory.mktemp('ws'))


@pytest.mark.slow
def test_the_installed_package_is_the_one_that_was_built(workspace):
    found = subprocess.run(
        [workspace.executable('av-perception'), '--version'],
        env=workspace.environment,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0 and found.stdout.startswith('av-perception ')
    code = (
        'import av_perception, av_perception_msgs; '
        'print(av_perception.__file__, av_perception_msgs.__file__)'
    )
    where = subprocess.run(
        ['python', '-c', code],
        env=workspace.environment,
        capture_output=True,
        text=True,
        cwd='/',
        check=True,
    )
    assert all(path.startswith(str(workspace.folder / 'install')) for path in where.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, arguments',
    [
        ('simulated', {'scene': 'short', 'start_time': '0.0', 'use_composition': 'false'}),
        ('head', {**PLAYED, 'namespace': 'robot', 'mode': 'minimal', 'events': 'true'}),
        ('popeye', PLAYED),
        ('nao', {'microphones': 'others'}),
    ],
)
def test_the_nodes_of_a_launch_file_start_and_stop(workspace, name, arguments, tmp_path):
    expected = {
        p.name
        for p in resolve(LAUNCH / f'{name}.launch.py', {**arguments, 'use_composition': 'false'})[
            0
        ]
    }
    processes = resolve(LAUNCH / f'{name}.launch.py', arguments)[0]
    running = {}
    with GraphObserver(namespace=processes[0].namespace, domain_id=own_domain()) as observer:
        try:
            for process in processes:
                environment = {
                    **workspace.environment,
                    **process.environment,
                    'ROS_DOMAIN_ID': str(own_domain()),
                    'ROS_LOG_DIR': str(tmp_path),
                }
                environment = {
                    k: v for k, v in environment.items() if not k.endswith('PROFILES_FILE')
                } | _profiles(os.environ)
                with open(tmp_path / process.executable, 'wb') as log:
                    running[process.executable] = subprocess.Popen(
                        [workspace.executable(process.executable), *process.command()],
                        env=environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
            deadline = time.monotonic() + PATIENCE_S
            alive = lambda: all(p.poll() is None for p in running.values())  # noqa: E731
            for node in sorted(expected):
                assert observer.wait_for_state(
                    node, State.PRIMARY_STATE_ACTIVE, deadline, alive
                ), _logs(tmp_path)
            if name != 'nao':
                assert wait_for(lambda: observer.speaking), (
                    f'no speaking status: {_logs(tmp_path)}'
                )
        finally:
            for process in running.values():
                process.send_signal(signal.SIGINT)
            statuses = {
                executable: process.wait(timeout=PATIENCE_S)
                for executable, process in running.items()
            }
    assert set(statuses.values()) == {0}, (statuses, _logs(tmp_path))


def _profiles(environment) -> dict:
    """The transport of the test's own process: without network."""
    return {k: v for k, v in environment.items() if k.endswith('PROFILES_FILE')}


def _logs(folder: Path) -> str:
    return '\n'.join(
        f'--- {path.name}\n{path.read_text(errors="replace")[-1500:]}'
        for path in sorted(folder.iterdir())
        if path.is_file()
    )
