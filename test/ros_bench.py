"""A node under test on real DDS, for the tests of nodes."""

from __future__ import annotations

import time

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from av_perception.ros import qos
from av_perception.ros.conversions import image_to_msg


class Bench:
    """One node under test with a publisher for every input and an ear on its output."""

    def __init__(self, context, node_type, inputs, output, **parameters):
        self.node = node_type(context=context, parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()])
        self.client = rclpy.create_node('bench', context=context)
        self.executor = SingleThreadedExecutor(context=context)
        for node in (self.node, self.client):
            self.executor.add_node(node)
        self.heard = []
        self.client.create_subscription(output[1], output[0], self.heard.append, qos.FEATURES)
        self.publishers = {topic: self.client.create_publisher(kind, topic, qos.FEATURES) for topic, kind in inputs.items()}
        assert self.node.start()
        assert self.until(lambda: all(p.get_subscription_count() for p in self.publishers.values()))

    def until(self, condition, timeout_s=15.0):
        deadline = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.02)
        return condition()

    def send(self, topic, *messages):
        for message in messages:
            self.publishers[topic].publish(message)
            self.until(lambda: False, 0.05)

    def counted(self, part):
        """Total of the counters whose name contains a text."""
        return sum(number for event, number in self.node.diagnostics.counters.items() if part in event)

    def close(self):
        self.node.trigger_deactivate()
        for node in (self.node, self.client):
            node.destroy_node()


def send_pair(bench, stamp_ns, left, right=None):
    """Left and right image, arrays or messages; the left one twice when there is no right one."""
    for topic, image in (('left/image_raw', left), ('right/image_raw', left if right is None else right)):
        bench.send(topic, image if isinstance(image, Image) else image_to_msg(image, stamp_ns, 'left_camera_optical'))
