# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as messages of other packages: frames of REP-155, detections, people_msgs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, TransformStamped

from av_perception.geometry.rigid_transform import BODY_FROM_OPTICAL, RigidTransform
from av_perception.hri.people import Human, HumansFrame
from av_perception.ros.conversions import header, transform_to_msg
from av_perception.ros.conversions.arrays import xyz

HEAD_SIZE_M = 0.22
FACE_FORWARD_M = 0.1  # from the middle of the head to between the eyes
UNKNOWN_ANGLE_VARIANCE = np.pi**2  # [rad^2]


def human_transforms(
    frame: HumansFrame,
    frame_id: str,
    camera_position: np.ndarray,
    persons: bool = True,
    orientations: Mapping[int, np.ndarray] = MappingProxyType({}),
) -> list[TransformStamped]:
    """Make the frames of the people.

    They are face_<id>, voice_<id> and, of who has a place, person_<id>, which coincides with the
    face. REP-155: x out of the face, z up, origin between the eyes. Of whom the orientation of the
    head is known there is gaze_<id> too, z out of the face and y down; the face of others is taken
    to look at the camera. The orientation of a voice means nothing.

    Parameters
    ----------
    frame : HumansFrame
        The people.
    frame_id : str
        The frame in which they are tracked.
    camera_position : ndarray
        (3,) [m] in `frame_id`.
    persons : bool
        Whether to make person_<id>.
    orientations : mapping
        (3, 3) from the head frame to `frame_id` by the number of the track, where it is known.
    """
    transforms = []
    for human in frame.people:
        rotation = orientations.get(human.track.id)
        poses = _frames(human, rotation, camera_position, persons)
        transforms += [
            transform_to_msg(pose, frame_id, name, frame.stamp_ns) for name, pose in poses
        ]
    return transforms


def _frames(
    human: Human, rotation: np.ndarray | None, camera_position: np.ndarray, persons: bool
) -> list[tuple[str, RigidTransform]]:
    """Give names and poses of the frames of one person; see `human_transforms`."""
    if rotation is None:
        pose = _face_pose(human.track.mean[:3], camera_position)
    else:
        pose = _turned_pose(human.track.mean[:3], rotation)
    frames = []
    if human.located and persons:
        frames.append((f'person_{human.person}', pose))
    if human.face:
        frames.append((f'face_{human.face}', pose))
    if human.voice:
        frames.append((f'voice_{human.voice}', pose))
    if human.face and rotation is not None:
        frames.append((f'gaze_{human.face}', pose @ RigidTransform(BODY_FROM_OPTICAL)))
    return frames


def _face_pose(head: np.ndarray, camera: np.ndarray) -> RigidTransform:
    forward = camera - head
    yaw = np.arctan2(forward[1], forward[0])
    cosine = np.cos(yaw)
    sine = np.sin(yaw)
    rotation = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return _turned_pose(head, rotation)


def _turned_pose(head: np.ndarray, rotation: np.ndarray) -> RigidTransform:
    return RigidTransform(rotation, head + FACE_FORWARD_M * rotation[:, 0])


def detections_message(frame: HumansFrame, frame_id: str, messages: Any):
    """Make the vision_msgs/Detection3DArray of everybody who has a place.

    The class is person, the score the location confidence.

    Parameters
    ----------
    frame : HumansFrame
        The people.
    frame_id : str
        The frame in which they are tracked.
    messages : module
        vision_msgs.msg.
    """
    stamp = header(frame.stamp_ns, frame_id)
    detections = []
    for human in frame.people:
        if human.located:
            detection = messages.Detection3D(header=stamp, id=human.person)
            result = _hypothesis(human, messages)
            detection.results = [result]
            detection.bbox.center = result.pose.pose
            size = detection.bbox.size
            size.x = size.y = size.z = HEAD_SIZE_M
            detections.append(detection)
    return messages.Detection3DArray(header=stamp, detections=detections)


def _hypothesis(human: Human, messages: Any):
    """Make the vision_msgs/ObjectHypothesisWithPose of a person."""
    result = messages.ObjectHypothesisWithPose()
    result.hypothesis.class_id = 'person'
    result.hypothesis.score = float(human.location_confidence)
    result.pose.pose.position = Point(**xyz(human.track.mean[:3]))
    result.pose.pose.orientation.w = 1.0
    covariance = UNKNOWN_ANGLE_VARIANCE * np.eye(6)
    covariance[:3, :3] = human.track.covariance[:3, :3]
    result.pose.covariance = covariance.ravel()
    return result


def people_message(frame: HumansFrame, frame_id: str, messages: Any):
    """Make the people_msgs/People of everybody who has a place.

    Parameters
    ----------
    frame : HumansFrame
        The people.
    frame_id : str
        The frame in which they are tracked.
    messages : module
        people_msgs.msg.
    """
    people = [
        messages.Person(
            name=human.person,
            position=Point(**xyz(human.track.mean[:3])),
            velocity=Point(**xyz(human.track.mean[3:])),
            reliability=float(human.location_confidence),
            tagnames=['speaking'],
            tags=[str(human.speaking).lower()],
        )
        for human in frame.people
        if human.located
    ]
    return messages.People(header=header(frame.stamp_ns, frame_id), people=people)
