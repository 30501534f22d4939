# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A node that dies comes back, the others go on, and ids survive whatever dies but the tracker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from av_perception_msgs.msg import VisualFeatures
from dds_domains import free_domain
from hostile_files import write_recording
from lifecycle_msgs.msg import State
from waiting import wait_for

from av_perception.interfaces import Face
from av_perception.interfaces import VisualFeatures as Features
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.conversions import visual_features_to_msg
from av_perception.ros.observer import GraphObserver

PATIENCE_S = 300.0
PERIOD_NS = 40_000_000
pytestmark = pytest.mark.slow
PLACES = (np.array([-0.4, 0.0, 1.5]), np.array([0.5, 0.0, 2.0]))  # in the camera's frame
HEAD = load_head('simulated')


def faces_at(stamp_ns: int) -> VisualFeatures:
    """Two people who sit still."""
    faces = []
    for place in PLACES:
        center, size = HEAD.camera.project(place), 450 * 0.16 / place[2]
        faces.append(
            Face(
                np.array([*(center - size / 2), size, size]),
                0.99,
                np.tile(center, (5, 1)),
                place,
                np.diag([1e-4, 1e-4, 4e-4]),
                np.zeros(0),
            )
        )
    return visual_features_to_msg(Features(stamp_ns, tuple(faces)), HEAD.camera.frame)


class Faces:
    """Publishes the features of image after image. Stamps are counted, not taken from a clock.

    So a machine that lets this process wait shows the tracker no gap.
    """

    def __init__(self, observer):
        self.stamp_ns = observer.now_ns()
        node = observer.node
        self._publisher = node.create_publisher(VisualFeatures, 'visual_features', qos.FEATURES)
        node.create_timer(1e-9 * PERIOD_NS, self._publish)

    def _publish(self) -> None:
        self.stamp_ns += PERIOD_NS
        self._publisher.publish(faces_at(self.stamp_ns))


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """(observer, runner, faces) of the graph behind the features."""
    domain = free_domain()
    selection = Selection(
        microphones='others', camera='others', given=frozenset({'visual_features'})
    )
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain)}
    with (
        GraphObserver(domain_id=domain) as observer,
        GraphRunner(
            tuple(replace(node, niceness=0) for node in nodes_for(HEAD, selection)),
            {'head': 'simulated'},
            log_folder=tmp_path_factory.mktemp('logs'),
            environment=environment,
        ) as runner,
    ):
        faces = Faces(observer)
        for name in runner.processes:
            assert is_active(observer, name), name
        yield observer, runner, faces


def is_active(observer, name: str) -> bool:
    """Whether a node becomes active."""
    deadline = time.monotonic() + PATIENCE_S
    return observer.wait_for_state(name, State.PRIMARY_STATE_ACTIVE, deadline)


def ids_after(observer, moment_ns: int) -> set[int]:
    """The ids of the active people of the first frame with both after a moment."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for stamp, frame in sorted(observer.tracks.copy().items()):
            ids = {t.id for t in frame.tracks if t.seen}
            if stamp > moment_ns and len(ids) == len(PLACES) and stamp in observer.speaking:
                return ids
        time.sleep(0.05)
    return set()


@pytest.mark.parametrize('name', ['speaking_status', 'audio_features', 'visualizer', 'tracker'])
def test_who_is_killed_comes_back_and_the_others_go_on(graph, name):
    observer, runner, faces = graph
    before = ids_after(observer, faces.stamp_ns)
    others = {n: p.pid for n, p in runner.processes.items() if n != name}
    assert len(before) == 2
    os.kill(runner.processes[name].pid, signal.SIGKILL)
    runner.processes[name].wait(timeout=PATIENCE_S)
    if name != 'tracker':
        moment = faces.stamp_ns
        assert wait_for(lambda: max(observer.tracks) > moment), 'the tracker goes on'
    assert runner.revive() == [], 'not at once: a node that fails at start must not spin'
    assert wait_for(lambda: runner.revive() == [name])
    assert is_active(observer, name)
    after = ids_after(observer, faces.stamp_ns)
    assert len(after) == 2 and (name == 'tracker' or after == before)
    assert {n: p.pid for n, p in runner.processes.items() if n != name} == others
    assert not runner.failed()


def test_up_in_one_process_makes_again_the_node_that_ended(tmp_path):
    """Regression: up in one process did not hand --respawn on: the others went on alone."""
    write_recording(tmp_path / 'two_channels')  # which the head's four microphones cannot play
    command = [
        sys.executable,
        '-m',
        'av_perception.cli.main',
        'up',
        'simulated',
        '--respawn',
        '--camera',
        'none',
        '--source',
        'file',
        '--recording',
        str(tmp_path / 'two_channels'),
    ]
    log = tmp_path / 'log'
    with open(log, 'w') as file:
        up = subprocess.Popen(
            command,
            env={**os.environ, 'ROS_DOMAIN_ID': str(free_domain())},
            stdout=file,
            stderr=file,
        )
    try:
        assert wait_for(lambda: log.read_text().count('[microphone_array]: ') >= 3), (
            log.read_text()
        )
        up.send_signal(signal.SIGINT)
        assert up.wait(PATIENCE_S) == 0
    finally:
        up.kill()
    text = log.read_text()
    assert text.count('[tracker]: ready') == 1 and 'was started again' not in text, text
