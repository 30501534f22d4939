# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Other hosts could hear and see any graph, other users could read its shared memory and files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from launch_standin import resolve_said
from lifecycle_msgs.msg import State
from network_sockets import CHOICES, START_TIMEOUT_S, a_users_shell, network_sockets

from av_perception.errors import UserError
from av_perception.ros import privacy
from av_perception.ros.bringup.environment import (
    PROFILE_VARIABLES,
    RANGE_VARIABLE,
    prepare_environment,
    reach,
    tools_line,
)
from av_perception.ros.bringup.graph import NODES
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.observer import GraphObserver

ROOT = Path(__file__).resolve().parents[2]
STARTED = ('tracker', 'speaking_status')
SEARCH_S = '300'
OWN_PROFILE = 'fastdds_own.xml'
FIND = """
import sys, time, rclpy
rclpy.init()
node = rclpy.create_node('a_tool')
deadline = time.monotonic() + float(sys.argv[1])
while 'tracker' not in node.get_node_names() and time.monotonic() < deadline:
    time.sleep(0.1)
sys.exit('tracker' not in node.get_node_names())
"""


def shared_memory(pid: int) -> dict[str, int]:
    """Mode by path of what a process has mapped for Fast DDS."""
    maps = Path(f'/proc/{pid}/maps').read_text()
    paths = {Path(p) for p in re.findall(r'/dev/shm/fast(?:rtps|dds)_\S+', maps)}
    # A segment whose other end has gone may be unlinked already, and is then nobody's to read.
    return {str(path): path.stat().st_mode & 0o777 for path in paths if path.exists()}


def wait_until_active(observer: GraphObserver, names=STARTED) -> None:
    """The nodes answer and are active."""
    for name in names:
        assert observer.wait_for_state(
            name, State.PRIMARY_STATE_ACTIVE, time.monotonic() + START_TIMEOUT_S
        ), name


def graph(environment: dict[str, str], folder: Path) -> GraphRunner:
    """Two nodes of the suite as processes."""
    nodes = tuple(node for node in NODES if node.name in STARTED)
    return GraphRunner(nodes, {'head': 'respeaker'}, log_folder=folder, environment=environment)


