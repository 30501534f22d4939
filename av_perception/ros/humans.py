# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Humans as messages: REP-155 topics, one set of publishers per id, and the detections and people that other packages read."""

from __future__ import annotations

import importlib

import cv2
import numpy as np
from geometry_msgs.msg import Point
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String

from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.hri.people import Human, HumansFrame
from av_perception.ros import qos
from av_perception.ros.conversions import header, image_to_msg, transform_to_msg

HEAD_SIZE_M = 0.22
FACE_FORWARD_M = 0.1  # from the middle of the head to between the eyes


def optional_messages(package: str):
    """The message module of a package that not every robot has. Raises UserError that says how to install it."""
    try:
        return importlib.import_module(f'{package}.msg')
    except ImportError as error:
        raise UserError(
            f'{package} is not installed: apt-get install ros-$ROS_DISTRO-{package.replace("_", "-")}'
        ) from error


class TopicsOfIds:
    """Publishers below /humans that come and go with the ids. The lists are told with every frame, and latched for who comes later."""

    def __init__(self, node):
        """Raises UserError without hri_msgs."""
        self._node, self._messages = node, optional_messages('hri_msgs')
        self._persons = node.value('persons')
        lists = (
            *(('persons/tracked', 'persons/known') if self._persons else ()),
            'faces/tracked',
            'voices/tracked',
        )
        self._lists = {
            name: node.publisher(self._messages.IdsList, f'/humans/{name}', qos.LATCHED)
            for name in lists
        }
        self._matches = node.publisher(
            self._messages.IdsMatch, '/humans/candidate_matches', QoSProfile(depth=100)
        )
        self._publishers: dict[str, dict] = {}  # prefix of an id -> topic -> publisher
        self._latched: dict[str, object] = {}

    def wants_crops(self) -> bool:
        """Whether somebody looks at any cropped face."""
        return any(
            topics['cropped'].get_subscription_count()
            for topics in self._publishers.values()
            if 'cropped' in topics
        )

    def publish(self, frame: HumansFrame, camera, image: np.ndarray | None) -> None:
        """Everything of one frame. camera: CameraGeometry, None for sound alone; image: the rectified left image of the stamp, None without."""
        people = frame.people
        self._tell_lists(frame)
        living = set()
        for human in people:
            if self._persons:
                living |= {self._person(human)}
            if human.face and camera is not None:
                living |= {self._face(human, frame.stamp_ns, camera, image)}
            if human.voice:
                living |= {self._voice(human)}
        for prefix in self._publishers.keys() - living:
            self._discard(prefix)
        for match in frame.matches:
            kind = (
                self._messages.IdsMatch.FACE
                if match.kind == 'face'
                else self._messages.IdsMatch.VOICE
            )
            self._matches.publish(
                self._messages.IdsMatch(
                    id1=match.part,
                    id1_type=kind,
                    id2=match.person,
                    id2_type=self._messages.IdsMatch.PERSON,
                    confidence=float(match.confidence),
                )
            )

    def close(self) -> None:
        """Take down the publishers of all ids."""
        for prefix in list(self._publishers):
            self._discard(prefix)

    def _tell_lists(self, frame: HumansFrame) -> None:
        people = frame.people
        ids = {
            'persons/tracked': [h.person for h in people if h.tracked],
            'persons/known': [h.person for h in people],
            'faces/tracked': [h.face for h in people if h.face],
            'voices/tracked': [h.voice for h in people if h.voice],
        }
        for name, publisher in self._lists.items():
            publisher.publish(
                self._messages.IdsList(header=header(frame.stamp_ns, ''), ids=ids[name])
            )

    def _person(self, human: Human) -> str:
        prefix = f'persons/{human.person}'
        self._latch(prefix, 'anonymous', Bool(data=True))
        self._latch(prefix, 'face_id', String(data=human.face))
        self._latch(prefix, 'voice_id', String(data=human.voice))
        self._topic(prefix, 'location_confidence', Float32).publish(
            Float32(data=float(human.location_confidence))
        )
        return prefix

    def _face(self, human: Human, stamp_ns: int, camera, image: np.ndarray | None) -> str:
        prefix = f'faces/{human.face}'
        roi, cropped = (
            self._topic(prefix, 'roi', self._messages.NormalizedRegionOfInterest2D),
            self._topic(prefix, 'cropped', Image),
        )
        if human.seen:
            x, y, width, height = human.track.box
            corners = np.clip(
                np.array(
                    [
                        x / camera.width,
                        y / camera.height,
                        (x + width) / camera.width,
                        (y + height) / camera.height,
                    ]
                ),
                0.0,
                1.0,
            )
            roi.publish(
                self._messages.NormalizedRegionOfInterest2D(
                    header=header(stamp_ns, camera.frame),
                    c=float(human.face_confidence),
                    **dict(zip(('xmin', 'ymin', 'xmax', 'ymax'), corners.tolist())),
                )
            )
            if image is not None and cropped.get_subscription_count():
                size = self._node.value('face_width'), self._node.value('face_height')
                cropped.publish(
                    image_to_msg(
                        cropped_face(image, human.track.box, size), stamp_ns, camera.frame
                    )
                )
        return prefix

    def _voice(self, human: Human) -> str:
        prefix = f'voices/{human.voice}'
        self._topic(prefix, 'is_speaking', Bool).publish(Bool(data=human.speaking))
        return prefix

    def _topic(self, prefix: str, name: str, kind, latched: bool = False):
        topics = self._publishers.setdefault(prefix, {})
        if name not in topics:
            topics[name] = self._node.create_publisher(
                kind, f'/humans/{prefix}/{name}', qos.LATCHED if latched else qos.FEATURES
            )
        return topics[name]

    def _latch(self, prefix: str, name: str, message) -> None:
        """Publish what stays, when it has changed."""
        if self._latched.get(f'{prefix}/{name}') != message.data:
            self._latched[f'{prefix}/{name}'] = message.data
            self._topic(prefix, name, type(message), latched=True).publish(message)

    def _discard(self, prefix: str) -> None:
        for name, publisher in self._publishers.pop(prefix).items():
            self._latched.pop(f'{prefix}/{name}', None)
            self._node.destroy_publisher(publisher)


