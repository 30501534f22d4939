# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags against the running graph.

Nodes on the bag's time, at any rate, in a loop; a recorder that loses nothing.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from av_perception_msgs.msg import TrackArray
from bag_scenes import short_messages, write_bag
from launch_standin import resolve
from lifecycle_msgs.msg import State
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from ros_bench import PATIENCE_S, Rig, wait_for
from tf2_msgs.msg import TFMessage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.bags.bag_file import TypeStore, graph_inputs, rosbags
from av_perception.ros.bags.bag_player import BagPlayer
from av_perception.ros.bringup.graph import Selection, nodes_for
from av_perception.ros.bringup.runner import GraphRunner
from av_perception.ros.conversions import header, ns_from_time, transform_to_msg
from av_perception.ros.observer import GraphObserver

pytest.importorskip('rosbags')
LAUNCH = Path(__file__).resolve().parents[2] / 'launch' / 'replay.launch.py'


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Sound and faces of seven seconds."""
    return write_bag(
        tmp_path_factory.mktemp('bags') / 'features', short_messages(images=False), '/robot/'
    )


class Replay:
    """The graph on the bag's time, and what it said."""

    def __init__(self, bag, folder, domain_id, *words):
        self.domain, self.heard = {**os.environ, 'ROS_DOMAIN_ID': str(domain_id)}, []
        selection = Selection(microphones='others', camera='others', given=graph_inputs(bag).given)
        nodes = nodes_for(load_head('simulated'), selection)
        overrides = {node.name: {'use_sim_time': True} for node in nodes}
        command = [
            sys.executable,
            '-m',
            'av_perception.cli.main',
            'replay',
            str(bag),
            '--inputs',
            '--clock',
            *words,
            '--ros-args',
            '-r',
            '__ns:=/robot',
        ]
        with (
            GraphObserver(namespace='robot', domain_id=domain_id) as observer,
            GraphRunner(
                nodes,
                {'head': 'simulated'},
                'robot',
                overrides=overrides,
                log_folder=folder,
                environment=self.domain,
            ) as graph,
        ):
            observer.node.create_subscription(
                TrackArray, 'tracks', self.heard.append, qos.FEATURES
            )
            for node in nodes:
                assert observer.wait_for_state(
                    node.name, State.PRIMARY_STATE_ACTIVE, time.monotonic() + PATIENCE_S
                ), node.name
            self.play(command, '--loop' in words)
            time.sleep(0.5)
            self.diagnostics = dict(observer.diagnostics)
            self.statuses = graph.stop()

    def play(self, command, loops):
        player = subprocess.Popen(
            command, env=self.domain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if loops:
            assert wait_for(lambda: self.rounds() >= 2.6, 2 * PATIENCE_S)
            player.send_signal(signal.SIGINT)
        output, _ = player.communicate(timeout=2 * PATIENCE_S)
        assert player.returncode == 0, output

    def rounds(self) -> float:
        """How often the stamps went through the bag's seven seconds."""
        stamps = np.array([ns_from_time(m.header.stamp) for m in list(self.heard)], float)
        if not len(stamps):
            return 0.0
        back = np.flatnonzero(np.diff(stamps) < -1e9)
        return len(back) + (stamps[-1] - stamps.min()) / 7e9

    def people(self, first: int = 0, last: int | None = None) -> dict[int, np.ndarray]:
        """Id -> median position of the seen people."""
        places = {}
        for message in self.heard[first:last]:
            for track in message.tracks:
                if track.seen:
                    places.setdefault(track.id, []).append(
                        [track.position.x, track.position.y, track.position.z]
                    )
        return {person: np.median(rows, axis=0) for person, rows in places.items()}


@pytest.mark.slow
def test_a_bag_gives_the_same_people_at_any_rate(bag, tmp_path):
    slow, fast = (
        Replay(bag, tmp_path / rate, 1 + (os.getpid() + 13) % 99, '--rate', rate)
        for rate in ('0.5', '2')
    )
    assert set(slow.people()) == set(fast.people()) == {1, 2}
    for person, place in slow.people().items():
        np.testing.assert_allclose(fast.people()[person], place, atol=0.05)
    assert len(slow.heard) > 160, 'of 175 images'
    assert len(fast.heard) > 120, 'a slow machine may drop some at four times the other pace'
    assert set(slow.statuses.values()) == set(fast.statuses.values()) == {0}


@pytest.mark.slow
def test_a_loop_starts_everything_afresh(bag, tmp_path):
    replay = Replay(bag, tmp_path, 1 + (os.getpid() + 29) % 99, '--rate', '2', '--loop')
    stamps = np.array([ns_from_time(m.header.stamp) for m in replay.heard])
    back = np.flatnonzero(np.diff(stamps) < -(10**9))
    assert len(back) >= 2
    first, second = replay.people(0, back[0]), replay.people(back[0] + 1, back[1])
    assert len(first) == len(second) == 2 and not set(first) & set(second), (
        'new people, not the old ones continued'
    )
    for place in first.values():
        assert min(np.linalg.norm(place - other) for other in second.values()) < 0.05
    assert back[1] - back[0] > 120, 'the second round is as complete as the first'
    assert int(replay.diagnostics['tracker']['tracker: resets']) == len(back)


def test_the_launch_file_plays_what_the_bag_has_and_starts_the_rest(bag):
    processes, arguments = resolve(LAUNCH, {'bag': str(bag), 'rate': '4', 'namespace': 'robot'})
    by_name = {p.executable: p for p in processes}
    assert set(by_name) == {
        'audio_features',
        'tracker',
        'speaking_status',
        'visualizer',
        'av-perception',
    }
    assert by_name['av-perception'].arguments == (
        'replay',
        str(bag),
        '--inputs',
        '--clock',
        '--rate',
        '4',
    )
    assert all(p.parameters['use_sim_time'] for p in processes if p.executable != 'av-perception')
    looped = resolve(LAUNCH, {'bag': str(bag), 'loop': 'true'})[0]
    assert [p.arguments[-1] for p in looped if p.executable == 'av-perception'] == ['--loop']


def record(folder, storage, messages, static):
    """Publish to the recorder's process faster than it drains its queues."""
    domain = 1 + (os.getpid() + 43) % 99
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('talker', context=context)
    publisher = node.create_publisher(TrackArray, 'tracks', 200)
    latched = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
    latched.publish(static)
    command = [sys.executable, '-m', 'av_perception.cli.main', 'record']
    command += ['-o', str(folder / 'bag'), '--storage', storage]
    command += ['--json', str(folder / 'counts'), '--topics', '/tracks', '/tf_static']
    recorder = subprocess.Popen(
        command,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Both topics: what is latched comes with its subscription.
    assert wait_for(publisher.get_subscription_count)
    assert wait_for(latched.get_subscription_count)
    time.sleep(0.3)
    for number in range(messages):
        publisher.publish(TrackArray(header=header(number, 'base')))
        time.sleep(0.002)
    publisher.wait_for_all_acked()
    time.sleep(1.0)
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=PATIENCE_S)
    rclpy.try_shutdown(context=context)
    assert recorder.returncode == 0, output
    return json.loads((folder / 'counts').read_text())


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_recorder_loses_nothing_and_keeps_what_players_need(storage, tmp_path):
    """Regression: the recorder took one message a topic every 0.1 s and left the rest."""
    static = TFMessage(transforms=[transform_to_msg(RigidTransform(), 'base', 'camera', 0)])
    assert record(tmp_path, storage, 150, static) == {'/tracks': 150, '/tf_static': 1}
    metadata = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())[
        'rosbag2_bagfile_information'
    ]
    assert (
        metadata['storage_identifier'] == storage
        and metadata['message_count'] == 151
        and metadata['version'] == 9
    )
    topics = {
        t['topic_metadata']['name']: t['topic_metadata']
        for t in metadata['topics_with_message_count']
    }
    assert topics['/tf_static']['offered_qos_profiles'][0]['durability'] == 'transient_local'
    assert topics['/tracks']['offered_qos_profiles'][0]['durability'] == 'volatile'
    assert topics['/tracks']['type_description_hash'].startswith('RIHS01_')
    file = tmp_path / 'bag' / metadata['relative_file_paths'][0]
    if storage == 'mcap':
        assert file.read_bytes()[:8] == b'\x89MCAP0\r\n' == file.read_bytes()[-8:]
    else:
        with sqlite3.connect(file) as database:
            counts = database.execute(
                'select t.name, count(*) from messages m '
                'join topics t on t.id = m.topic_id group by t.name'
            )
            assert dict(counts) == {'/tracks': 150, '/tf_static': 1}
    from rosbags.highlevel import AnyReader

    with AnyReader([tmp_path / 'bag']) as reader:
        connections = [c for c in reader.connections if c.topic == '/tracks']
        stamps = [
            reader.deserialize(data, c.msgtype).header.stamp.nanosec
            for c, _, data in reader.messages(connections)
        ]
    assert stamps == list(range(150))


