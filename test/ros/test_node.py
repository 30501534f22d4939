# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The base of every node, the threads and the stand-ins, against real rclpy and DDS."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from av_perception_msgs.msg import TrackArray
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from ros_bench import PATIENCE_S, Rig
from waiting import wait_for

from av_perception.errors import UserError
from av_perception.ros import qos
from av_perception.ros.conversions import header
from av_perception.ros.node import PerceptionNode
from av_perception.ros.parameters import Parameter
from av_perception.ros.worker import Pacer, Worker


class ToyNode(PerceptionNode):
    """Repeats tracks; refuses those without voice; fails to configure when told to."""

    NAME = 'toy'
    PARAMETERS = (
        Parameter('gain', 0.5, 'A number.', 0.0, 1.0),
        Parameter('mode', 'good', 'A word.', choices=('good', 'bad')),
        Parameter('volume', 1, 'Changes at any time.', 0, 10, live=True),
    )

    def configure(self):
        if self.value('mode') == 'bad':
            raise UserError('the mode is bad: choose good')
        self.repeated = self.publisher(TrackArray, 'repeated', qos.FEATURES)

    def activate(self):
        self.subscribe(TrackArray, 'tracks', self._repeat, qos.FEATURES, timeout_s=0.3)

    def _repeat(self, message):
        if not message.voice_active:
            raise ValueError('no voice')
        self.repeated.publish(message)


@pytest.fixture()
def spin(ros_context):
    """Makes nodes in one context and spins all of them until a condition holds."""
    rig = Rig(plain_node('first', context=ros_context))

    def make(kind, *arguments, **options):
        return rig.add(kind(*arguments, context=ros_context, **options))

    yield make, rig.until
    for node in rig.nodes:
        node.destroy_node()


def plain_node(name, **options):
    import rclpy

    return rclpy.create_node(name, **options)


def test_messages_flow_only_while_active_and_refused_ones_are_counted(spin):
    make, until = spin
    toy, client = make(ToyNode), make(plain_node, 'client')
    heard = []
    client.create_subscription(TrackArray, 'repeated', heard.append, qos.FEATURES)
    publisher = client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
    assert toy.start()
    assert until(
        lambda: (
            publisher.get_subscription_count() == 1 and toy.repeated.get_subscription_count() == 1
        )
    )
    publisher.publish(TrackArray(voice_active=False))
    publisher.publish(TrackArray(header=header(5_000_000_007, 'base'), voice_active=True))
    assert until(lambda: heard)
    assert heard[0].header == header(5_000_000_007, 'base'), "the stamp is the input's"
    assert toy.diagnostics.counters['messages dropped from /tracks'] == 1
    assert toy.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert until(lambda: publisher.get_subscription_count() == 0), (
        'an inactive node listens to nothing'
    )
    assert toy.trigger_activate() == TransitionCallbackReturn.SUCCESS


@pytest.mark.slow
def test_diagnostics_name_the_missing_input(spin):
    make, until = spin
    toy, client = make(ToyNode, namespace='robot'), make(plain_node, 'client')
    statuses = []
    client.create_subscription(
        DiagnosticArray, '/diagnostics', lambda m: statuses.extend(m.status), 10
    )
    assert toy.start()
    assert until(
        lambda: any(
            'no message on /robot/tracks' in s.message and s.level == DiagnosticStatus.ERROR
            for s in statuses
        )
    )


def test_a_failed_configuration_says_why_in_one_line(spin):
    make, _ = spin
    toy = make(ToyNode, parameter_overrides=[RosParameter('mode', value='bad')])
    assert not toy.start()
    assert toy.refusal == 'the mode is bad: choose good'
    assert toy.failure is None, 'a life-cycle manager may try again'
    toy.set_parameters([RosParameter('mode', value='good')])
    assert toy.start()


@pytest.mark.parametrize('name, value', [('gain', 2.0), ('gain', 'loud'), ('mode', 'ugly')])
def test_a_parameter_out_of_range_stops_the_node_with_a_clear_line(ros_context, name, value):
    with pytest.raises(UserError, match=name):
        ToyNode(context=ros_context, parameter_overrides=[RosParameter(name, value=value)])


