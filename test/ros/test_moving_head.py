# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker on a head that moves, by transforms over DDS.

Late ones, missing ones, a clock set back, motors that drown the sound.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioFeatures, TrackArray, VisualFeatures
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage
from tracking_scenes import HEAD, face_at, image, stamp

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AudioFeatures as Features
from av_perception.interfaces import VisualFeatures as VisibleFaces
from av_perception.nodes.tracker import TrackerNode
from av_perception.ros import transforms
from av_perception.ros.conversions import (
    audio_features_to_msg,
    header,
    transform_to_msg,
    visual_features_to_msg,
)

PLACE = np.array([2.0, 0.2, 0.1])  # of a person, in odom


@pytest.fixture(params=['own', 'tf2_ros'])
def lookup(request, monkeypatch):
    """Both ways to look up transforms."""
    if request.param == 'tf2_ros':
        if importlib.util.find_spec('tf2_ros') is None:
            pytest.skip('tf2_ros is not installed: it comes with a ROS distribution')
    else:
        monkeypatch.setattr(transforms, 'make_lookup', transforms.OwnLookup)


def turned(f):
    """odom from base: the head turns to and fro on a base that drives."""
    return RigidTransform.from_xyz_rpy((0.01 * f, 0, 0), (0, 0, 0.3 * np.sin(0.1 * f)))


def tf(f, *frames):
    """The transforms at frame f: odom to base, and the head's own where asked for."""
    return TFMessage(
        transforms=[transform_to_msg(turned(f), 'odom', HEAD.base_frame, stamp(f)), *frames]
    )


def static():
    sensors = (
        (HEAD.camera.base_from_optical, HEAD.camera.frame),
        (HEAD.microphones.base_from_array, HEAD.microphones.frame),
    )
    return TFMessage(
        transforms=[transform_to_msg(pose, HEAD.base_frame, frame, 0) for pose, frame in sensors]
    )


def seen(f):
    """The person's face from where the head is at frame f."""
    face = face_at(turned(f).inverse().apply(PLACE), np.random.default_rng(f))
    return visual_features_to_msg(image(f, face), HEAD.camera.frame)


def start(bench, **parameters):
    one = bench(
        TrackerNode,
        {'visual_features': VisualFeatures, 'audio_features': AudioFeatures, '/tf': TFMessage},
        ('tracks', TrackArray),
        **{'head': 'simulated', 'reference_frame': 'odom', 'audio_wait': 0.0, **parameters},
    )
    latched = one.client.create_publisher(
        TFMessage,
        '/tf_static',
        transforms.QoSProfile(depth=1, durability=transforms.DurabilityPolicy.TRANSIENT_LOCAL),
    )
    latched.publish(static())
    one.until(lambda: False, 0.3)
    return one


@pytest.mark.slow
def test_a_person_stands_still_in_odom_while_head_and_base_move(lookup, bench):
    one = start(bench)
    for f in range(40):
        one.send('/tf', tf(f))
        one.send('visual_features', seen(f))
    assert one.until(lambda: len(one.heard) == 40)
    last = one.heard[-1]
    assert last.header.frame_id == 'odom' and len(last.tracks) == 1 and last.tracks[0].id == 1
    position, velocity = last.tracks[0].position, last.tracks[0].velocity
    assert (
        np.linalg.norm([position.x - PLACE[0], position.y - PLACE[1], position.z - PLACE[2]])
        < 0.05
    )
    assert np.linalg.norm([velocity.x, velocity.y, velocity.z]) < 0.3


def test_an_image_waits_for_its_transforms_and_keeps_its_place(lookup, bench):
    one = start(bench)
    one.stop_time()
    one.send('/tf', tf(0))
    one.send('visual_features', seen(0), seen(1), seen(2))
    assert one.until(lambda: len(one.heard) == 1) and not one.until(
        lambda: len(one.heard) > 1, 0.3
    )
    one.send('/tf', tf(2))
    assert one.until(lambda: len(one.heard) == 3)
    stamps = [m.header.stamp for m in one.heard]
    assert stamps == [header(stamp(f), '').stamp for f in range(3)] and not one.counted(
        'transform'
    )


