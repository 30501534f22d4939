# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags: what was recorded is what is played, and what cannot be read is named."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioFeatures, TrackArray
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image
from waiting import wait_for

from av_perception.errors import UserError
from av_perception.interfaces import AudioFeatures as Features
from av_perception.ros import qos
from av_perception.ros.bags.bag_player import BagPlayer
from av_perception.ros.bags.bag_recorder import BagRecorder
from av_perception.ros.conversions import audio_features_from_msg, audio_features_to_msg, header

pytest.importorskip('rosbags')


@pytest.fixture()
def background(ros_context):
    """Nodes spun in the background."""
    executor = SingleThreadedExecutor(context=ros_context)
    thread = threading.Thread(target=executor.spin, daemon=True)
    started = []

    def make(name):
        node = rclpy.create_node(name, context=ros_context)
        executor.add_node(node)
        if not started:
            started.append(thread.start())
        return node

    yield make
    executor.shutdown()


def features(number):
    random = np.random.default_rng(number)
    return Features(
        number * 40_000_000,
        0.5,
        random.normal(size=(3, 4)),
        random.random((3, 4)) > 0.3,
        random.random(3),
        np.array([True, False, True]),
    )


def record(make, folder, messages):
    talker, recorder_node = make('talker'), make('recorder')
    publishers = {
        topic: talker.create_publisher(kind, topic, qos.FEATURES)
        for topic, kind in (
            ('audio_features', AudioFeatures),
            ('tracks', TrackArray),
            ('left/image_raw', Image),
        )
    }
    recorder = BagRecorder(recorder_node, folder)
    assert wait_for(
        lambda: (
            publishers['audio_features'].get_subscription_count()
            and publishers['tracks'].get_subscription_count()
        )
    )
    publishers['left/image_raw'].publish(Image())
    for topic, message in messages:
        publishers[topic].publish(message)
        time.sleep(0.02)
    assert wait_for(lambda: sum(recorder.counts.values()) >= len(messages))
    recorder_node.destroy_node()
    recorder.close()
    return recorder.counts


def test_a_bag_plays_what_was_recorded(background, tmp_path):
    messages = [('audio_features', audio_features_to_msg(features(k), 'array')) for k in range(5)]
    messages.append(('tracks', TrackArray(header=header(7, 'base'))))  # an empty list inside
    counts = record(background, tmp_path / 'bag', messages)
    assert counts['/audio_features'] == 5 and '/left/image_raw' not in counts, (
        'images only when asked for'
    )
    listener, player_node, heard = background('listener'), background('player'), []
    listener.create_subscription(AudioFeatures, 'audio_features', heard.append, qos.FEATURES)
    player = BagPlayer(player_node, tmp_path / 'bag', topics=('/audio_features',))
    assert player.message_count == 5
    [publisher] = player._publishers.values()
    assert wait_for(lambda: publisher.get_subscription_count() > 0)
    player.play(rate=4.0)
    player.close()
    assert wait_for(lambda: len(heard) == 5)
    for number, message in enumerate(heard):
        np.testing.assert_allclose(
            audio_features_from_msg(message).vectors, features(number).vectors, rtol=1e-6
        )
        assert audio_features_from_msg(message).stamp_ns == number * 40_000_000


def test_a_bag_can_be_read_without_our_messages_installed(background, tmp_path):
    record(background, tmp_path / 'bag', [('tracks', TrackArray(header=header(7, 'base')))])
    from rosbags.highlevel import AnyReader

    with AnyReader([tmp_path / 'bag']) as reader:
        connection, _, data = next(
            reader.messages([c for c in reader.connections if c.topic == '/tracks'])
        )
        assert reader.deserialize(data, connection.msgtype).header.frame_id == 'base'


def test_a_missing_or_damaged_bag_is_named(background, tmp_path):
    node = background('player')
    with pytest.raises(UserError, match='no bag'):
        BagPlayer(node, tmp_path / 'nowhere')
    (tmp_path / 'broken').mkdir()
    (tmp_path / 'broken' / 'metadata.yaml').write_text('rosbag2_bagfile_information: [')
    with pytest.raises(UserError, match='broken'):
        BagPlayer(node, tmp_path / 'broken')


def test_an_existing_folder_is_not_overwritten(background, tmp_path):
    with pytest.raises(UserError, match='exists already'):
        BagRecorder(background('recorder'), tmp_path)
