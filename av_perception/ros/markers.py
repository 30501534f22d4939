# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as rviz markers.

A sphere where the head is, an ellipsoid of what is not known, a label, a halo while speaking, a
ray when only heard, an arrow out of the face, white while it is turned to the robot, and an arrow
to whom the robot looks at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import (
    Attention,
    HeadPoseFrame,
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.ros.conversions import header
from av_perception.ros.conversions.arrays import xyz
from av_perception.visualization.colors import color_of, unit

# Who is no longer published disappears without a word.
LIFETIME = Duration(sec=0, nanosec=400_000_000)
HEAD_DIAMETER_M = 0.2
SPEAKING_GROWTH = 1.4  # of the head of who speaks
SIGMAS = 2.0
HALO_RADIUS_M = 0.22
_CIRCLE = np.linspace(0.0, 2 * np.pi, 33)
_HALO = HALO_RADIUS_M * np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE), np.zeros(33)], axis=1)
NAMESPACES = ('head', 'covariance', 'label', 'speaking', 'heard', 'attention', 'gaze')
GAZE_FROM_TO_M = (0.1, 0.5)  # of the arrow out of the face, from the middle of the head


def people_markers(
    frame: TrackFrame,
    speaking: SpeakingFrame,
    frame_id: str,
    word: str = 'person',
    origin: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    heads: HeadPoseFrame | None = None,
) -> MarkerArray:
    """Make the markers of everybody who is alive; sleeping people are pale.

    Parameters
    ----------
    frame : TrackFrame
        Where they are.
    speaking : SpeakingFrame
        Who of them speaks.
    frame_id : str
        The frame in which they are tracked.
    word : str
        What the labels call them.
    origin : array_like
        (3,) where the rays to who is only heard begin [m].
    heads : HeadPoseFrame or None
        How their heads are turned, in the same frame.
    """
    statuses = {status.id: status for status in speaking.statuses}
    stamp = header(frame.stamp_ns, frame_id)
    turned = {head.id: head for head in heads.heads} if heads is not None else {}
    markers = []
    for track in frame.tracks:
        ours = _TrackMarkers(track, statuses.get(track.id), stamp)
        markers += ours.all(word, origin)
        head = turned.get(track.id)
        if head is not None and head.rotation is not None:
            markers.append(ours.gaze(head.rotation[:, 0], head.facing))
    return MarkerArray(markers=markers)


def attention_marker(
    attention: Attention, frame_id: str, origin: Sequence[float] | np.ndarray
) -> Marker | None:
    """Make the arrow from the robot's head to whom it looks at; None for nobody.

    Parameters
    ----------
    attention : Attention
        Whom to look at.
    frame_id : str
        The frame in which people are tracked.
    origin : array_like
        (3,) where the arrow begins [m].
    """
    if attention.target is None:
        return None
    red, green, blue = unit(color_of(attention.id))
    marker = Marker(
        header=header(attention.stamp_ns, frame_id),
        ns='attention',
        id=0,  # there is one: a new person's takes the place of the old one's
        type=Marker.ARROW,
        action=Marker.ADD,
        lifetime=LIFETIME,
        color=ColorRGBA(r=red, g=green, b=blue, a=0.9),
        points=[_point(origin), _point(attention.target)],
        scale=Vector3(x=0.04, y=0.1, z=0.15),
    )
    marker.pose.orientation.w = 1.0
    return marker


class _TrackMarkers:
    """The markers of one track."""

    def __init__(self, track: TrackEstimate, status: SpeakingStatus | None, stamp: Header):
        self._track = track
        self._stamp = stamp
        self._color = unit(color_of(track.id))
        self._opacity = 0.3 if track.state == LifeState.SLEEPING else 0.9
        self._speaks = bool(status and status.speaking)

    def all(self, word: str, origin: Sequence[float] | np.ndarray) -> list[Marker]:
        """Make all of them; see `people_markers`."""
        markers = [self._head(), self._ellipsoid(), self._label(word)]
        if self._speaks:
            markers.append(self._halo())
        if self._track.heard and not self._track.seen:
            markers.append(self._ray(origin))
        return markers

    def gaze(self, forward: np.ndarray, facing: bool) -> Marker:
        """Make the arrow out of the face, along a unit vector (3,)."""
        arrow = self._marker(Marker.ARROW, 'gaze', self._opacity)
        if facing:
            arrow.color = ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0)
        arrow.pose.position = Point()
        middle = self._track.mean[:3]
        arrow.points = [_point(middle + length * forward) for length in GAZE_FROM_TO_M]
        arrow.scale = Vector3(x=0.03, y=0.07, z=0.1)
        return arrow

    def _marker(self, kind: int, namespace: str, alpha: float) -> Marker:
        marker = Marker(
            header=self._stamp,
            ns=namespace,
            id=self._track.id,
            type=kind,
            action=Marker.ADD,
            lifetime=LIFETIME,
            frame_locked=False,
        )
        red, green, blue = self._color
        marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
        marker.pose.position = _point(self._track.mean[:3])
        marker.pose.orientation.w = 1.0
        return marker

    def _head(self) -> Marker:
        head = self._marker(Marker.SPHERE, 'head', self._opacity)
        diameter = HEAD_DIAMETER_M * (SPEAKING_GROWTH if self._speaks else 1.0)
        head.scale = Vector3(x=diameter, y=diameter, z=diameter)
        return head

    def _label(self, word: str) -> Marker:
        label = self._marker(Marker.TEXT_VIEW_FACING, 'label', self._opacity)
        label.text = f'{word} {self._track.id}' + (' speaks' if self._speaks else '')
        label.pose.position.z += 0.25
        label.scale.z = 0.12
        return label

    def _ellipsoid(self) -> Marker:
        """Make the SIGMAS ellipsoid.

        The eigenvectors make its rotation, the square roots of the eigenvalues its half axes.
        """
        marker = self._marker(Marker.SPHERE, 'covariance', 0.25)
        values, vectors = np.linalg.eigh(self._track.covariance[:3, :3])
        vectors[:, 0] *= np.sign(np.linalg.det(vectors)) or 1.0
        x, y, z, w = map(float, RigidTransform(vectors).quaternion_xyzw)
        marker.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        marker.scale = Vector3(**xyz(2 * SIGMAS * np.sqrt(np.maximum(values, 1e-6))))
        return marker

    def _halo(self) -> Marker:
        halo = self._marker(Marker.LINE_STRIP, 'speaking', 1.0)
        halo.points = [_point(row) for row in _HALO]
        halo.scale.x = 0.03
        return halo

    def _ray(self, origin: Sequence[float] | np.ndarray) -> Marker:
        ray = self._marker(Marker.ARROW, 'heard', self._opacity)
        ray.pose.position = Point()
        ray.points = [_point(origin), _point(self._track.mean[:3])]
        ray.scale = Vector3(x=0.02, y=0.05, z=0.1)
        return ray


def _point(position: Sequence[float] | np.ndarray) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))