def test_transforms_that_are_a_little_old_stand_in_and_missing_ones_drop_the_image(
    lookup, bench, capfd
):
    one = start(bench, tf_wait=0.05, tf_max_age=0.1)
    one.send('/tf', tf(0))
    one.send('visual_features', seen(0), seen(1))  # 40 ms after the last transform
    assert (
        one.until(lambda: len(one.heard) == 2)
        and one.counted('transforms older than their image') == 1
    )
    one.send('visual_features', seen(10))
    assert (
        one.until(lambda: one.counted('images dropped: no transform') == 1) and len(one.heard) == 2
    )
    assert 'images dropped: no transform' in capfd.readouterr().err


def test_a_frame_that_nobody_publishes_is_named(bench, monkeypatch, capfd):
    monkeypatch.setattr(transforms, 'make_lookup', transforms.OwnLookup)
    one = start(bench, reference_frame='map', tf_wait=0.0)
    one.send('/tf', tf(0))
    one.send('visual_features', seen(0))
    assert one.until(lambda: one.counted('images dropped: no transform') == 1)
    assert "nobody publishes the frame 'map' on /tf" in capfd.readouterr().err


@pytest.mark.slow
def test_a_clock_set_back_starts_anew(lookup, bench):
    """tf2_ros loses the first image of the new round: its buffer must be cleared first."""
    one = start(bench)
    wanted = 10 if transforms.make_lookup is transforms.OwnLookup else 9
    for f in (*range(100, 105), *range(5)):
        one.send('/tf', tf(f))
        one.send('visual_features', seen(f))
    assert one.until(lambda: len(one.heard) >= wanted) and one.counted('tracker: resets') == 1


def test_sound_is_left_out_while_the_head_turns(bench):
    """By the joints of NAO's neck."""
    one = bench(
        TrackerNode,
        {
            'visual_features': VisualFeatures,
            'audio_features': AudioFeatures,
            'joint_states': JointState,
        },
        ('tracks', TrackArray),
        head='nao',
    )

    def sound(ms):
        subbands = 16
        shape = (subbands, 48)
        features = Features(
            ms * 10**6,
            0.9,
            np.ones(shape),
            np.ones(shape, bool),
            np.ones(subbands),
            np.ones(subbands, bool),
        )
        return audio_features_to_msg(features, 'Head')

    voices = []
    for ms, angle in ((5000, 0.0), (5100, 0.1), (6000, 0.1), (6100, 0.1)):
        one.send('joint_states', joints(ms * 10**6, angle))
        before = one.counted('sounds left out')
        one.heard.clear()
        one.send('audio_features', sound(ms + 50))
        nobody = VisibleFaces((ms + 50) * 10**6, ())
        one.send('visual_features', visual_features_to_msg(nobody, HEAD.camera.frame))
        assert one.until(lambda: one.heard), 'one frame of both'
        voices.append(one.counted('sounds left out') - before)
    assert voices == [0, 1, 0, 0]


def test_a_broken_transform_is_refused_and_the_node_goes_on(lookup, bench):
    """Regression: a quaternion of length 0 ended the process."""
    one = start(bench)
    broken = transform_to_msg(RigidTransform(), 'odom', 'broken', stamp(0))
    broken.transform.rotation.w = float('nan')
    one.send('/tf', tf(0, broken))
    one.send('visual_features', seen(0))
    assert one.until(lambda: len(one.heard) == 1) and not one.counted('transforms older')


@pytest.mark.slow
def test_a_loop_longer_than_tf_remembers_starts_anew(lookup, bench):
    """Regression: tf2_ros refused the second round of a bag for ever.

    Its own newest transform was more than ten seconds newer.
    """
    one = start(bench)
    for f in (*range(300, 305), *range(8)):
        one.send('/tf', tf(f))
        one.send('visual_features', seen(f))
    assert one.until(lambda: len(one.heard) >= 5 + 6), one.node.diagnostics.counters


