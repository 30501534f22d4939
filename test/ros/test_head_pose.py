# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node head_pose: tracks and images in, head poses out, and nothing while nobody asks."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import HeadPoseArray, TrackArray
from rclpy.parameter import Parameter
from ros_bench import Rig
from sensor_msgs.msg import Image
from turned_heads import TurnedMesh, face_at, frame, honest_model, track

from av_perception.head_pose import estimator as module
from av_perception.nodes.head_pose import HeadPoseNode
from av_perception.ros import qos
from av_perception.ros.conversions import image_to_msg, ns_from_time, track_frame_to_msg

pytestmark = pytest.mark.slow
PERSON = (2.0, 0.0, 0.0)
IMAGE = np.zeros((480, 640, 3), np.uint8)


class Robot(Rig):
    """The node with a stand-in for its network, what publishes to it, and who listens."""

    def __init__(self, context, **parameters):
        values = {'head': 'simulated', 'every': 1, **parameters}
        node = HeadPoseNode(
            context=context,
            parameter_overrides=[Parameter(n, value=v) for n, v in values.items()],
        )
        self.client = rclpy.create_node('client', context=context)
        super().__init__(node, self.client)
        self.tracks = self.client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
        self.images = self.client.create_publisher(Image, 'left/image_raw', qos.IMAGES_OUT)
        self.heard = []
        assert node.start()

    def listen(self):
        ear = self.client.create_subscription(
            HeadPoseArray, 'head_poses', self.heard.append, qos.FEATURES
        )
        assert self.until(lambda: self.is_heard(self.tracks) and self.is_heard(self.images))
        return ear

    @staticmethod
    def is_heard(publisher):
        return publisher.get_subscription_count() > 0

    def show(self, tracks, image=IMAGE):
        """An image and then its tracks; the head poses that follow."""
        before = len(self.heard)
        if image is not None:
            message = image_to_msg(image, tracks.stamp_ns, 'left_camera_optical')
            self.deliver(self.images, message)
        self.tracks.publish(track_frame_to_msg(tracks, 'base_link'))
        assert self.until(lambda: len(self.heard) > before)
        return self.heard[-1]


@pytest.fixture()
def robot(ros_context, monkeypatch):
    model = honest_model()
    place = face_at(PERSON)
    mesh = TurnedMesh(model.mesh.points, {place: (0, 0, 0)})
    monkeypatch.setattr(module, 'FaceMesh', lambda: mesh)
    monkeypatch.setattr(module, 'load_head_pose_model', lambda: model)
    made = []

    def make(**parameters):
        made.append(Robot(ros_context, **parameters))
        made[-1].mesh = mesh
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_who_looks_at_the_robot_is_told_with_the_stamp_of_the_image(robot):
    one = robot()
    one.listen()
    for k in range(3):
        tracks = frame(0.04 * k, track(7, PERSON))
        message = one.show(tracks)
    assert ns_from_time(message.header.stamp) == tracks.stamp_ns
    assert message.header.frame_id == 'base_link'
    (head,) = message.heads
    assert head.id == 7 and head.known and head.facing and list(message.facing_ids) == [7]
    assert head.facing_probability > 0.8


def test_unknown_stays_unknown_over_the_wire(robot):
    one = robot()
    one.listen()
    message = one.show(frame(0, track(7, PERSON, seen=False, ever_seen=False)), image=None)
    (head,) = message.heads
    assert not head.known and not head.facing and np.isnan(head.facing_probability)
    assert list(message.facing_ids) == []


def test_nothing_is_listened_to_while_nobody_asks(robot):
    one = robot()
    one.spin(1.0)
    assert not one.is_heard(one.tracks) and not one.is_heard(one.images)
    ear = one.listen()
    one.show(frame(0, track(7, PERSON)))
    calls = one.mesh.calls
    one.client.destroy_subscription(ear)
    assert one.until(lambda: not one.is_heard(one.tracks) and not one.is_heard(one.images))
    assert not one.node.diagnostics.monitors, 'what is not wanted is not missing either'
    one.listen()
    one.show(frame(0.08, track(7, PERSON)))
    assert one.mesh.calls > calls


def test_tracks_without_their_image_are_predicted_and_counted(robot):
    one = robot()
    one.listen()
    one.show(frame(0, track(7, PERSON)))
    message = one.show(frame(0.04, track(7, PERSON)), image=None)
    assert message.heads[0].known
    assert one.node.diagnostics.counters['tracks without their image'] == 1


def test_an_image_that_cannot_be_read_does_not_end_the_node(robot):
    one = robot()
    one.listen()
    tracks = frame(0, track(7, PERSON))
    broken = image_to_msg(IMAGE, tracks.stamp_ns, 'left_camera_optical')
    broken.height = 1000
    one.deliver(one.images, broken)
    one.tracks.publish(track_frame_to_msg(tracks, 'base_link'))
    counters = one.node.diagnostics.counters
    assert one.until(lambda: counters['frames refused'] == 1)
    assert one.show(frame(0.04, track(7, PERSON))).heads[0].known


def test_every_second_frame_is_enough_by_default(robot):
    one = robot(every=2)
    one.listen()
    for k in range(6):
        tracks = frame(0.04 * k, track(7, PERSON))
        one.deliver(one.images, image_to_msg(IMAGE, tracks.stamp_ns, 'left_camera_optical'))
        one.deliver(one.tracks, track_frame_to_msg(tracks, 'base_link'))
    assert one.until(lambda: len(one.heard) == 3)


def test_thresholds_may_change_while_it_runs_but_not_contradict_each_other(robot):
    one = robot()
    one.listen()
    (result,) = one.node.set_parameters([Parameter('facing_off', value=0.9)])
    assert not result.successful and 'facing_off' in result.reason
    (result,) = one.node.set_parameters([Parameter('facing_angle', value=5.0)])
    assert result.successful


def test_a_head_without_a_camera_is_refused_with_a_word(ros_context):
    node = HeadPoseNode(
        context=ros_context, parameter_overrides=[Parameter('head', value='respeaker')]
    )
    try:
        assert not node.start()
        assert 'leave head_pose out' in node.refusal
    finally:
        node.destroy_node()
