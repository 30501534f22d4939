# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Over DDS: nodes that listen, stopped and gone on with, and fed with a part of the sound."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import numpy as np
import pytest
from av_perception_msgs.msg import AudioChunk, AudioFeatures
from dds_domains import free_domain
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from waiting import wait_for

from av_perception.interfaces import AudioChunk as Chunk
from av_perception.nodes.audio_features import AudioFeaturesNode
from av_perception.nodes.av_events import AvEventsNode
from av_perception.nodes.face_itd_fusion import FaceItdFusionNode
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.backlog import num_outdated
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.conversions import audio_chunk_to_msg, ns_from_time
from av_perception.ros.observer import GraphObserver

PATIENCE_S = 300.0
until = partial(wait_for, pause_s=0.002)  # at the pace of sound that is played fast
AHEAD_NS = 400_000_000  # less than what audio_features takes for a backlog
HEAD = load_head('simulated')
RATE = HEAD.microphones.sample_rate
CHANNELS = len(HEAD.microphones.coordinates)
SIZE = 512
CHUNK_NS = SIZE * 10**9 // RATE
SECOND_NS = 10**9
STOPPED_S = 3.0
SOUND = (0.1 * np.random.default_rng(0).standard_normal((SIZE, CHANNELS))).astype(np.float32)


def message(number: int, start_ns: int, first_sample: int) -> AudioChunk:
    return audio_chunk_to_msg(
        Chunk(start_ns + number * CHUNK_NS, RATE, first_sample, SOUND), HEAD.microphones.frame
    )


class Driver:
    """Publishes chunk after chunk of a sound card, and hears what comes of it.

    The stamps are counted, and a chunk waits until the sound of AHEAD_NS before it has become
    features: a machine that lets either side wait changes nothing.
    """

    def __init__(self, observer):
        self.index_of = lambda number: number * SIZE
        self.is_lost = lambda number: False
        self.stamps: list[int] = []
        self.statuses: list = []
        self._start_ns = observer.now_ns()
        self._number = 0
        node = observer.node
        self._publisher = node.create_publisher(AudioChunk, 'audio', qos.audio(1e-9 * CHUNK_NS))
        node.create_subscription(AudioFeatures, 'audio_features', self._on_features, qos.FEATURES)
        node.create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: self.statuses.extend(m.status), 20
        )

    @property
    def now_ns(self) -> int:
        """The end of the sound so far."""
        return self._start_ns + self._number * CHUNK_NS

    def advance(self, duration_s: float) -> None:
        """Publish sound of a duration, in step with the node that listens."""
        end_ns = self.now_ns + round(1e9 * duration_s)
        while self.now_ns < end_ns:
            needed_ns = self.now_ns - AHEAD_NS
            assert until(lambda needed_ns=needed_ns: max(self.stamps.copy()) >= needed_ns)
            self._publish()

    def advance_alone(self, duration_s: float) -> None:
        """Publish sound of a duration at its pace or slower, whoever listens."""
        end_ns = self.now_ns + round(1e9 * duration_s)
        while self.now_ns < end_ns:
            self._publish()
            time.sleep(1e-9 * CHUNK_NS)

    def after(self, moment_ns: int) -> list[int]:
        """The stamps of the features of sound captured after a moment."""
        return [stamp for stamp in self.stamps.copy() if stamp > moment_ns]

    def _on_features(self, features: AudioFeatures) -> None:
        self.stamps.append(ns_from_time(features.header.stamp))

    def _publish(self) -> None:
        if not self.is_lost(self._number):
            index = self.index_of(self._number)
            self._publisher.publish(message(self._number, self._start_ns, index))
        self._number += 1


@pytest.fixture(scope='module')
def live(tmp_path_factory):
    """(driver, process id) of audio_features alone in a process of its own."""
    nodes = tuple(
        n
        for n in nodes_for(HEAD, Selection(microphones='others', camera='others'))
        if n.name == 'audio_features'
    )
    domain = free_domain()
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(domain)}
    with (
        GraphObserver(domain_id=domain) as observer,
        GraphRunner(
            nodes,
            {'head': 'simulated'},
            log_folder=tmp_path_factory.mktemp('logs'),
            environment=environment,
        ) as runner,
    ):
        assert observer.wait_for_state(
            'audio_features', State.PRIMARY_STATE_ACTIVE, time.monotonic() + PATIENCE_S
        )
        driver = Driver(observer)
        deadline = time.monotonic() + PATIENCE_S
        while not (driver.stamps and is_running(observer)) and time.monotonic() < deadline:
            driver.advance_alone(0.1)
        yield driver, observer, runner.processes['audio_features'].pid


def is_running(observer) -> bool:
    """Whether audio_features has said so: what holds it up before does not count."""
    said = observer.diagnostics.get('audio_features', {})
    return said.get('message', '').startswith('running')


def counted(observer, part: str) -> int:
    """Sum of the counters of audio_features whose name contains a text, by its diagnostics."""
    values = observer.diagnostics.get('audio_features', {})
    return sum(int(number) for name, number in values.items() if part in name and number.isdigit())