@pytest.mark.slow
def test_an_image_that_waits_when_the_clock_is_set_back_holds_nothing_up(lookup, bench):
    """Regression: the last image of a round waited until the clock had caught up.

    All others waited behind it.
    """
    one, clock = start(bench), [100 * 10**9]
    one.node.now_ns = lambda: clock[0]
    one.send('/tf', tf(100))
    one.send('visual_features', seen(100), seen(101))
    assert len(one.heard) == 1
    clock[0] -= 4 * 10**9
    for f in range(5):
        one.send('/tf', tf(f))
        one.send('visual_features', seen(f))
    assert one.until(lambda: len(one.heard) >= 5), one.node.diagnostics.counters


@pytest.mark.slow
def test_a_node_configured_again_listens_once(lookup, bench):
    one = start(bench)

    def listens():
        return sum(s.topic_name in ('/tf', '/tf_static') for s in one.node.subscriptions)

    assert listens() == 2
    for _ in range(2):
        one.node.trigger_deactivate()
        one.node.trigger_cleanup()
        assert one.node.start()
    assert listens() == 2


def test_the_poses_are_those_of_the_frame_asked_for(lookup, bench):
    """What the visualizer needs when the tracks are in another frame than reference_frame.

    Those of mode minimal stay in the base.
    """
    one = start(bench)
    one.send('/tf', tf(10))
    poses = one.node._poses
    np.testing.assert_allclose(
        poses.near(stamp(10), HEAD.base_frame).reference_from_optical.translation,
        HEAD.camera.base_from_optical.translation,
        atol=1e-9,
    )
    expected = turned(10) @ HEAD.camera.base_from_optical
    np.testing.assert_allclose(
        poses.near(stamp(10)).reference_from_optical.translation, expected.translation, atol=1e-9
    )


def joints(stamp_ns, angle, **fields):
    return JointState(
        header=header(stamp_ns, ''), name=['LElbow', 'HeadYaw'], position=[9.0, angle], **fields
    )


def start_nao(bench):
    inputs = {
        'visual_features': VisualFeatures,
        'audio_features': AudioFeatures,
        'joint_states': JointState,
    }
    return bench(TrackerNode, inputs, ('tracks', TrackArray), head='nao')


@pytest.mark.slow
def test_two_publishers_of_joint_states_are_named(bench):
    """Regression: two of them made the robot deaf, and nothing said why."""
    one = start_nao(bench)
    statuses = one.listen_to_diagnostics()
    assert one.until(lambda: len(statuses) >= 2)

    def values():
        return {value.key for status in statuses for value in status.values}

    assert not any('publish /joint_states' in key for key in values())
    second = rclpy.create_node('wheels', context=one.client.context)
    second.create_publisher(JointState, 'joint_states', 10)
    try:
        assert one.until(lambda: 'two nodes publish /joint_states: bench, wheels' in values())
    finally:
        second.destroy_node()


def test_the_last_bit_of_an_encoder_leaves_no_sound_out_and_a_velocity_does(bench):
    """Regression: one bit over 2 ms was taken for a turn.

    Also without stamps: then the moment of receipt counts.
    """
    one = start_nao(bench)
    for k in range(60):
        now = one.node.get_clock().now().nanoseconds
        one.publishers['joint_states'].publish(joints(now, 0.0015 * (k % 2)))
        one.executor.spin_once(timeout_sec=0.002)
    one.until(lambda: False, 0.3)
    assert not one.node._motion._all._turns
    one.send('joint_states', joints(0, 0.0, velocity=[0.0]))  # of a wrong length: not read
    assert not one.node._motion._all._turns
    one.publishers['joint_states'].publish(joints(0, 0.0, velocity=[0.0, 1.0]))
    assert one.until(lambda: one.node._motion._fast._turns)
