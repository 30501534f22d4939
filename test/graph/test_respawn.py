# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A node that dies comes back, the others go on, and ids survive whatever dies but the tracker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from av_perception_msgs.msg import VisualFeatures
from lifecycle_msgs.msg import State

from av_perception.interfaces import Face
from av_perception.interfaces import VisualFeatures as Features
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.conversions import visual_features_to_msg
from av_perception.ros.observer import GraphObserver

DOMAIN = 1 + (os.getpid() + 7) % 99
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


@pytest.fixture(scope='module')
def graph(tmp_path_factory):
    """The graph behind the features, which a timer publishes 25 times a second; the observer that
    hears it.
    """
    selection = Selection(
        microphones='others', camera='others', given=frozenset({'visual_features'})
    )
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN)}
    with (
        GraphObserver(domain_id=DOMAIN) as observer,
        GraphRunner(
            nodes_for(HEAD, selection),
            {'head': 'simulated'},
            log_folder=tmp_path_factory.mktemp('logs'),
            environment=environment,
        ) as runner,
    ):
        publisher = observer.node.create_publisher(VisualFeatures, 'visual_features', qos.FEATURES)
        observer.node.create_timer(0.04, lambda: publisher.publish(faces_at(observer.now_ns())))
        for name in runner.processes:
            assert observer.wait_for_state(
                name, State.PRIMARY_STATE_ACTIVE, time.monotonic() + 60
            ), name
        yield observer, runner


def ids_after(observer, moment_ns: int, timeout_s: float = 30.0) -> set[int]:
    """The ids of the active people of the first frame with both after a moment."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for stamp, frame in sorted(observer.tracks.items()):
            ids = {t.id for t in frame.tracks if t.seen}
            if stamp > moment_ns and len(ids) == len(PLACES) and stamp in observer.speaking:
                return ids
        time.sleep(0.05)
    return set()


@pytest.mark.parametrize('name', ['speaking_status', 'audio_features', 'visualizer', 'tracker'])
def test_who_is_killed_comes_back_and_the_others_go_on(graph, name):
    observer, runner = graph
    before = ids_after(observer, observer.now_ns())
    others = {n: p.pid for n, p in runner.processes.items() if n != name}
    assert len(before) == 2
    os.kill(runner.processes[name].pid, signal.SIGKILL)
    runner.processes[name].wait(timeout=10)
    if name != 'tracker':
        moment = observer.now_ns()
        assert _until(lambda: max(observer.tracks) > moment), 'the tracker goes on'
    assert runner.revive() == [], 'not at once: a node that fails at start must not spin'
    assert _until(lambda: runner.revive() == [name])
    assert observer.wait_for_state(name, State.PRIMARY_STATE_ACTIVE, time.monotonic() + 60)
    after = ids_after(observer, observer.now_ns())
    assert len(after) == 2 and (name == 'tracker' or after == before)
    assert {
        n: p.pid for n, p in runner.processes.items() if n != name
    } == others and not runner.failed()


def test_up_in_one_process_makes_again_the_node_that_ended(tmp_path):
    """Regression: up --composed --respawn did not hand respawn on, and the other nodes went on
    without it.
    """
    command = [
        sys.executable,
        '-m',
        'av_perception.cli.main',
        'up',
        'simulated',
        '--composed',
        '--respawn',
        '--camera',
        'none',
        '--source',
        'file',
        '--recording',
        str(tmp_path / 'absent'),
    ]
    log = tmp_path / 'log'
    with open(log, 'w') as file:
        up = subprocess.Popen(
            command, env={**os.environ, 'ROS_DOMAIN_ID': str(DOMAIN + 1)}, stdout=file, stderr=file
        )
    try:
        assert _until(lambda: log.read_text().count('[microphone_array]: ') >= 3, 90.0), (
            log.read_text()
        )
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
    finally:
        up.kill()
    text = log.read_text()
    assert text.count('[tracker]: ready') == 1 and 'was started again' not in text, text


def _until(condition, timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return time.monotonic() < deadline
