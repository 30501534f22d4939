# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node `attention` over DDS: whom it names, with which stamp and frame, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from attention_stories import PERIOD_NS, START_NS, person, voice
from av_perception_msgs.msg import Attention as AttentionMsg
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from geometry_msgs.msg import PointStamped

from av_perception.interfaces import (
    Attention,
    AttentionReason,
    HeadPoseEstimate,
    HeadPoseFrame,
    SpeakingFrame,
    SpeakingStatus,
    TrackFrame,
)
from av_perception.nodes.attention import AttentionNode
from av_perception.ros import qos
from av_perception.ros.conversions import (
    attention_from_msg,
    attention_to_msg,
    head_pose_frame_to_msg,
    look_at_to_msg,
    ns_from_time,
    speaking_frame_to_msg,
    track_frame_to_msg,
)
from av_perception.ros.markers import attention_marker

INPUTS = {
    'tracks': TrackArray,
    'speaking_status': SpeakingStatusArray,
    'head_poses': HeadPoseArray,
}
SOMEBODY = Attention(5, AttentionReason.SPEAKS, 3, np.array([1.0, 2.0, 0.5]), 4)
NOBODY = Attention(5, AttentionReason.NOBODY)


@pytest.fixture()
def node(bench):
    one = bench(AttentionNode, INPUTS, ('attention', AttentionMsg), arrival=0.0)
    one.looks = []
    one.client.create_subscription(PointStamped, 'look_at', one.looks.append, qos.FEATURES)
    assert one.until(lambda: one.client.count_publishers('look_at') == 1)
    one.until_matched('look_at')
    return one


def play(one, people, speaking, first=0, count=12):
    """Frames of people of whom some speak."""
    for k in range(first, first + count):
        stamp_ns = START_NS + k * PERIOD_NS
        statuses = tuple(
            SpeakingStatus(p.id, p.id in speaking, 0.95 * (p.id in speaking), 0) for p in people
        )
        tracks = TrackFrame(stamp_ns, tuple(people), True)
        one.send('tracks', track_frame_to_msg(tracks, 'odom'))
        frame = SpeakingFrame(stamp_ns, statuses)
        one.send('speaking_status', speaking_frame_to_msg(frame, 'odom'))


@pytest.mark.slow
def test_it_names_who_speaks_with_stamp_and_frame_of_the_tracks(node):
    play(node, [person(1, 20.0), voice(4, 140.0)], [4])
    assert node.until(lambda: len(node.heard) == 12 and node.looks)
    last = node.heard[-1]
    assert (last.id, last.reason, last.header.frame_id) == (4, AttentionMsg.HEARD, 'odom')
    assert ns_from_time(last.header.stamp) == START_NS + 11 * PERIOD_NS
    assert node.heard[0].id == -1 and np.isnan(node.heard[0].target.x)
    named = sum(message.id >= 0 for message in node.heard)
    assert node.until(lambda: len(node.looks) == named)  # its own topic may come later
    look = node.looks[-1]
    assert look.header == last.header and look.point == last.target


@pytest.mark.slow
def test_who_faces_the_robot_speaks_to_it_while_that_is_known(node):
    facing = HeadPoseEstimate(1, np.eye(3), facing_probability=0.9, facing=True)
    unknown = HeadPoseEstimate(2)
    frame = HeadPoseFrame(START_NS, (facing, unknown))
    node.send('head_poses', head_pose_frame_to_msg(frame, 'odom'))
    play(node, [person(1, 20.0), person(2, -20.0)], [1, 2])
    assert node.until(lambda: len(node.heard) == 12)
    assert (node.heard[-1].id, node.heard[-1].reason) == (1, AttentionMsg.SPEAKS_TO_ME)
    play(node, [person(1, 20.0), person(2, -20.0)], [1], first=12, count=4)
    assert node.until(lambda: node.heard[-1].reason == AttentionMsg.SPEAKS)  # 0.5 s later


@pytest.mark.slow
def test_older_tracks_are_left_out_and_counted(node):
    play(node, [person(1, 20.0)], [1], first=5, count=2)
    play(node, [person(1, 20.0)], [1], first=2, count=1)
    assert node.until(lambda: node.counted('older than those before') == 1)
    assert len(node.heard) == 2


@pytest.mark.parametrize('attention', [SOMEBODY, NOBODY])
def test_messages_there_and_back(attention):
    back = attention_from_msg(attention_to_msg(attention, 'odom'))
    assert (back.id, back.reason, back.since_ns) == (
        attention.id,
        attention.reason,
        attention.since_ns,
    )
    look = look_at_to_msg(attention, 'odom')
    if attention.target is None:
        assert back.target is None and look is None
        assert attention_marker(attention, 'odom', np.zeros(3)) is None
    else:
        np.testing.assert_allclose(back.target, attention.target)
        assert (look.point.x, look.point.y, look.point.z) == (1.0, 2.0, 0.5)
        marker = attention_marker(attention, 'odom', np.zeros(3))
        assert (marker.points[1].x, marker.points[1].y) == (1.0, 2.0)


def test_messages_of_nonsense_are_refused():
    wrong = attention_to_msg(SOMEBODY, 'odom')
    wrong.target.x = np.nan
    with pytest.raises(ValueError, match='not finite'):
        attention_from_msg(wrong)
    wrong = attention_to_msg(NOBODY, 'odom')
    wrong.reason = 'boredom'
    with pytest.raises(ValueError, match='boredom'):
        attention_from_msg(wrong)


def test_the_reasons_of_the_message_are_those_of_the_core():
    constants = {
        AttentionMsg.SPEAKS_TO_ME,
        AttentionMsg.SPEAKS,
        AttentionMsg.HEARD,
        AttentionMsg.SPOKE,
        AttentionMsg.ARRIVED,
        AttentionMsg.NOBODY,
    }
    assert constants == {reason.value for reason in AttentionReason}
