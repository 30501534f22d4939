# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The node ros4hri_bridge with the real message types, read as libhri reads it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import HeadPoseArray, SpeakingStatusArray, TrackArray
from human_frames import BOX, frames, person
from interface_packages import build_overlay
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_bench import Rig
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String
from tf2_msgs.msg import TFMessage

from av_perception.interfaces import HeadPoseEstimate, HeadPoseFrame, LifeState
from av_perception.nodes.ros4hri_bridge import Ros4HriBridgeNode
from av_perception.robot_head import load_head
from av_perception.ros import qos
from av_perception.ros.conversions import (
    head_pose_frame_to_msg,
    image_to_msg,
    speaking_frame_to_msg,
    track_frame_to_msg,
)
from av_perception.ros.hri_topics import cropped_face

pytestmark = pytest.mark.slow
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module')
def messages():
    """hri_msgs, vision_msgs and people_msgs in this process."""
    build_overlay('hri_msgs', 'vision_msgs', 'people_msgs').load()


class Robot(Rig):
    """The bridge, what publishes to it, and a client that listens to any topic."""

    def __init__(self, context, **parameters):
        values = {'head': 'simulated', **parameters}
        bridge = Ros4HriBridgeNode(
            context=context,
            parameter_overrides=[Parameter(n, value=v) for n, v in values.items()],
        )
        self.client = rclpy.create_node('client', context=context)
        super().__init__(bridge, self.client)
        self.tracks = self.client.create_publisher(TrackArray, 'tracks', qos.FEATURES)
        self.statuses = self.client.create_publisher(
            SpeakingStatusArray, 'speaking_status', qos.FEATURES
        )
        self.images = self.client.create_publisher(Image, 'left/image_raw', qos.IMAGES_OUT)
        self.heard = {}
        self._told = self._count_frames()
        assert self.node.start()
        assert self.until(
            lambda: self.tracks.get_subscription_count() and self.statuses.get_subscription_count()
        )

    def _count_frames(self):
        """How many frames the bridge has told of, in a list that is kept up to date."""
        told = [0]
        tell = self.node._tell

        def counting(*messages):
            tell(*messages)
            told[0] += 1

        self.node._tell = counting
        return told

    def listen(self, kind, topic, profile=10):
        self.heard[topic] = []
        self.client.create_subscription(kind, topic, self.heard[topic].append, profile)
        assert self.until(lambda: self.client.count_publishers(topic) > 0), topic
        self.until_matched(topic)

    def _num_told(self):
        return self._told[0]

    def tell(self, ms, *people):
        before = self._num_told()
        frame, speaking = frames(ms, *people)
        self.tracks.publish(track_frame_to_msg(frame, 'base_link'))
        self.statuses.publish(speaking_frame_to_msg(speaking, 'base_link'))
        assert self.until(lambda: self._num_told() > before)
        self.spin(0.1)

    def latest(self, topic):
        assert self.until(lambda: self.heard[topic]), topic
        return self.heard[topic][-1]


@pytest.fixture()
def robot(messages, ros_context):
    made = []
    yield lambda **parameters: made.append(Robot(ros_context, **parameters)) or made[-1]
    for one in made:
        one.close()


def test_lists_parts_and_matches_of_one_person(robot):
    from hri_msgs.msg import IdsList, IdsMatch, NormalizedRegionOfInterest2D

    one = robot()
    for name in ('persons/tracked', 'persons/known', 'faces/tracked', 'voices/tracked'):
        one.listen(IdsList, f'/humans/{name}')
    one.listen(IdsMatch, '/humans/candidate_matches', 100)
    one.tell(0, person(1, speaks=True, share=0.7, visibility=0.95))
    (who,), (face,), (voice,) = (
        one.latest(f'/humans/{kind}/tracked').ids for kind in ('persons', 'faces', 'voices')
    )
    assert one.latest('/humans/persons/known').ids == [who]
    matches = {
        (m.id1, m.id1_type, m.id2, m.id2_type): m.confidence
        for m in one.heard['/humans/candidate_matches']
    }
    assert matches == {
        (face, IdsMatch.FACE, who, IdsMatch.PERSON): pytest.approx(0.95),
        (voice, IdsMatch.VOICE, who, IdsMatch.PERSON): pytest.approx(0.7),
    }
    # whoever comes late sees what is latched
    for topic, kind, value in (
        ('anonymous', Bool, True),
        ('face_id', String, face),
        ('voice_id', String, voice),
    ):
        one.listen(kind, f'/humans/persons/{who}/{topic}', LATCHED)
        assert one.latest(f'/humans/persons/{who}/{topic}').data == value
    one.listen(Float32, f'/humans/persons/{who}/location_confidence')
    one.listen(Bool, f'/humans/voices/{voice}/is_speaking')
    one.listen(NormalizedRegionOfInterest2D, f'/humans/faces/{face}/roi')
    one.tell(40, person(1, speaks=True, share=0.7))
    assert one.latest(f'/humans/persons/{who}/location_confidence').data == 1.0
    assert one.latest(f'/humans/voices/{voice}/is_speaking').data is True
    roi = one.latest(f'/humans/faces/{face}/roi')
    np.testing.assert_allclose(
        [roi.xmin, roi.ymin, roi.xmax, roi.ymax],
        [300 / 640, 200 / 480, 360 / 640, 280 / 480],
        rtol=1e-6,
    )
    assert roi.header.stamp.nanosec == 40_000_000, 'the stamp of the image'
    one.tell(80, person(1))
    assert one.latest(f'/humans/voices/{voice}/is_speaking').data is False


