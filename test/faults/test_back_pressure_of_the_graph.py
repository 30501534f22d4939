# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Eyes that stand still beside ears that go on, counted in images: no clock decides.

Each stage of images drops the oldest, no stage drops sound, and what was full recovers by itself.
"""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioChunk, AudioFeatures, TrackArray
from diagnostic_msgs.msg import DiagnosticArray
from ros_bench import Rig
from sensor_msgs.msg import Image
from tracking_scenes import face_at

from av_perception.interfaces import AudioChunk as Chunk
from av_perception.interfaces import VisualFeatures
from av_perception.nodes import visual_features
from av_perception.nodes.audio_features import AudioFeaturesNode
from av_perception.nodes.tracker import TrackerNode
from av_perception.nodes.visual_features import LONGEST_QUEUE, QUEUE_BEHIND, VisualFeaturesNode
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_to_msg, image_to_msg, ns_from_time
from av_perception.ros.local_topics import LocalTopics

pytestmark = pytest.mark.slow
HEAD = load_head('simulated')
RATE, SIZE = 16000, 320
PERIOD_NS = 40_000_000
START_NS = 10**12
PLACE = np.array([1.5, 0.2, 0.1])
PIXELS = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
TOPICS = ('audio', 'left/image_raw', 'right/image_raw')


class GatedEyes:
    """A front end that sees one person in each image that it is allowed to look at."""

    embedding_size = 0
    calibration_problems = ()
    counters = dict.fromkeys(visual_features.COUNTED, 0)

    def __init__(self, *arguments, **options):
        self.allowed = threading.Semaphore(0)
        self.seen = []  # stamps

    def warm_up(self):
        """Nothing to warm up."""

    def process(self, stamp_ns, left, right, hurry=False):
        self.allowed.acquire()
        self.seen.append(stamp_ns)
        return VisualFeatures(stamp_ns, (face_at(PLACE, np.random.default_rng(stamp_ns % 97)),))


class Graph(Rig):
    """Eyes, ears and tracker in one process, handing their messages over as the suite does."""

    def __init__(self, context):
        local = LocalTopics()
        self.eyes, self.ears, self.tracker = (
            kind(context=context, local_topics=local)
            for kind in (VisualFeaturesNode, AudioFeaturesNode, TrackerNode)
        )
        self.client = rclpy.create_node('sensors', context=context)
        super().__init__(self.eyes, self.ears, self.tracker, self.client)
        self.features, self.tracks, self.statuses = [], [], []
        for kind, topic, heard in (
            (AudioFeatures, 'audio_features', self.features),
            (TrackArray, 'tracks', self.tracks),
        ):
            self.client.create_subscription(kind, topic, heard.append, qos.FEATURES)
        self.client.create_subscription(
            DiagnosticArray, '/diagnostics', lambda m: self.statuses.extend(m.status), 20
        )
        self._publishers = {
            topic: self.client.create_publisher(
                AudioChunk if topic == 'audio' else Image, topic, qos.FEATURES
            )
            for topic in TOPICS
        }
        self.num_chunks = 0
        for node in (self.eyes, self.ears, self.tracker):
            assert node.start()
        assert self.until(lambda: all(p.get_subscription_count() for p in self.publishers))

    @property
    def publishers(self):
        return self._publishers.values()

    def show(self, number):
        """Send the image pair of a number and the sound around it; wait until both were taken."""
        random = np.random.default_rng(number)
        for _ in range(2):
            samples = random.normal(0, 0.01, (SIZE, 4)).astype(np.float32)
            stamp_ns = START_NS + round(1e9 * self.num_chunks * SIZE / RATE)
            chunk = Chunk(stamp_ns, RATE, self.num_chunks * SIZE, samples)
            self._publishers['audio'].publish(audio_chunk_to_msg(chunk, 'microphone_array'))
            self.num_chunks += 1
            assert self.until(lambda: self._taken(self.ears, '/audio') == self.num_chunks)
            assert self.until(lambda: self._taken(self.tracker, '/audio') == self.num_chunks)
        for topic in TOPICS[1:]:
            before = self._taken(self.eyes, f'/{topic}')
            image = image_to_msg(PIXELS, START_NS + number * PERIOD_NS, 'left_camera_optical')
            self._publishers[topic].publish(image)
            assert self.until(lambda t=topic, b=before: self._taken(self.eyes, f'/{t}') == b + 1)

    def _taken(self, node, topic):
        return next(m.count for m in node.diagnostics.monitors if m.topic == topic)

    def counted(self, node, part):
        """Total of a node's counters whose name contains a text."""
        counters = dict(node.diagnostics.counters)
        return sum(number for event, number in counters.items() if part in event)

    def tracked(self):
        """(stamp, ids) of all frames."""
        return {ns_from_time(m.header.stamp): [t.id for t in m.tracks] for m in self.tracks.copy()}


