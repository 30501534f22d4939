# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where files may not grow, DDS finds no room for its shared memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from dds_domains import free_domain

from av_perception.ros import privacy

LIMITED = (
    'import os, resource, sys; '
    'resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); '
    'os.execv(sys.argv[1], sys.argv[1:])'
)


def _environment() -> dict[str, str]:
    """Python writes no bytecode: it would be cut like any other file, and break later runs."""
    domain = str(free_domain())
    return {**os.environ, 'ROS_DOMAIN_ID': domain, 'PYTHONDONTWRITEBYTECODE': '1'}


def _run_without_room(*words: str) -> subprocess.CompletedProcess:
    """Run Python with words where no file of shared memory can be made."""
    return subprocess.run(
        [sys.executable, '-c', LIMITED, sys.executable, *words],
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_who_finds_no_room_says_so_in_one_line(tmp_path):
    """Regression: `record` ended with a traceback of rclpy."""
    words = ['-m', 'av_perception.cli.main', 'record', '-o', str(tmp_path / 'bag')]
    ended = _run_without_room(*words)
    assert ended.returncode == 2 and 'Traceback' not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith('av-perception:')]
    assert 'cannot join the graph' in line and '/dev/shm' in line


@pytest.mark.slow
def test_a_node_that_finds_no_room_says_how_much_there_is():
    """Regression: in a container with 64 MiB of it a node ended with words of rmw alone."""
    ended = _run_without_room('-m', 'av_perception.nodes.attention')
    assert ended.returncode == 2 and 'Traceback' not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith('[ERROR]')]
    assert 'is there room in /dev/shm?' in line and 'a process takes 17' in line


@pytest.mark.parametrize('prefix', ['fastrtps_', 'fastdds_'])
def test_a_domain_is_chosen_where_nobody_is(tmp_path, prefix):
    for domain in range(1, 100):
        if domain not in (7, 42):
            (tmp_path / f'{prefix}port{7400 + 250 * domain}').touch()
    assert {privacy.free_domain(tmp_path) for _ in range(50)} == {7, 42}
    for domain in (7, 42):
        (tmp_path / f'{prefix}port{7400 + 250 * domain}').touch()
    assert 1 <= privacy.free_domain(tmp_path) < 100, 'all are taken: any is as good'
