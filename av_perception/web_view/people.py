# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""From tracks, speaking status and head poses to what the web page draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import seconds
from av_perception.interfaces import (
    Attention,
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.visualization.colors import color_of


def page_state(
    frame: TrackFrame,
    speaking: SpeakingFrame,
    reference_from_base: RigidTransform,
    heads: HeadPoseFrame | None = None,
    attention: Attention | None = None,
) -> dict[str, Any]:
    """Describe everybody who is awake, as the robot sees the room.

    Parameters
    ----------
    frame, speaking
        Tracks and speaking status of one moment.
    reference_from_base
        Where the robot is in the frame of the tracks: the page has it in its middle, x upward.
    heads, attention
        How heads are turned, and whom the robot looks at; None where nobody says.

    Returns
    -------
    dict
        For JSON: `stamp_s`, `voice` (somebody speaks) and `people`. Places in meters in the
        robot's base frame (x ahead, y to the left), angles in degrees, counterclockwise.
    """
    statuses = {status.id: status for status in speaking.statuses}
    turned = {head.id: head for head in heads.heads} if heads is not None else {}
    base_from_reference = reference_from_base.inverse()
    people = [
        _person(track, statuses.get(track.id), base_from_reference, frame.stamp_ns)
        | _gaze(turned.get(track.id), base_from_reference)
        | {'looked_at': attention is not None and attention.id == track.id}
        for track in frame.tracks
        if track.state == LifeState.ACTIVE and _is_finite(track)
    ]
    return {
        'stamp_s': seconds(frame.stamp_ns),
        'voice': frame.voice_active,
        'looks_because': '' if attention is None else attention.reason.value,
        'people': people,
    }


def _is_finite(track: TrackEstimate) -> bool:
    return bool(np.isfinite(track.mean[:6]).all() and np.isfinite(track.covariance[:3, :3]).all())


def _person(
    track: TrackEstimate,
    status: SpeakingStatus | None,
    base_from_reference: RigidTransform,
    stamp_ns: int,
) -> dict[str, Any]:
    rotation = base_from_reference.rotation
    place = base_from_reference.apply(track.mean[:3])
    velocity = rotation @ track.mean[3:6]
    spread = rotation @ track.covariance[:3, :3] @ rotation.T
    return {
        'id': track.id,
        'color': '#{:02x}{:02x}{:02x}'.format(*color_of(track.id)),
        'x': _rounded(place[0]),
        'y': _rounded(place[1]),
        'z': _rounded(place[2]),
        'vx': _rounded(velocity[0]),
        'vy': _rounded(velocity[1]),
        # Half axes and heading of the 95 % ellipse on the ground.
        **_ellipse(spread[:2, :2]),
        'range_m': _rounded(math.hypot(*place[:2])),
        'azimuth_deg': _rounded(math.degrees(math.atan2(place[1], place[0])), 1),
        'place_known': track.last_seen_ns > 0,
        'seen': track.seen,
        'heard': track.heard,
        'speaking': bool(status and status.speaking),
        'probability': _rounded(status.probability) if status else 0.0,
        'since_s': _rounded(seconds(stamp_ns - status.since_ns), 1) if status else 0.0,
    }


def _ellipse(covariance: np.ndarray) -> dict[str, float]:
    values, vectors = np.linalg.eigh(covariance)
    # 95 % of a Gaussian of two dimensions lie within sqrt(-2 log 0.05) standard deviations.
    minor, major = np.sqrt(-2.0 * math.log(0.05) * np.maximum(values, 0.0))
    heading = math.degrees(math.atan2(vectors[1, 1], vectors[0, 1]))
    return {
        'major_m': _rounded(major, 3),
        'minor_m': _rounded(minor, 3),
        'ellipse_deg': _rounded(heading, 1),
    }


def _gaze(
    head: HeadPoseEstimate | None, base_from_reference: RigidTransform
) -> dict[str, float | bool | None]:
    """Where the face points to on the ground; None where nobody knows: never a guess."""
    if head is None or head.rotation is None:
        return {'gaze_deg': None, 'facing': None}
    forward = base_from_reference.rotation @ head.rotation[:, 0]
    heading = math.degrees(math.atan2(forward[1], forward[0]))
    return {'gaze_deg': _rounded(heading, 1), 'facing': head.facing}


def _rounded(value: float, digits: int = 2) -> float:
    return round(float(value), digits)