@pytest.fixture()
def graph(ros_context, monkeypatch):
    """Eyes that stand still, ears and tracker."""
    monkeypatch.setattr(visual_features, 'VisualFrontEnd', GatedEyes)
    made = Graph(ros_context)
    yield made
    made.eyes._front_end.allowed.release(10_000)
    made.close()


def stamp(number):
    return START_NS + number * PERIOD_NS


def test_eyes_that_stand_still_lose_the_oldest_images_and_no_sound(graph):
    """And say so; what is seen when they go on is the newest, by the same person's id."""
    allowed = graph.eyes._front_end.allowed
    for number in range(20):  # all is well, and somebody is known
        allowed.release()
        graph.show(number)
        assert graph.until(lambda n=number: stamp(n) in graph.tracked())
    (known,) = graph.tracked()[stamp(19)]
    stood = 2 * (LONGEST_QUEUE + 2)
    for number in range(20, 20 + stood):
        graph.show(number)
    blocks = graph.num_chunks * SIZE * 1000 // RATE // 40
    assert graph.until(lambda: len(graph.features) >= blocks - 3), 'the ears went on'
    for node in (graph.ears, graph.tracker):
        assert graph.counted(node, '/audio') == graph.counted(node, 'gaps') == 0
    dropped = graph.counted(graph.eyes, 'too slow for the camera')
    assert LONGEST_QUEUE <= dropped < stood
    assert graph.until(
        lambda: any('too slow for the camera' in status.message for status in graph.statuses)
    ), 'it is said'
    allowed.release(stood)  # what waits, and no more
    last = 20 + stood - 1
    assert graph.until(lambda: stamp(last) in graph.tracked()), 'the newest image was not lost'
    for number in range(last + 1, last + 11):
        allowed.release()
        graph.show(number)
        assert graph.until(lambda n=number: stamp(n) in graph.tracked()), 'each is seen again'
    assert graph.tracked()[stamp(last + 10)] == [known]
    assert graph.counted(graph.eyes, 'too slow for the camera') == dropped, 'no more are lost'


def test_people_are_tracked_by_eyes_at_half_the_pace_of_the_camera(graph):
    """Regression: eleven images in a row were left out, again and again."""
    eyes = graph.eyes._front_end
    for number in range(20):  # all is well, and somebody is known
        eyes.allowed.release()
        graph.show(number)
        assert graph.until(lambda n=number: stamp(n) in graph.tracked())
    (known,) = graph.tracked()[stamp(19)]
    behind = []
    for number in range(20, 100):
        graph.show(number)
        if number % 2:
            count = len(eyes.seen)
            eyes.allowed.release()
            assert graph.until(lambda c=count: len(eyes.seen) == c + 1)
            behind.append(number - (eyes.seen[-1] - START_NS) // PERIOD_NS)
    eyes.allowed.release(100)
    assert graph.until(lambda: stamp(99) in graph.tracked()), 'the newest image is not lost'
    tracked = graph.tracked()
    assert graph.until(lambda: set(eyes.seen) <= set(tracked)), 'what was seen was tracked'
    since = [one for one in eyes.seen if one >= stamp(19)]
    assert {tuple(tracked[one]) for one in since} == {(known,)}, 'by one id, all the time'
    gaps = np.diff(eyes.seen) // PERIOD_NS
    assert gaps.max() <= 8 and (gaps > 4).sum() <= 1, 'once, when they fell behind'
    assert max(behind[-25:]) <= 2 * (QUEUE_BEHIND + 1), 'images behind the newest'
    dropped = graph.counted(graph.eyes, 'too slow for the camera')
    assert dropped == 100 - len(eyes.seen) and 0 < dropped <= 45
    for node in (graph.ears, graph.tracker):
        assert graph.counted(node, '/audio') == graph.counted(node, 'gaps') == 0