def test_topics_go_with_the_ids(robot):
    from hri_msgs.msg import IdsList

    one = robot()
    for name in ('persons/tracked', 'persons/known', 'faces/tracked'):
        one.listen(IdsList, f'/humans/{name}')
    one.tell(0, person(1))
    who, face = (
        one.latest('/humans/persons/tracked').ids[0],
        one.latest('/humans/faces/tracked').ids[0],
    )
    one.tell(2000, person(1, seen=False, state=LifeState.SLEEPING))
    assert one.latest('/humans/persons/tracked').ids == [] and one.latest(
        '/humans/persons/known'
    ).ids == [who]
    assert one.until(lambda: one.client.count_publishers(f'/humans/faces/{face}/roi') == 0)
    assert one.client.count_publishers(f'/humans/persons/{who}/anonymous') == 1
    one.tell(2040)
    assert one.latest('/humans/persons/known').ids == []
    assert one.until(lambda: one.client.count_publishers(f'/humans/persons/{who}/anonymous') == 0)


def test_frames_of_who_has_a_place_only_and_faces_look_at_the_camera(robot):
    from hri_msgs.msg import IdsList

    one = robot()
    one.listen(TFMessage, '/tf', 100)
    one.listen(IdsList, '/humans/persons/tracked')
    one.tell(0, person(1), person(2, seen=False, ever_seen=False, speaks=True))
    sent = {t.child_frame_id: t for t in one.latest('/tf').transforms}
    seen, heard = one.latest('/humans/persons/tracked').ids
    kinds = sorted(name.split('_')[0] for name in sent)
    assert (
        kinds == ['face', 'person', 'voice']
        and f'person_{seen}' in sent
        and f'person_{heard}' not in sent
    )
    pose = sent[f'person_{seen}'].transform
    camera = load_head('simulated').camera.base_from_optical.translation
    q = pose.rotation
    forward = np.array([1 - 2 * q.z**2, 2 * q.z * q.w, 0.0])  # a turn about z
    toward = camera - np.array([2.0, 0.2, 0.1])
    np.testing.assert_allclose(forward[:2], toward[:2] / np.linalg.norm(toward[:2]), atol=1e-6)
    assert q.x == q.y == 0.0 and pose.translation.x == pytest.approx(2.0 + 0.1 * forward[0])


def test_cropped_faces_are_cut_from_the_very_image_when_somebody_looks(robot):
    from hri_msgs.msg import IdsList

    one = robot(face_width=64, face_height=64)
    one.listen(IdsList, '/humans/faces/tracked')
    one.tell(0, person(1))
    face = one.latest('/humans/faces/tracked').ids[0]
    one.listen(Image, f'/humans/faces/{face}/cropped')
    assert one.until(lambda: one.images.get_subscription_count() > 0)
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[200:280, 300:360] = (10, 200, 30)
    for ms, image in ((40, np.full_like(picture, 255)), (80, picture)):
        message = image_to_msg(image, 10**9 + ms * 10**6, 'left_camera_optical')
        one.deliver(one.images, message)
    one.tell(80, person(1))
    message = one.latest(f'/humans/faces/{face}/cropped')
    crop = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)
    assert (
        crop.shape == (64, 64, 3)
        and (crop[:, 8:56] == (10, 200, 30)).all()
        and not crop[:, :8].any()
        and not crop[:, 56:].any()
    )


