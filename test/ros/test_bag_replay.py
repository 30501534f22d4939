# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags against the running graph: on the bag's time, at any rate; recorders that lose nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import rclpy
import yaml
from av_perception_msgs.msg import AudioChunk, SpeakingStatusArray, TrackArray, VisualFeatures
from bag_scenes import ORIGIN_NS, short_messages, write_bag
from dds_domains import free_domain
from launch_standin import resolve
from lifecycle_msgs.msg import State
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from tf2_msgs.msg import TFMessage
from waiting import wait_for

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
PATIENCE_S = 300.0
until = partial(wait_for, pause_s=0.002)  # at the pace of a bag that is played fast
SECOND_NS = 10**9
LAUNCH = Path(__file__).resolve().parents[2] / 'launch' / 'replay.launch.py'


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Sound and faces of seven seconds."""
    return write_bag(
        tmp_path_factory.mktemp('bags') / 'features', short_messages(images=False), '/robot/'
    )


class Replay:
    """The graph on the bag's time, and a player that waits for its answers.

    `play` returns what one round brought. A player in this process publishes at its rate, but
    nothing more until the images are answered whose sound has been played: no rate is too fast.
    """

    def __init__(self, observer: GraphObserver, bag: Path):
        self._observer = observer
        node = observer.node
        self._player = BagPlayer(node, bag, clock=True, inputs=graph_inputs(bag))
        images = list(range(0, 7 * SECOND_NS, 40_000_000))
        self._images = [ORIGIN_NS + offset for offset in images]
        self._answered: set[int] = set()
        self.heard: list[TrackArray] = []
        node.create_subscription(TrackArray, 'tracks', self.heard.append, qos.FEATURES)
        node.create_subscription(
            SpeakingStatusArray, 'speaking_status', self._on_answer, qos.FEATURES
        )

    def rehearse(self) -> int:
        """Play until the graph answers: before, the nodes have not found each other. How often.

        Nothing is waited for meanwhile: who has found the sound, and not yet the images, goes on
        with sound alone, and takes images of the same time for late.
        """
        deadline = time.monotonic() + PATIENCE_S
        num_rounds = 0
        while self._images[-1] not in self._answered and time.monotonic() < deadline:
            self._answered.clear()
            self._player.play(1.0, lambda seconds: None)
            num_rounds += 1
            wait_for(lambda: self._images[-1] in self._answered, 5.0)
        assert self._images[-1] in self._answered, self._observer.diagnostics
        return num_rounds

    def play(self, rate: float) -> list[TrackArray]:
        """The tracks of one round."""
        self._answered.clear()
        self.heard.clear()
        self._player.play(rate, self._hold)
        self._wait_for(self._images[-1])
        assert until(lambda: len(self.heard) >= len(self._answered))
        return list(self.heard)

    def _on_answer(self, message: SpeakingStatusArray) -> None:
        self._answered.add(ns_from_time(message.header.stamp))

    def _hold(self, seconds: float) -> None:
        """What is sent ahead of the answers is the sound that they need, and no more."""
        ahead_s = 0.12  # a block of bins, its window, and the chunk that completes it
        self._wait_for(ORIGIN_NS + round(1e9 * (seconds - ahead_s)))

    def _wait_for(self, moment_ns: int) -> None:
        """Until all images up to a moment are answered."""
        wanted = {stamp for stamp in self._images if stamp <= moment_ns}
        assert until(lambda: wanted <= self._answered), (
            wanted - self._answered,
            self._observer.diagnostics,
        )


@pytest.fixture(scope='module')
def rounds(bag, tmp_path_factory):
    """The tracks of a bag at its own pace, at four times and at a hundred times its pace."""
    selection = Selection(microphones='others', camera='others', given=graph_inputs(bag).given)
    nodes = nodes_for(load_head('simulated'), selection)
    nodes = tuple(replace(node, niceness=0) for node in nodes)
    domain = free_domain()
    with (
        GraphObserver(namespace='robot', domain_id=domain) as observer,
        GraphRunner(
            nodes,
            {'head': 'simulated'},
            'robot',
            overrides={node.name: {'use_sim_time': True} for node in nodes},
            log_folder=tmp_path_factory.mktemp('logs'),
            environment={**os.environ, 'ROS_DOMAIN_ID': str(domain)},
        ) as graph,
    ):
        deadline = time.monotonic() + PATIENCE_S
        for node in nodes:
            assert observer.wait_for_state(node.name, State.PRIMARY_STATE_ACTIVE, deadline)
        replay = Replay(observer, bag)
        num_rehearsals = replay.rehearse()
        played = [replay.play(rate) for rate in (1.0, 4.0, 100.0)]
        assert until(lambda: num_resets(observer) >= len(played))
        yield played, num_resets(observer), num_rehearsals
        assert set(graph.stop(PATIENCE_S).values()) == {0}


def num_resets(observer: GraphObserver) -> int:
    """How often the tracker has started afresh, by its diagnostics."""
    return int(observer.diagnostics.get('tracker', {}).get('tracker: resets', 0))


def people(tracks: list[TrackArray]) -> dict[int, np.ndarray]:
    """Id -> (images, 3) positions of the seen people."""
    places: dict[int, list] = {}
    for message in tracks:
        for track in message.tracks:
            if track.seen:
                position = track.position
                places.setdefault(track.id, []).append([position.x, position.y, position.z])
    return {person: np.array(places[person]) for person in sorted(places)}


@pytest.mark.slow
def test_a_bag_gives_the_same_people_at_any_rate(rounds):
    """Rounds begin with what is known of the noise from the rounds before."""
    played, *_ = rounds
    slow = people(played[0])
    assert len(slow) == 2
    for fast in played[1:]:
        for place, other in zip(slow.values(), people(fast).values(), strict=True):
            np.testing.assert_allclose(other, place, atol=1e-3)


@pytest.mark.slow
def test_every_image_of_a_bag_is_answered_at_any_rate(rounds):
    played, *_ = rounds
    for tracks in played:
        stamps = [ns_from_time(message.header.stamp) - ORIGIN_NS for message in tracks]
        assert stamps == list(range(0, 7 * SECOND_NS, 40_000_000))


@pytest.mark.slow
def test_a_round_starts_everything_afresh(rounds):
    played, resets, num_rehearsals = rounds
    ids = [set(people(tracks)) for tracks in played]
    assert not set.intersection(*ids), 'new people, not the old ones continued'
    assert len(set.union(*ids)) == 2 * len(played)
    # Of the rehearsals only the last one has surely come to the tracker.
    assert len(played) <= resets < len(played) + num_rehearsals


@pytest.mark.slow
def test_the_command_plays_in_a_loop_until_it_is_stopped_and_not_too_fast(bag):
    """The rounds of a listener's chunks of sound, and of the clock."""
    domain = free_domain()
    command = [sys.executable, '-m', 'av_perception.cli.main', 'replay', str(bag), '--inputs']
    command += ['--clock', '--loop', '--rate', '4', '--ros-args', '-r', '__ns:=/robot']
    with GraphObserver(namespace='robot', domain_id=domain) as observer:
        stamps, clock, started = [], [], []
        node = observer.node
        node.create_subscription(
            AudioChunk, 'audio', lambda m: stamps.append(ns_from_time(m.header.stamp)), 50
        )
        node.create_subscription(VisualFeatures, 'visual_features', started.append, 50)
        node.create_subscription(
            Clock, '/clock', lambda m: clock.append(ns_from_time(m.clock)), 50
        )
        start_s = time.monotonic()
        player = subprocess.Popen(
            command,
            env={**os.environ, 'ROS_DOMAIN_ID': str(domain)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert until(lambda: num_rounds(stamps) >= 2 and num_rounds(clock) >= 2)
        elapsed_s = time.monotonic() - start_s
        player.send_signal(signal.SIGINT)
        output, _ = player.communicate(timeout=PATIENCE_S)
    assert player.returncode == 0, output
    assert started
    assert elapsed_s > 2 * 6.5 / 4, 'two rounds of seven seconds at four times their pace'


def num_rounds(stamps: list[int]) -> int:
    """How often stamps went back."""
    return int((np.diff(np.array(stamps.copy(), float)) < -SECOND_NS).sum())


@pytest.mark.slow
def test_the_launch_file_plays_what_the_bag_has_and_starts_the_rest(bag):
    words = {'rate': '4', 'namespace': 'robot', 'use_composition': 'false'}
    processes, arguments = resolve(LAUNCH, {'bag': str(bag), **words})
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
    domain = free_domain()
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node('talker', context=context)
    publisher = node.create_publisher(TrackArray, 'tracks', 200)
    latched = node.create_publisher(TFMessage, '/tf_static', qos.LATCHED)
    latched.publish(static)
    command = [sys.executable, '-m', 'av_perception.cli.main', 'record']
    command += ['-o', str(folder / 'bag'), '--storage', storage, '--json', str(folder / 'counts')]
    command += ['--topics', '/tracks', '/tf_static']
    recorder = subprocess.Popen(
        command,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    talkers = (publisher, latched)
    assert until(lambda: all(one.get_subscription_count() for one in talkers))
    for number in range(messages):
        publisher.publish(TrackArray(header=header(number, 'base')))
        time.sleep(0.002)
    for one in talkers:
        assert one.wait_for_all_acked(Duration(seconds=PATIENCE_S)), 'all are in its queues'
    recorder.send_signal(signal.SIGINT)
    output, _ = recorder.communicate(timeout=PATIENCE_S)
    rclpy.try_shutdown(context=context)
    assert recorder.returncode == 0, output
    return json.loads((folder / 'counts').read_text())


@pytest.mark.slow
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_recorder_loses_nothing_and_keeps_what_players_need(storage, tmp_path):
    """Regression: it took one message a topic every 0.1 s and left the rest in its queue."""
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
                'select t.name, count(*) from messages m join topics t on t.id = m.topic_id '
                'group by t.name'
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


@pytest.mark.slow
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
        writer.write(connection, 4, serialize_message(TFMessage(transforms=transforms[:1])))
    heard, node = [], rclpy.create_node('player', context=ros_context)
    node.create_subscription(
        TFMessage, '/tf', heard.append, QoSProfile(depth=10, durability=DurabilityPolicy.VOLATILE)
    )
    player = BagPlayer(node, tmp_path / 'both', inputs=graph_inputs(tmp_path / 'both'))
    (talker,) = (p for p in node.publishers if p.topic_name == '/tf')
    assert until(talker.get_subscription_count)
    player.play(1000.0)
    executor = rclpy.executors.SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    deadline = time.monotonic() + PATIENCE_S
    while len(heard) < 2 and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    frames = [[t.child_frame_id for t in m.transforms] for m in heard]
    assert frames == [['camera', 'odom'], ['camera']], 'in order: the one between is left out'