def cropped_face(image: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) image and box [px] -> (height, width, 3): the face scaled to fit, centred, the rest 0."""
    x, y, width, height = box
    left, top, right, bottom = (
        int(v)
        for v in np.clip(
            np.round((x, y, x + width, y + height)), 0, (image.shape[1], image.shape[0]) * 2
        )
    )
    result = np.zeros((size[1], size[0], 3), np.uint8)
    if right <= left or bottom <= top:
        return result
    scale = min(size[0] / (right - left), size[1] / (bottom - top))
    face = cv2.resize(
        image[top:bottom, left:right],
        (max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top)))),
        interpolation=cv2.INTER_AREA,
    )
    row, column = (size[1] - face.shape[0]) // 2, (size[0] - face.shape[1]) // 2
    result[row : row + face.shape[0], column : column + face.shape[1]] = face
    return result


def human_transforms(
    frame: HumansFrame, frame_id: str, camera_position: np.ndarray, persons: bool = True
) -> list:
    """Frames face_<id>, voice_<id> and, of who has a place, person_<id>, which coincides with the face. camera_position: (3,) [m] in `frame_id`.

    REP-155: x out of the face, z up, origin between the eyes. We do not know where a head looks: the face is taken to look at the camera, and no
    gaze_<id> is published. The orientation of a voice means nothing.
    """
    transforms = []
    for human in frame.people:
        pose = _face_pose(human.track.mean[:3], camera_position)
        names = (
            [f'person_{human.person}'] * (human.located and persons)
            + [f'face_{human.face}'] * bool(human.face)
            + [f'voice_{human.voice}'] * bool(human.voice)
        )
        transforms += [transform_to_msg(pose, frame_id, name, frame.stamp_ns) for name in names]
    return transforms


def _face_pose(head: np.ndarray, camera: np.ndarray) -> RigidTransform:
    forward = camera - head
    yaw = np.arctan2(forward[1], forward[0])
    c, s = np.cos(yaw), np.sin(yaw)
    rotation = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return RigidTransform(rotation, head + FACE_FORWARD_M * rotation[:, 0])


def detections_message(frame: HumansFrame, frame_id: str, messages):
    """vision_msgs/Detection3DArray of everybody who has a place: class person, score the location confidence."""
    detections = []
    for human in (h for h in frame.people if h.located):
        one = messages.Detection3D(header=header(frame.stamp_ns, frame_id), id=human.person)
        result = messages.ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = (
            'person',
            float(human.location_confidence),
        )
        result.pose.pose.position = _point(human.track.mean)
        result.pose.pose.orientation.w = 1.0
        covariance = np.zeros((6, 6))
        covariance[:3, :3], covariance[3:, 3:] = (
            human.track.covariance[:3, :3],
            np.eye(3) * np.pi**2,
        )  # the orientation is unknown
        result.pose.covariance = covariance.ravel()
        one.results, one.bbox.center = [result], result.pose.pose
        one.bbox.size.x = one.bbox.size.y = one.bbox.size.z = HEAD_SIZE_M
        detections.append(one)
    return messages.Detection3DArray(
        header=header(frame.stamp_ns, frame_id), detections=detections
    )


def people_message(frame: HumansFrame, frame_id: str, messages):
    """people_msgs/People of everybody who has a place."""
    people = [
        messages.Person(
            name=h.person,
            position=_point(h.track.mean),
            velocity=_point(h.track.mean[3:]),
            reliability=float(h.location_confidence),
            tagnames=['speaking'],
            tags=[str(h.speaking).lower()],
        )
        for h in frame.people
        if h.located
    ]
    return messages.People(header=header(frame.stamp_ns, frame_id), people=people)


def _point(vector) -> Point:
    return Point(x=float(vector[0]), y=float(vector[1]), z=float(vector[2]))