def test_parameters_are_validated_on_change(spin):
    make, _ = spin
    toy = make(ToyNode)
    assert toy.start()
    assert not toy.set_parameters([RosParameter('mode', value='ugly')])[0].successful
    assert not toy.set_parameters([RosParameter('gain', value=0.7)])[0].successful, (
        'takes effect at configure only'
    )
    assert toy.set_parameters([RosParameter('volume', value=3)])[0].successful
    assert not toy.set_parameters([RosParameter('volume', value=30)])[0].successful


def test_thresholds_of_speaking_are_tuned_live_and_only_together(spin):
    from av_perception.nodes.speaking_status import SpeakingStatusNode

    make, _ = spin
    node = make(SpeakingStatusNode)
    assert node.start()
    refused = node.set_parameters_atomically([RosParameter('off_threshold', value=0.9)])
    assert (
        not refused.successful
        and 'do not fit together' in refused.reason
        and node.value('off_threshold') == 0.4
    )
    assert node.set_parameters_atomically(
        [RosParameter('off_threshold', value=0.8), RosParameter('on_threshold', value=0.9)]
    ).successful
    for method in (node._estimator._filter, node._estimator._joint):
        assert (method.config.on, method.config.off) == (0.9, 0.8)


def test_the_table_of_parameters_is_up_to_date():
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    sys.path.insert(0, str(root / 'tools'))
    from parameter_table import table

    assert (root / 'docs' / 'parameters.md').read_text(encoding='utf-8') == table(), (
        'make parameters'
    )


def test_every_parameter_of_every_node_is_described():
    from importlib import import_module

    from av_perception.ros.bringup.graph import NODES

    for description in NODES:
        module = import_module(description.module)
        node = next(
            v
            for v in vars(module).values()
            if isinstance(v, type) and issubclass(v, PerceptionNode) and v.NAME
        )
        assert node.NAME == description.name
        names = [p.name for p in node.PARAMETERS]
        assert len(names) == len(set(names))
        assert set(description.arguments) <= set(names)
        for parameter in node.PARAMETERS:
            assert len(parameter.description) > 10
            if parameter.minimum is not None:
                assert parameter.minimum <= parameter.default <= parameter.maximum


def test_a_slow_worker_drops_the_oldest_and_survives_errors():
    is_at_work = threading.Event()
    gate = threading.Event()
    done, drops, errors = [], [], []

    def work(item):
        is_at_work.set()
        gate.wait(PATIENCE_S)
        if item == 'bad':
            raise ValueError(item)
        done.append(item)

    worker = Worker(work, lambda: drops.append(1), errors.append, depth=2)
    worker.put('first')
    assert is_at_work.wait(PATIENCE_S)
    for item in ('dropped', 'bad', 'last'):
        worker.put(item)
    gate.set()
    assert wait_for(lambda: 'last' in done)
    worker.stop()
    assert done == ['first', 'last'] and len(drops) == 1 and len(errors) == 1


class GatedWork:
    """Work that is allowed item by item; what was done, and what was dropped."""

    def __init__(self, **options):
        self.done, self.drops = [], []
        self._allowed = threading.Semaphore(0)
        self._begun = threading.Semaphore(0)
        self.worker = Worker(self._work, lambda: self.drops.append(1), print, **options)
        self.worker.put(0)
        assert self._begun.acquire(timeout=PATIENCE_S)

    def _work(self, item):
        self._begun.release()
        self._allowed.acquire()
        self.done.append(item)

    def finish_one(self):
        """Let the item in work be done, and the next one begin."""
        count = len(self.done)
        self._allowed.release()
        assert wait_for(lambda: len(self.done) == count + 1)

    def finish_all(self):
        while self.worker.num_waiting:
            self.finish_one()
            assert self._begun.acquire(timeout=PATIENCE_S)
        self.finish_one()
        self.worker.stop()


def test_a_worker_that_fell_behind_is_fresh_again_and_loses_no_burst_that_fits():
    """Regression: behind a slow detector every image was four images old when it was looked at."""
    work = GatedWork(depth=9, depth_behind=3)
    for item in range(1, 10):
        work.worker.put(item)
    assert not work.drops
    work.worker.put(10)
    assert work.worker.num_waiting == 3 and len(work.drops) == 7
    work.worker.put(11)
    work.finish_all()
    assert work.done == [0, 6, 10, 11], 'at equal distances, not all of one time'
    assert len(work.drops) == 8