@pytest.mark.slow
@pytest.mark.parametrize(
    'index_of', [lambda number: number * SIZE, lambda number: 0], ids=['counted', 'left at 0']
)
def test_audio_features_stopped_for_three_seconds_hears_again(live, index_of):
    """Regression: deaf for ever, and the publisher was said to be silent."""
    driver, observer, pid = live
    driver.index_of = index_of
    driver.advance(1.0)
    left_out = counted(observer, 'left out')
    held_up = counted(observer, 'held up')
    stop_ns = driver.now_ns
    os.kill(pid, signal.SIGSTOP)
    driver.advance_alone(STOPPED_S)
    num_said = len(driver.statuses)
    cont_ns = driver.now_ns
    os.kill(pid, signal.SIGCONT)
    driver.advance(3.0)
    assert min(driver.after(cont_ns)) - cont_ns < SECOND_NS // 10
    assert len(driver.after(cont_ns + SECOND_NS)) > 37, 'of 50 blocks; the last are on their way'
    stale = [s for s in driver.after(stop_ns + SECOND_NS // 2) if s < cont_ns - SECOND_NS]
    assert len(stale) < 20, 'of the 37 blocks that could have been made of old sound'
    assert until(lambda: counted(observer, 'left out') > left_out + 20)
    assert until(lambda: counted(observer, 'held up') > held_up)
    reasons = observer.diagnostics['audio_features']
    assert 'this node was stopped' in reasons['last reason of messages left out from /audio']
    first_said = next(s for s in driver.statuses[num_said:] if 'audio_features' in s.name)
    assert 'silent' not in first_said.message


@pytest.mark.slow
@pytest.mark.parametrize('one_in', [10, 2])
def test_features_keep_coming_while_the_network_loses_chunks(live, one_in):
    driver, observer, _ = live
    driver.index_of = lambda number: number * SIZE
    driver.advance(1.0)
    gaps = counted(observer, 'gaps in the sound')
    start_ns = driver.now_ns
    driver.is_lost = lambda number: number % one_in == 0
    driver.advance(3.0)
    driver.is_lost = lambda number: False
    driver.advance(1.0)
    during = [s for s in driver.after(start_ns) if s < start_ns + 3 * SECOND_NS]
    assert len(during) > 0.9 * (1 - 1 / one_in) * 75
    assert until(lambda: counted(observer, 'gaps in the sound') > gaps + 5)


@pytest.mark.slow
def test_an_index_left_at_zero_is_named_in_the_diagnostics(live):
    driver, observer, _ = live
    driver.index_of = lambda number: 0
    driver.advance(1.0)
    assert until(lambda: counted(observer, 'sound: first sample does not count samples') > 10)


@pytest.mark.slow
@pytest.mark.parametrize('node_type', [AudioFeaturesNode, FaceItdFusionNode, AvEventsNode])
def test_who_publishes_a_wrong_index_is_said(bench, node_type):  # noqa: F811
    listener = bench(
        node_type, {'audio': AudioChunk}, ('audio_features', AudioFeatures), head='simulated'
    )
    said = []
    listener.client.create_subscription(
        DiagnosticArray, '/diagnostics', lambda m: said.extend(m.status), 20
    )
    start_ns = listener.node.get_clock().now().nanoseconds
    listener.send('audio', *(message(number, start_ns, 0) for number in range(5)))
    assert listener.until(lambda: listener.counted('does not count samples') == 4)
    key = 'last reason of sound: first sample does not count samples'
    assert listener.until(
        lambda: any(
            value.key == key and value.value == 'stamps are used; published by bench'
            for status in said
            for value in status.values
        )
    )


@pytest.mark.parametrize('node_type', [AudioFeaturesNode, FaceItdFusionNode, AvEventsNode])
def test_a_bag_played_fast_loses_no_sound(bench, node_type):  # noqa: F811
    """1.9 s of sound wait in the queue, all of it sent at one moment."""
    listener = bench(
        node_type, {'audio': AudioChunk}, ('audio_features', AudioFeatures), head='simulated'
    )
    start_ns = listener.node.get_clock().now().nanoseconds
    for number in range(60):
        listener.publishers['audio'].publish(message(number, start_ns, number * SIZE))
    (monitor,) = (m for m in listener.node.diagnostics.monitors if m.topic == '/audio')
    assert listener.until(lambda: monitor.count == 60)
    assert listener.counted('left out') == listener.counted('gaps') == 0


@pytest.mark.slow
def test_a_backlog_is_what_both_stamps_and_times_of_sending_say():
    second = np.arange(0, 10**10, 10**8)  # of 10 s, a message each tenth
    assert num_outdated(second, second, 0.5) == 94
    assert num_outdated(second, second // 10, 0.5) == 49, 'ten times as fast'
    assert num_outdated(second // 10, second, 0.5) == 49, 'at a tenth of the pace'
    assert num_outdated(second // 100, second, 0.5) == 0
    assert num_outdated(second, second // 100, 0.5) == 0
    assert num_outdated(np.zeros(100, int), second, 0.5) == 0, 'a driver without stamps'
    assert num_outdated(second[::-1], second, 0.5) == 0, 'a clock set back'
    assert num_outdated(second[:1], second[:1], 0.5) == 0
