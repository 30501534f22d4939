# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags recorded before messages got a field: they are read as if it were empty."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from av_perception_msgs.msg import VisualFeatures as Message
from rclpy.serialization import deserialize_message, serialize_message

from av_perception.interfaces import Face, VisualFeatures
from av_perception.pipelines.full import OfflinePipeline
from av_perception.ros.bags.bag_file import (
    ADDED_FIELDS,
    TypeStore,
    foreign_definition,
    open_bag,
    rosbags,
)
from av_perception.ros.bags.bag_offline import BagRecording, BagRunner
from av_perception.ros.bags.older_messages import updated, updater
from av_perception.ros.conversions import visual_features_from_msg, visual_features_to_msg

pytest.importorskip('rosbags')
KIND = 'av_perception_msgs/msg/VisualFeatures'
FACE = 'av_perception_msgs/msg/Face'
MESSAGES = Path(__file__).resolve().parents[2] / 'av_perception_msgs' / 'msg'
START_NS = 10**18


def older_definition():
    """The text that bags kept before faces had an appearance."""
    now = (MESSAGES / 'Face.msg').read_text()
    assert all(name in now for name in ADDED_FIELDS[FACE])
    before = now[: now.index('float32[] appearance')]
    line = '\n' + '=' * 80 + '\nMSG: '
    return (
        f'std_msgs/Header header\n{FACE} [] faces\n'.replace(' []', '[]')
        + f'{line}{FACE}\n{before}'
        + f'{line}std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n'
        + f'{line}builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n'
    )


def faces_at(index, count=2):
    random = np.random.default_rng(index)
    faces = tuple(
        Face(
            np.array([200.0 + 150 * k, 150, 50, 65]),
            0.9,
            random.uniform(0, 100, (5, 2)),
            np.array([0.4 * k, 0.0, 2.0]),
            1e-4 * np.eye(3),
            np.array([0.6, 0.8]),
        )
        for k in range(count)
    )
    return VisualFeatures(START_NS + 40_000_000 * index, faces)


def older_bytes(features):
    """What the nodes of before sent: rosbags writes it by the definition of before."""
    typesys = rosbags()[1]
    old = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
    old.register(typesys.get_types_from_msg(older_definition(), KIND))
    store = TypeStore()
    store.require(KIND)
    data = serialize_message(visual_features_to_msg(features, 'camera'))
    message = store.types.deserialize_cdr(data, KIND)
    for face in message.faces:
        del face.__dict__['appearance']
    faces = [old.types[FACE](**vars(face)) for face in message.faces]
    return bytes(old.serialize_cdr(old.types[KIND](message.header, faces), KIND))


@pytest.fixture()
def older_bag(tmp_path):
    rosbag2 = rosbags()[0]
    folder = tmp_path / 'bag'
    told = {'msgdef': older_definition(), 'rihs01': 'RIHS01_' + '0' * 64}
    with rosbag2.Writer(folder, version=9, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/visual_features', KIND, **told)
        for index in range(25):
            features = faces_at(index)
            writer.write(connection, features.stamp_ns, older_bytes(features))
    return folder


def test_an_older_message_becomes_one_of_today(older_bag):
    reader = open_bag(older_bag)
    (connection,) = reader.connections
    store = TypeStore()
    assert foreign_definition(connection, store) == ''
    update = updater(connection, store)
    for index, (_, _, data) in enumerate(reader.messages()):
        message = deserialize_message(updated(update, bytes(data)), Message)
        expected = faces_at(index)
        found = visual_features_from_msg(message)
        assert found.stamp_ns == expected.stamp_ns and len(found.faces) == 2
        for face, truth in zip(found.faces, expected.faces):
            np.testing.assert_allclose(face.position, truth.position)
            np.testing.assert_allclose(face.embedding, truth.embedding, atol=1e-6)
            assert face.appearance.shape == (0,)
    reader.close()
    assert updated(update, b'\x00\x01cut') == b''


@pytest.mark.slow
def test_an_older_bag_is_tracked(older_bag):
    recording = BagRecording(older_bag, 'simulated')
    runner = BagRunner(recording, OfflinePipeline(recording))
    frames = runner.run()
    assert len(frames[-1][0].tracks) == 2
    assert not any('dropped' in event for event in runner.counters)


def test_todays_definition_needs_no_update():
    store = TypeStore()
    store.require(KIND)
    text = (MESSAGES / 'VisualFeatures.msg').read_text().replace('Face[]', f'{FACE}[]')
    line = '\n' + '=' * 80 + '\nMSG: '
    text += f'{line}{FACE}\n' + (MESSAGES / 'Face.msg').read_text()
    text += f'{line}std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n'
    text += f'{line}builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n'
    definition = SimpleNamespace(format=SimpleNamespace(name='MSG'), data=text)
    connection = SimpleNamespace(msgtype=KIND, msgdef=definition)
    assert foreign_definition(connection, store) == ''
    assert updater(connection, store) is None