@pytest.mark.slow
def test_a_worker_at_half_the_pace_leaves_out_single_items_and_is_never_far_behind():
    """Regression: eleven images in a row were left out, again and again: people were lost."""
    work = GatedWork(depth=10, depth_behind=3)
    behind = []
    for item in range(1, 121):
        work.worker.put(item)
        if item % 2 == 0:
            work.finish_one()
            assert work._begun.acquire(timeout=PATIENCE_S)
            behind.append(item - work.done[-1])
    work.finish_all()
    gaps = np.diff(work.done)
    assert gaps.max() <= 8 and (gaps > 4).sum() <= 1, 'once, when it fell behind'
    assert (gaps[20:] == 2).mean() > 0.9
    assert max(behind[15:]) <= 2 * (3 + 1), 'items behind the newest'
    assert len(work.done) + len(work.drops) == 121


def test_a_worker_that_keeps_pace_again_takes_a_burst_again():
    work = GatedWork(depth=4, depth_behind=1)
    for item in range(1, 6):
        work.worker.put(item)
    assert work.worker.num_waiting == 1
    work.finish_one()
    assert work._begun.acquire(timeout=PATIENCE_S)
    dropped = len(work.drops)
    for item in range(6, 10):  # each finds nobody waiting
        work.worker.put(item)
        work.finish_one()
        assert work._begun.acquire(timeout=PATIENCE_S)
    for item in range(10, 14):
        work.worker.put(item)
    assert work.worker.num_waiting == 4 and len(work.drops) == dropped
    work.finish_all()


def test_the_pacer_plays_in_order_at_its_time_and_reports_a_cut_file():
    played, ended, errors = [], threading.Event(), []

    def items():
        for k in range(3):
            yield start + 20_000_000 * k, lambda k=k: played.append((k, time.monotonic_ns()))
        raise OSError('cut')

    start = time.monotonic_ns()
    pacer = Pacer(items(), time.monotonic_ns, ended.set, lambda e: (errors.append(e), ended.set()))
    assert ended.wait(PATIENCE_S)
    pacer.stop()
    assert [k for k, _ in played] == [0, 1, 2]
    assert all(at >= start + 20_000_000 * k for k, at in played)
    assert str(errors[0]) == 'cut'


def test_a_player_that_starts_late_joins_in_progress():
    """Regression: rendering at start made the players rush through what was past."""
    played, ended = [], threading.Event()
    now_ns = 5_000_000_000
    items = [(100_000_000 * k, lambda k=k: played.append(k)) for k in range(51)]
    pacer = Pacer(iter(items), lambda: now_ns, ended.set, lambda error: ended.set())
    assert ended.wait(PATIENCE_S)
    pacer.stop()
    assert played == list(range(40, 51)), 'no more than a second of the past'


@pytest.mark.slow
@pytest.mark.parametrize(
    'module, parameters, message',
    [
        ('microphone_array', ['-p', 'source:=file'], "'recording' is empty"),
        ('microphone_array', ['-p', 'source:=radio'], 'must be one of device, file, simulated'),
        ('microphone_array', ['-p', 'head:=toaster'], 'toaster'),
        (
            'stereo_camera',
            ['-p', 'source:=file', '-p', 'recording:=/nowhere'],
            'there is no recording',
        ),
        ('stereo_camera', ['-p', 'head:=respeaker'], 'no camera'),
        ('stereo_camera', ['-p', "left:='77'"], "camera '77'"),
        ('visual_features', ['-p', 'detector_model:=/nowhere.onnx'], '/nowhere.onnx'),
        ('tracker', ['-p', 'acoustic_map:=/nowhere.npz'], '/nowhere.npz'),
    ],
)
def test_bad_input_gives_one_clear_line_and_a_non_zero_exit(module, parameters, message):
    command = [sys.executable, '-m', f'av_perception.nodes.{module}', '--ros-args', *parameters]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if message in line]
    assert result.returncode == 2 and len(lines) == 1, result.stdout + result.stderr
    assert 'Traceback' not in result.stderr
