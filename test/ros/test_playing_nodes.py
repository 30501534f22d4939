# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Microphones, cameras and truth that play a recording: everything once, in order, in its time."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioChunk, TruthArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from av_perception.nodes.microphone_array import MicrophoneArrayNode
from av_perception.nodes.stereo_camera import StereoCameraNode
from av_perception.nodes.truth import TruthNode
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns
from av_perception.ros.conversions import image_from_msg, ns_from_time, time_from_ns
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow
ORIGIN_NS = 1_000_000_000_000
STEP_NS = 200_000_000
PATIENCE_S = 300.0
CHUNK_MS = 32.0


class Player:
    """A playing node on simulated time, and an ear on what it publishes, by topic."""

    def __init__(self, context, node_type, topics, **parameters):
        self.recording = simulated_recording('short')
        values = {
            'source': 'file',
            'recording': str(self.recording.folder),
            'start_time': 1e-9 * ORIGIN_NS,
            'use_sim_time': True,
            **parameters,
        }
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.node = node_type(context=context, parameter_overrides=overrides)
        self.client = rclpy.create_node('listener', context=context)
        self.heard = {topic: [] for topic in topics}
        for topic, kind in topics.items():
            deep = QoSProfile(depth=100)
            self.client.create_subscription(kind, topic, self.heard[topic].append, deep)
        self.clock = self.client.create_publisher(Clock, '/clock', 10)
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.client):
            self.executor.add_node(node)
        self.told_ns = 0

    def play(self, due_ns: list[int]) -> None:
        """Let the clock go on, to the end, once all that is due is there."""
        self.until(lambda: self.node.get_clock().now().nanoseconds > 0, ORIGIN_NS - STEP_NS)
        assert self.node.start()
        self.until(lambda: all(self.listened_to(topic) for topic in self.heard), self.told_ns)
        for now_ns in range(ORIGIN_NS, max(due_ns) + STEP_NS, STEP_NS):
            expected = sum(due <= now_ns for due in due_ns)
            self.until(lambda expected=expected: self.fewest() >= expected, now_ns)
            assert self.most() == expected, 'nothing before its time, nothing twice'

    def listened_to(self, topic) -> bool:
        (publisher,) = (p for p in self.node.publishers if p.topic_name == f'/{topic}')
        return publisher.get_subscription_count() > 0

    def fewest(self) -> int:
        return min(map(len, self.heard.values()))

    def most(self) -> int:
        return max(map(len, self.heard.values()))

    def until(self, condition, now_ns: int) -> None:
        self.told_ns = now_ns
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, {t: len(m) for t, m in self.heard.items()}
            self.clock.publish(Clock(clock=time_from_ns(now_ns)))
            self.executor.spin_once(timeout_sec=0.02)

    def stamps(self, topic) -> list[int]:
        return [ns_from_time(message.header.stamp) for message in self.heard[topic]]

    def close(self):
        self.node.trigger_deactivate()
        for node in (self.node, self.client):
            node.destroy_node()


@pytest.fixture()
def player(ros_context):
    made = []

    def make(*arguments, **parameters):
        made.append(Player(ros_context, *arguments, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_microphones_publish_every_sample_once_when_its_chunk_is_complete(player):
    playing = player(MicrophoneArrayNode, {'audio': AudioChunk}, chunk_ms=CHUNK_MS)
    recording = playing.recording
    size = round(1e-3 * CHUNK_MS * recording.sample_rate)
    firsts = range(0, recording.num_samples, size)
    ends = [min(first + size, recording.num_samples) for first in firsts]
    playing.play([ORIGIN_NS + sample_stamp_ns(recording, end) for end in ends])
    chunks = playing.heard['audio']
    assert [chunk.first_sample for chunk in chunks] == list(firsts)
    assert playing.stamps('audio') == [ORIGIN_NS + sample_stamp_ns(recording, k) for k in firsts]
    samples = np.concatenate([np.asarray(chunk.samples, np.float32) for chunk in chunks])
    expected = recording.read_audio(0, recording.num_samples)
    np.testing.assert_array_equal(samples, expected.ravel())


def test_cameras_publish_every_pair_once_with_one_stamp_and_its_calibration(player):
    sides = ('left', 'right')
    topics = {f'{side}/image_raw': Image for side in sides}
    topics |= {f'{side}/camera_info': CameraInfo for side in sides}
    playing = player(StereoCameraNode, topics)
    recording = playing.recording
    due_ns = [ORIGIN_NS + image_stamp_ns(recording, k) for k in range(recording.num_frames)]
    playing.play(due_ns)
    for topic in topics:
        assert playing.stamps(topic) == due_ns
    for index, _, *pair in recording.images():
        for side, image in zip(sides, pair):
            published = image_from_msg(playing.heard[f'{side}/image_raw'][index])
            np.testing.assert_array_equal(published, image)


def test_the_truth_is_published_moment_by_moment(player):
    playing = player(TruthNode, {'truth': TruthArray})
    truth = playing.recording.truth
    moments = np.unique(truth.time_s)
    due_ns = [ORIGIN_NS + round(1e9 * moment) for moment in moments]
    playing.play(due_ns)
    assert playing.stamps('truth') == due_ns
    people = [person for message in playing.heard['truth'] for person in message.people]
    order = np.argsort(truth.time_s, kind='stable')
    assert [person.id for person in people] == truth.id[order].tolist()
    positions = [[p.position.x, p.position.y, p.position.z] for p in people]
    np.testing.assert_array_equal(positions, truth.position[order])
    assert [person.speaking for person in people] == truth.speaking[order].tolist()
