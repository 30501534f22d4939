# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""REP-155 topics below /humans, one set of publishers for each id."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, String

from av_perception.errors import UserError
from av_perception.hri.people import Human, HumansFrame, Match
from av_perception.robot_head import CameraGeometry
from av_perception.ros import qos
from av_perception.ros.conversions import header, image_to_msg

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

MATCHES = QoSProfile(depth=100)


def optional_messages(package: str) -> ModuleType:
    """Import the messages of a package that not every robot has.

    Raises
    ------
    UserError
        When it is not installed; it says how to.
    """
    try:
        return importlib.import_module(f'{package}.msg')
    except ImportError as error:
        name = package.replace('_', '-')
        raise UserError(
            f'{package} is not installed: apt-get install ros-$ROS_DISTRO-{name}'
        ) from error


class TopicsOfIds:
    """Publishers below /humans that come and go with the ids.

    The lists are told with every frame, and latched for who comes later.
    """

    def __init__(self, node: PerceptionNode):
        """Make the publishers that stay.

        Parameters
        ----------
        node : PerceptionNode
            It has the parameters `persons`, `face_width` and `face_height`.

        Raises
        ------
        UserError
            Without hri_msgs.
        """
        self._node = node
        self._messages: Any = optional_messages('hri_msgs')
        self._tells_persons = node.value('persons')
        lists = ['faces/tracked', 'voices/tracked']
        if self._tells_persons:
            lists = ['persons/tracked', 'persons/known', *lists]
        self._lists = {
            name: node.publisher(self._messages.IdsList, f'/humans/{name}', qos.LATCHED)
            for name in lists
        }
        self._matches = node.publisher(
            self._messages.IdsMatch, '/humans/candidate_matches', MATCHES
        )
        self._gazes: Any = None
        if self._tells_persons and hasattr(self._messages, 'Gaze'):
            self._gazes = node.publisher(
                self._messages.Gaze, '/humans/interactions/gaze', qos.FEATURES
            )
        # Of each prefix of an id, as faces/abcde: publisher by topic.
        self._publishers: dict[str, dict[str, Publisher]] = {}
        self._latched: dict[str, object] = {}

    def publish_gazes(
        self, stamp_ns: int, frame_id: str, gazes: Iterable[tuple[str, str]]
    ) -> None:
        """Publish who faces whom below /humans/interactions.

        Parameters
        ----------
        stamp_ns, frame_id : int, str
            Of the head poses [ns].
        gazes : iterable of (str, str)
            Ids of persons, the one who looks and the one looked at; '' is the robot.
        """
        for sender, receiver in gazes:
            self._gazes.publish(
                self._messages.Gaze(
                    header=header(stamp_ns, frame_id), sender=sender, receiver=receiver
                )
            )

    @property
    def tells_gazes(self) -> bool:
        """Whether the installed hri_msgs can tell who faces whom, and persons are told of."""
        return self._gazes is not None

    def wants_crops(self) -> bool:
        """Tell whether somebody looks at any cropped face."""
        return any(
            topics['cropped'].get_subscription_count()
            for topics in self._publishers.values()
            if 'cropped' in topics
        )

    def publish(
        self, frame: HumansFrame, camera: CameraGeometry | None, image: np.ndarray | None
    ) -> None:
        """Publish everything of one frame.

        Parameters
        ----------
        frame : HumansFrame
            The people.
        camera : CameraGeometry or None
            None for sound alone.
        image : ndarray or None
            The rectified left image of the stamp, (H, W, 3) uint8 BGR; None without.
        """
        self._publish_lists(frame)
        living = set()
        for human in frame.people:
            if self._tells_persons:
                living.add(self._publish_person(human))
            if human.face and camera is not None:
                living.add(self._publish_face(human, frame.stamp_ns, camera, image))
            if human.voice:
                living.add(self._publish_voice(human))
        for prefix in self._publishers.keys() - living:
            self._discard(prefix)
        for match in frame.matches:
            self._publish_match(match)

    def close(self) -> None:
        """Take down the publishers of all ids."""
        for prefix in list(self._publishers):
            self._discard(prefix)

    def _publish_lists(self, frame: HumansFrame) -> None:
        people = frame.people
        ids = {
            'persons/tracked': [human.person for human in people if human.tracked],
            'persons/known': [human.person for human in people],
            'faces/tracked': [human.face for human in people if human.face],
            'voices/tracked': [human.voice for human in people if human.voice],
        }
        stamp = header(frame.stamp_ns, '')
        for name, publisher in self._lists.items():
            publisher.publish(self._messages.IdsList(header=stamp, ids=ids[name]))

    def _publish_match(self, match: Match) -> None:
        kinds = self._messages.IdsMatch
        self._matches.publish(
            kinds(
                id1=match.part,
                id1_type=kinds.FACE if match.kind == 'face' else kinds.VOICE,
                id2=match.person,
                id2_type=kinds.PERSON,
                confidence=float(match.confidence),
            )
        )

    def _publish_person(self, human: Human) -> str:
        prefix = f'persons/{human.person}'
        self._latch(prefix, 'anonymous', Bool(data=True))
        self._latch(prefix, 'face_id', String(data=human.face))
        self._latch(prefix, 'voice_id', String(data=human.voice))
        confidence = Float32(data=float(human.location_confidence))
        self._topic(prefix, 'location_confidence', Float32).publish(confidence)
        return prefix

    def _publish_face(
        self, human: Human, stamp_ns: int, camera: CameraGeometry, image: np.ndarray | None
    ) -> str:
        prefix = f'faces/{human.face}'
        roi = self._topic(prefix, 'roi', self._messages.NormalizedRegionOfInterest2D)
        cropped = self._topic(prefix, 'cropped', Image)
        box = human.track.box
        if box is None:
            return prefix
        stamp = header(stamp_ns, camera.frame)
        roi.publish(
            self._messages.NormalizedRegionOfInterest2D(
                header=stamp, c=float(human.face_confidence), **_normalized(box, camera)
            )
        )
        if image is not None and cropped.get_subscription_count():
            size = (self._node.value('face_width'), self._node.value('face_height'))
            cropped.publish(image_to_msg(cropped_face(image, box, size), stamp_ns, camera.frame))
        return prefix

    def _publish_voice(self, human: Human) -> str:
        prefix = f'voices/{human.voice}'
        self._topic(prefix, 'is_speaking', Bool).publish(Bool(data=human.speaking))
        return prefix

    def _topic(self, prefix: str, name: str, kind: type, latched: bool = False) -> Publisher:
        topics = self._publishers.setdefault(prefix, {})
        if name not in topics:
            profile = qos.LATCHED if latched else qos.FEATURES
            topics[name] = self._node.create_publisher(kind, f'/humans/{prefix}/{name}', profile)
        return topics[name]

    def _latch(self, prefix: str, name: str, message: Bool | String) -> None:
        """Publish what stays, when it has changed."""
        if self._latched.get(f'{prefix}/{name}') != message.data:
            self._latched[f'{prefix}/{name}'] = message.data
            self._topic(prefix, name, type(message), latched=True).publish(message)

    def _discard(self, prefix: str) -> None:
        for name, publisher in self._publishers.pop(prefix).items():
            self._latched.pop(f'{prefix}/{name}', None)
            self._node.destroy_publisher(publisher)