@pytest.fixture()
def ordinary_umask():
    """The umask of most shells."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture()
def closed(tmp_path, monkeypatch, ordinary_umask):
    """A graph started with no word about the network, recorded to a bag: its runner, and the
    sockets that this process had before.
    """
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)
    prepare_environment()
    open_before = network_sockets('self')  # an earlier test of this process may have left one
    with GraphObserver() as observer, graph(a_users_shell(), tmp_path / 'logs') as runner:
        runner.start_module(
            'bag_recorder', 'av_perception.cli.main', ['record', '-o', str(tmp_path / 'bag')]
        )
        wait_until_active(observer)
        deadline = time.monotonic() + START_TIMEOUT_S
        while 'bag_recorder' not in observer.node.get_node_names() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield runner, open_before


@pytest.mark.slow
def test_nothing_listens_on_the_network_unless_asked_for(closed):
    runner, open_before = closed
    pids = {name: process.pid for name, process in runner.processes.items()}
    assert {name: network_sockets(pid) for name, pid in pids.items()} == dict.fromkeys(pids, [])
    assert network_sockets('self') == open_before, 'the observer is a part of the graph too'


@pytest.mark.slow
def test_other_users_can_read_neither_shared_memory_nor_bags(closed, tmp_path):
    runner, _ = closed
    for name, process in runner.processes.items():
        modes = shared_memory(process.pid)
        assert modes and not any(mode & privacy.OTHERS for mode in modes.values()), (name, modes)
    assert set(runner.stop(START_TIMEOUT_S).values()) == {0}
    written = [path for part in ('bag', 'logs') for path in (tmp_path / part).rglob('*')]
    written += [tmp_path / 'bag']
    # The logs were opened by this process, whose umask is an ordinary one.
    private = [path for path in written if path.suffix != '.log']
    assert len(private) >= 3
    modes = {str(path): path.stat().st_mode & 0o777 for path in private if path.name != 'logs'}
    assert not any(mode & privacy.OTHERS for mode in modes.values()), modes


@pytest.mark.slow
def test_a_tool_in_another_shell_finds_the_graph_with_the_line_that_is_printed(closed):
    words = tools_line().split()
    assert words[0] == 'export' and tools_line() in reach()
    told = {**a_users_shell(), **dict(word.split('=', 1) for word in words[1:])}
    tool = subprocess.run([sys.executable, '-c', FIND, SEARCH_S], env=told, check=False)
    assert tool.returncode == 0
    untold = subprocess.run([sys.executable, '-c', FIND, '2'], env=a_users_shell(), check=False)
    assert untold.returncode == 1, 'if tools find the graph without it, the line can go'


@pytest.mark.slow
def test_with_network_the_nodes_have_sockets_and_a_plain_shell_finds_them(tmp_path):
    environment = prepare_environment(a_users_shell(), network=True)
    assert 'open to the network: every host' in reach(environment)
    with graph(environment, tmp_path) as runner:
        tool = subprocess.run(
            [sys.executable, '-c', FIND, SEARCH_S], env=a_users_shell(), check=False
        )
        assert tool.returncode == 0
        for name, process in runner.processes.items():
            deadline = time.monotonic() + START_TIMEOUT_S
            while not network_sockets(process.pid) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert any(row.startswith('udp ') for row in network_sockets(process.pid)), name


@pytest.mark.slow
def test_the_graph_works_on_a_machine_without_any_network_interface():
    """Both processes in one network namespace: Fast DDS takes another one for another host."""
    alone = ['unshare', '--map-root-user', '--net']
    found = shutil.which('unshare') and subprocess.run(
        [*alone, 'true'], capture_output=True, check=False
    )
    if not found or found.returncode:
        pytest.skip('no network namespace can be made here: unshare is missing or not allowed')
    node = '"$0" -m av_perception.nodes.tracker --ros-args -p head:=respeaker & '
    script = node + '"$0" -c "$1" "$2"; status=$?; kill -TERM $!; wait; exit $status'
    shell = {**a_users_shell(), **dict(word.split('=', 1) for word in tools_line().split()[1:])}
    tried = subprocess.run(
        [*alone, 'sh', '-c', script, sys.executable, FIND, SEARCH_S],
        env=shell,
        cwd=ROOT,
        check=False,
    )
    assert tried.returncode == 0


@pytest.mark.parametrize(
    'chosen, said',
    [
        (
            {RANGE_VARIABLE: 'LOCALHOST'},
            'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST is your choice: .* listens on UDP',
        ),
        ({'ROS_LOCALHOST_ONLY': '1'}, 'ROS_LOCALHOST_ONLY=1 is your choice: .* listens on UDP'),
        ({RANGE_VARIABLE: 'OFF'}, 'the nodes do not find each other'),
        ({RANGE_VARIABLE: 'SUBNET'}, 'closed to the network'),
        ({PROFILE_VARIABLES[0]: OWN_PROFILE}, 'fastdds_own.xml is your choice'),
        ({PROFILE_VARIABLES[1]: OWN_PROFILE}, 'fastdds_own.xml is your choice'),
        (
            {'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'},
            'rmw_cyclonedds_cpp is your choice: .*=LOCALHOST decide',
        ),
        ({'ROS_DISTRO': 'jazzy'}, 'closed to the network'),
    ],
)
@pytest.mark.parametrize('network', [False, True])
def test_what_the_user_has_set_stays_and_its_meaning_is_said(
    chosen, said, network, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path(OWN_PROFILE).write_text('<dds/>')
    environment = prepare_environment({**a_users_shell(), **chosen}, network=network)
    assert chosen.items() <= environment.items()
    if not network:
        assert re.search(said, reach(environment)) and '\n' not in reach(environment)
    elif RANGE_VARIABLE in chosen or 'ROS_LOCALHOST_ONLY' in chosen:
        assert environment[PROFILE_VARIABLES[0]].endswith('fastdds_network.xml')


@pytest.mark.parametrize('variable', PROFILE_VARIABLES)
@pytest.mark.parametrize('content', [None, '<dds><profiles>', ''])
def test_a_profile_that_cannot_be_read_opened_the_graph(variable, content, tmp_path):
    """Fast DDS passes over it, and its own profile listens on every interface."""
    path = tmp_path / 'own.xml'
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=f'own.xml cannot be read .*correct {variable}, or unset'):
        prepare_environment({**a_users_shell(), variable: str(path)})


def test_without_a_home_no_node_could_write_its_log(tmp_path):
    """A service of systemd has none; ROS then looks no further."""
    shell = {key: value for key, value in a_users_shell().items() if not key.startswith('ROS_LOG')}
    home = Path('~').expanduser()
    without = prepare_environment({k: v for k, v in shell.items() if k != 'HOME'})
    assert without['ROS_LOG_DIR'].startswith((str(home), tempfile.gettempdir()))
    assert 'ROS_LOG_DIR' not in prepare_environment({**shell, 'HOME': str(tmp_path)})


@pytest.mark.parametrize('domain', [233, 999, -1])
def test_a_domain_beyond_the_last_ended_the_process_without_a_word(domain, tmp_path):
    with pytest.raises(UserError, match=f'ROS_DOMAIN_ID {domain} is none: DDS has 0 to 232'):
        privacy.check_domain(domain, tmp_path)


def test_the_network_opens_in_a_shell_with_the_line_for_tools():
    closed_shell = prepare_environment(a_users_shell())
    environment = prepare_environment(dict(closed_shell), network=True)
    assert 'open to the network' in reach(environment)
    assert 'open to the network' in reach(prepare_environment(dict(environment))), (
        'nor does a child close it'
    )


@pytest.mark.parametrize('name', ['head', 'nao', 'popeye', 'simulated'])
def test_launch_files_open_the_network_only_when_asked_and_say_it(name, monkeypatch):
    for variable in CHOICES:
        monkeypatch.delenv(variable, raising=False)
    path = ROOT / 'launch' / f'{name}.launch.py'
    expected = {
        'false': ('shared_memory', 'closed to the network'),
        'true': ('network', 'open to the network'),
    }
    for network, (profile, words) in expected.items():
        processes, said = resolve_said(path, {'network': network} if network == 'true' else {})
        found = {process.environment[name] for process in processes for name in PROFILE_VARIABLES}
        assert found == {str(ROOT / 'config' / f'fastdds_{profile}.xml')}
        assert len(said) == 1 and words in said[0]


def test_a_domain_that_another_user_holds_is_named(tmp_path, monkeypatch):
    """Nodes of two users in one domain did not even find their own, and nothing said so."""
    for name in CHOICES:
        monkeypatch.delenv(name, raising=False)
    prepare_environment()
    (tmp_path / 'fastrtps_port7650').write_bytes(b'')
    privacy.check_domain(1, tmp_path)
    other_user = os.geteuid() + 1
    monkeypatch.setattr(privacy.os, 'geteuid', lambda: other_user)
    with pytest.raises(UserError, match='ROS_DOMAIN_ID 1 is in use by .*take another'):
        privacy.check_domain(1, tmp_path)
    privacy.check_domain(2, tmp_path)