def test_only_foreign_transforms_are_played_as_inputs(ros_context, tmp_path):
    frames = ('camera', 'person_3', 'face_abc', 'odom')
    transforms = [transform_to_msg(RigidTransform(), 'base', frame, 1) for frame in frames]
    messages = [(1, 'audio', short_messages(False, 0.2)[0][2])]
    from rosbags.rosbag2 import Writer

    with Writer(
        tmp_path / 'both', version=9, storage_plugin=rosbags()[0].StoragePlugin.MCAP
    ) as writer:
        store = TypeStore()
        connection = writer.add_connection('/tf', 'tf2_msgs/msg/TFMessage', typestore=store.types)
        store.require('av_perception_msgs/msg/AudioChunk')
        sound = writer.add_connection(
            '/audio', 'av_perception_msgs/msg/AudioChunk', typestore=store.types
        )
        writer.write(sound, 1, serialize_message(messages[0][2]))
        writer.write(connection, 2, serialize_message(TFMessage(transforms=transforms)))
        writer.write(connection, 3, serialize_message(TFMessage(transforms=transforms[1:3])))
    heard = []
    node = rclpy.create_node('player', context=ros_context)
    node.create_subscription(
        TFMessage, '/tf', heard.append, QoSProfile(depth=10, durability=DurabilityPolicy.VOLATILE)
    )
    BagPlayer(node, tmp_path / 'both', inputs=graph_inputs(tmp_path / 'both')).play(1000.0)
    rig = Rig(node)
    assert rig.until(lambda: heard)
    rig.spin(0.5)  # for more, which must not come
    assert [[t.child_frame_id for t in m.transforms] for m in heard] == [['camera', 'odom']]
