# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images for other machines: JPEG beside raw, taken by who asks, and no more than arrive soon."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import VisualFeatures
from rclpy.context import Context
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from ros_bench import Rig
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from av_perception.nodes.stereo_camera import StereoCameraNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.ros import qos
from av_perception.ros.compressed_images import LEFT_OUT, RECEIVED, compressed_image_to_msg
from av_perception.ros.conversions import (
    image_from_compressed_msg,
    image_from_msg,
    ns_from_time,
)
from av_perception.simulation.cache import simulated_recording
from av_perception.synchronization.image_flow import ImageFlow, ImageFlowConfig

PERIOD_NS = 40_000_000
START_NS = 1_000_000_000


@pytest.fixture()
def context():
    context = Context()
    rclpy.init(context=context)
    yield context
    rclpy.try_shutdown(context=context)


class Camera(Rig):
    """A camera that publishes the first images of a scene when asked to, and who listens."""

    def __init__(self, context, **parameters):
        values = {'head': 'simulated', 'source': 'simulated', 'scene': 'short', **parameters}
        node = StereoCameraNode(
            context=context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.client = rclpy.create_node('listener', context=context)
        super().__init__(node, self.client)
        assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        node._compressed.listen()
        node.is_active = True
        images = simulated_recording('short').images()
        _, _, self.left, self.right = next(images)
        self.heard = []
        self._number = 0

    def listen(self, topic, kind):
        self.client.create_subscription(kind, topic, self.heard.append, qos.images_in(True))
        assert self.until(lambda: self.node.count_subscribers(topic))
        self.until_matched(topic)

    def publish(self):
        self._number += 1
        self.node._publish(START_NS + self._number * PERIOD_NS, self.left, self.right)

    def close(self):
        self.node._take_down()
        for node in self.nodes:
            node.destroy_node()


@pytest.fixture()
def camera(context):
    cameras = []

    def make(**parameters):
        cameras.append(Camera(context, **parameters))
        return cameras[-1]

    yield make
    for one in cameras:
        one.close()


@pytest.mark.slow
def test_who_listens_to_compressed_images_gets_what_the_camera_saw(camera):
    rig = camera()
    rig.listen('left/image_raw/compressed', CompressedImage)
    rig.listen('left/image_raw', Image)
    rig.publish()
    assert rig.until(lambda: len(rig.heard) == 2)
    compressed, raw = sorted(rig.heard, key=lambda m: isinstance(m, Image))
    assert compressed.header == raw.header and 'jpeg' in compressed.format
    before = image_from_msg(raw).astype(float)
    after = image_from_compressed_msg(compressed).astype(float)
    assert after.shape == before.shape
    error = np.mean((after - before) ** 2)
    assert 10 * np.log10(255**2 / error) > 32.0, 'dB'
    assert len(compressed.data) < 0.1 * len(raw.data)


def test_a_lower_quality_is_smaller_and_takes_effect_at_once(camera):
    rig = camera(jpeg_quality=95)
    rig.listen('left/image_raw/compressed', CompressedImage)
    for quality in (95, 30):
        rig.node.set_parameters([Parameter('jpeg_quality', value=quality)])
        rig.publish()
    assert rig.until(lambda: len(rig.heard) == 2)
    assert len(rig.heard[1].data) < 0.4 * len(rig.heard[0].data)


@pytest.mark.slow
def test_images_that_do_not_arrive_are_left_out_and_counted(camera):
    """A network that is down or slow must not fill up with old images, nor lose them silently."""
    rig = camera()
    # Timing must not decide: a busy machine takes long.
    rig.node._compressed._flow = ImageFlow(ImageFlowConfig(patience_s=1e6, silent_after_s=1e6))
    rig.listen('left/image_raw/compressed', CompressedImage)
    receipts = rig.client.create_publisher(Header, RECEIVED, qos.RECEIPTS)
    assert rig.until(lambda: rig.node.count_publishers('/' + RECEIVED))
    for _ in range(10):
        rig.publish()
    assert rig.until(lambda: rig.heard)
    rig.spin(0.3)
    assert len(rig.heard) == 1, 'one is under way, nobody says that it has come'
    assert rig.node.diagnostics.counters[LEFT_OUT] == 9
    confirmed = rig.heard[0].header
    assert rig.until(lambda: receipts.get_subscription_count())
    rig.deliver(receipts, confirmed)
    rig.publish()
    assert rig.until(lambda: len(rig.heard) == 2), 'the next one goes'


def test_who_looks_on_without_confirming_gets_everything(camera):
    rig = camera()
    rig.listen('left/image_raw/compressed', CompressedImage)
    for _ in range(5):
        rig.publish()
        rig.spin(0.05)
    assert rig.until(lambda: len(rig.heard) == 5)
    assert not rig.node.diagnostics.counters


@pytest.mark.slow
@pytest.mark.parametrize('compressed', [False, True])
def test_faces_are_found_either_way_and_only_compressed_images_are_confirmed(context, compressed):
    values = {'head': 'simulated', 'compressed': compressed, 'reliable_images': True}
    node = VisualFeaturesNode(
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    client = rclpy.create_node('camera', context=context)
    rig = Rig(node, client)
    found, received = [], []
    client.create_subscription(VisualFeatures, 'visual_features', found.append, qos.FEATURES)
    client.create_subscription(Header, RECEIVED, received.append, qos.RECEIPTS)
    suffix = '/compressed' if compressed else ''
    kind = CompressedImage if compressed else Image
    publishers = [
        client.create_publisher(kind, f'{side}/image_raw{suffix}', qos.IMAGES_OUT)
        for side in ('left', 'right')
    ]
    assert node.start()
    assert rig.until(lambda: all(p.get_subscription_count() for p in publishers))
    pair = next(simulated_recording('short').images())[2:]
    for publisher, image in zip(publishers, pair):
        message = compressed_image_to_msg(image, START_NS, 'camera', 90)
        if not compressed:
            from av_perception.ros.conversions import image_to_msg

            message = image_to_msg(image, START_NS, 'camera')
        publisher.publish(message)
    assert rig.until(lambda: found)
    assert len(found[0].faces) == 2
    assert rig.until(lambda: received or not compressed)
    rig.spin(0.3)
    stamps = [ns_from_time(word.stamp) for word in received]
    assert stamps == ([START_NS] if compressed else [])
    rig.close()


def test_a_format_with_a_line_break_is_told_in_one_line():
    """Regression: what a message held was quoted as it was, line breaks and all."""
    with pytest.raises(ValueError) as told:
        image_from_compressed_msg(CompressedImage(format='jpeg\nERROR', data=[]))
    assert '\n' not in str(told.value) and 'jpeg' in str(told.value)