def cropped_face(image: np.ndarray, box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cut a face out of an image.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    box : ndarray
        (4,) left, top, width, height [px].
    size : tuple of int
        Width and height of the result [px].

    Returns
    -------
    ndarray
        (height, width, 3): the face scaled to fit, centered, the rest 0.
    """
    left, top, right, bottom = _inside(box, image.shape[1], image.shape[0])
    result = np.zeros((size[1], size[0], 3), np.uint8)
    if right <= left or bottom <= top:
        return result
    scale = min(size[0] / (right - left), size[1] / (bottom - top))
    width = max(1, round(scale * (right - left)))
    height = max(1, round(scale * (bottom - top)))
    face = cv2.resize(image[top:bottom, left:right], (width, height), interpolation=cv2.INTER_AREA)
    row = (size[1] - height) // 2
    column = (size[0] - width) // 2
    result[row : row + height, column : column + width] = face
    return result


def _inside(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Give left, top, right and bottom of a box as whole pixels of an image of this size."""
    x, y, box_width, box_height = box
    corners = np.round((x, y, x + box_width, y + box_height))
    left, top, right, bottom = np.clip(corners, 0, (width, height, width, height))
    return int(left), int(top), int(right), int(bottom)


def _normalized(box: np.ndarray, camera: CameraGeometry) -> dict[str, float]:
    """Give the fields of a region of interest: a box [px] in shares of the image."""
    x, y, width, height = box
    corners = np.array([x, y, x + width, y + height])
    shares = corners / (camera.width, camera.height, camera.width, camera.height)
    return dict(zip(('xmin', 'ymin', 'xmax', 'ymax'), np.clip(shares, 0.0, 1.0).tolist()))
