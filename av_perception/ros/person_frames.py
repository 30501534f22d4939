# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A frame person_<id> on /tf for everybody who is active."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import LifeState, TrackFrame
from av_perception.ros.conversions import transform_to_msg
from av_perception.ros.parameters import Parameter

PERSON_FRAME_PREFIX = Parameter(
    'person_frame_prefix',
    '',
    'What the names of the frames person_<id> begin with: give each of two robots in one domain '
    'its own, as /tf is of both.',
    is_frame=True,
)
PERSON_FRAMES = (
    Parameter('publish_tf', True, 'Publish a frame person_<id> on /tf for every active person.'),
    PERSON_FRAME_PREFIX,
)


def person_transforms(
    frame: TrackFrame, frame_id: str, prefix: str = ''
) -> list[TransformStamped]:
    """Make the frames of the active tracks.

    Parameters
    ----------
    frame : TrackFrame
        Where they are.
    frame_id : str
        The frame in which they are tracked; theirs are parallel to it.
    prefix : str
        Of their names.
    """
    return [
        transform_to_msg(
            RigidTransform(translation=track.mean[:3]),
            frame_id,
            f'{prefix}person_{track.id}',
            frame.stamp_ns,
        )
        for track in frame.tracks
        if track.state == LifeState.ACTIVE
    ]
