# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Node visualizer: head poses are asked for only while somebody looks, and then are shown."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from human_frames import frames, person
from rclpy.parameter import Parameter
from ros_bench import Rig
from visualization_msgs.msg import MarkerArray

from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame
from av_perception.nodes.visualizer import VisualizerNode
from av_perception.ros import qos
from av_perception.ros.conversions import (
    head_pose_frame_to_msg,
    speaking_frame_to_msg,
    track_frame_to_msg,
)

pytestmark = pytest.mark.slow


def test_head_poses_are_shown_while_somebody_looks(ros_context):
    node = VisualizerNode(
        context=ros_context, parameter_overrides=[Parameter('head', value='simulated')]
    )
    client = rclpy.create_node('client', context=ros_context)
    rig = Rig(node, client)
    try:
        assert node.start()
        tracks = client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
        statuses = client.create_publisher(SpeakingStatusArray, 'speaking_status', qos.FEATURES)
        heads = client.create_publisher(HeadPoseArray, 'head_poses', qos.FEATURES)
        rig.spin(1.0)
        assert not heads.get_subscription_count(), 'nobody looks'
        shown = []
        ear = client.create_subscription(MarkerArray, 'markers', shown.append, qos.FEATURES)
        assert rig.until(
            lambda: (
                heads.get_subscription_count()
                and tracks.get_subscription_count()
                and statuses.get_subscription_count()
            )
        )
        frame, speaking = frames(40, person(1))
        turned = HeadPoseEstimate(1, np.eye(3), np.eye(3) * 0.01, 1, 0.9, True)
        message = head_pose_frame_to_msg(HeadPoseFrame(frame.stamp_ns, (turned,)), 'base')
        rig.deliver(heads, message)
        tracks.publish(track_frame_to_msg(frame, 'base'))
        statuses.publish(speaking_frame_to_msg(speaking, 'base'))
        assert rig.until(lambda: shown)
        (arrow,) = [marker for marker in shown[-1].markers if marker.ns == 'gaze']
        assert arrow.points[1].x > arrow.points[0].x and arrow.color.g == 1.0
        client.destroy_subscription(ear)
        assert rig.until(lambda: not heads.get_subscription_count())
    finally:
        rig.close()