@pytest.mark.parametrize(
    'box',
    [
        BOX,
        np.array([-30.0, -30.0, 60.0, 60.0]),
        np.array([620.0, 470.0, 100.0, 100.0]),
        np.array([700.0, 0.0, 5.0, 5.0]),
        np.zeros(4),
    ],
)
def test_crops_at_the_border_are_padded(box):
    crop = cropped_face(np.full((480, 640, 3), 9, np.uint8), box, (128, 96))
    assert crop.shape == (96, 128, 3) and set(np.unique(crop)) <= {0, 9}


def test_detections_and_people_behind_their_switches(robot):
    from people_msgs.msg import People
    from vision_msgs.msg import Detection3DArray

    one = robot(humans=False, detections=True, people=True)
    one.listen(Detection3DArray, '/detections')
    one.listen(People, '/people')
    one.tell(0, person(1, speaks=True), person(2, seen=False, ever_seen=False, speaks=True))
    (detection,), (somebody,) = one.latest('/detections').detections, one.latest('/people').people
    assert (
        detection.results[0].hypothesis.class_id == 'person'
        and detection.bbox.center.position.x == 2.0
        and detection.id == somebody.name
    )
    assert (
        detection.results[0].pose.covariance[0] == pytest.approx(1e-4)
        and somebody.velocity.x == pytest.approx(0.3)
        and somebody.tags == ['true']
    )
    assert one.client.count_publishers('/humans/persons/tracked') == 0


def test_a_person_manager_makes_persons_of_our_parts(robot):
    from hri_msgs.msg import IdsList, IdsMatch

    one = robot(persons=False)
    one.listen(IdsList, '/humans/faces/tracked')
    one.listen(IdsMatch, '/humans/candidate_matches', 100)
    one.listen(TFMessage, '/tf', 100)
    one.tell(0, person(1))
    (face,) = one.latest('/humans/faces/tracked').ids
    assert (
        one.latest('/humans/candidate_matches').id1 == face
        and one.client.count_publishers('/humans/persons/tracked') == 0
    )
    assert [t.child_frame_id for t in one.latest('/tf').transforms] == [f'face_{face}']


def run_bridge(*parameters):
    command = [
        sys.executable,
        '-m',
        'av_perception.nodes.ros4hri_bridge',
        '--ros-args',
        *(w for p in parameters for w in ('-p', p)),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_what_cannot_be_published_is_said_with_what_to_install():
    result = run_bridge('publish_tf:=false', 'detections:=true')
    output = result.stdout + result.stderr
    assert result.returncode == 2 and 'Traceback' not in output
    for line in (
        'humans are not published: hri_msgs is not installed: '
        'apt-get install ros-$ROS_DISTRO-hri-msgs',
        'detections are not published: vision_msgs is not installed: '
        'apt-get install ros-$ROS_DISTRO-vision-msgs',
        'nothing is left to publish',
    ):
        assert output.count(line) == 1


def test_faces_have_their_orientation_and_looks_are_told(robot):
    from hri_msgs.msg import Gaze, IdsList

    one = robot()
    heads = one.client.create_publisher(HeadPoseArray, 'head_poses', qos.FEATURES)
    one.listen(IdsList, '/humans/persons/tracked')
    one.listen(Gaze, '/humans/interactions/gaze')
    one.listen(TFMessage, '/tf')
    assert one.until(lambda: heads.get_subscription_count() > 0)
    one.tell(0, person(1))
    turned = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    known = HeadPoseEstimate(1, turned, np.eye(3) * 0.01, 1, 0.9, True)
    frame = HeadPoseFrame(10**9 + 40_000_000, (known,))
    one.deliver(heads, head_pose_frame_to_msg(frame, 'base_link'))
    one.tell(80, person(1))
    (who,) = one.latest('/humans/persons/tracked').ids
    gaze = one.latest('/humans/interactions/gaze')
    assert (gaze.sender, gaze.receiver) == (who, '')
    names = {t.child_frame_id[:5] for t in one.latest('/tf').transforms}
    assert 'gaze_' in names
    one.tell(1000, person(1))
    assert 'gaze_' not in {t.child_frame_id[:5] for t in one.latest('/tf').transforms}
    assert len(one.heard['/humans/interactions/gaze']) == 1, 'old head poses say nothing'
