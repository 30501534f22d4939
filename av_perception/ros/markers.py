# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People as rviz markers: a sphere where the head is, an ellipsoid of what is not known, a label, a halo while speaking, a ray when only heard."""

from __future__ import annotations

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import LifeState, SpeakingFrame, TrackEstimate, TrackFrame
from av_perception.ros.conversions import header
from av_perception.visualization.colors import color_of, unit

LIFETIME = Duration(
    sec=0, nanosec=400_000_000
)  # whoever is no longer published disappears by himself
HEAD_DIAMETER_M = 0.2
SIGMAS = 2.0
HALO_RADIUS_M = 0.22
_CIRCLE = np.linspace(0.0, 2 * np.pi, 33)
_HALO = HALO_RADIUS_M * np.stack([np.cos(_CIRCLE), np.sin(_CIRCLE), np.zeros(33)], axis=1)
NAMESPACES = ('head', 'covariance', 'label', 'speaking', 'heard')


def people_markers(
    frame: TrackFrame,
    speaking: SpeakingFrame,
    frame_id: str,
    word: str = 'person',
    origin=(0.0, 0.0, 0.0),
) -> MarkerArray:
    """Markers of everybody who is alive; sleeping people are pale. word: what the labels call them; origin: of the rays to who is only heard [m]."""
    statuses = {s.id: s for s in speaking.statuses}
    stamp = header(frame.stamp_ns, frame_id)
    return MarkerArray(
        markers=[
            marker
            for track in frame.tracks
            for marker in _markers(track, statuses.get(track.id), stamp, word, origin)
        ]
    )


def _markers(track: TrackEstimate, status, stamp, word: str, origin) -> list[Marker]:
    red, green, blue = unit(color_of(track.id))
    opacity = 0.3 if track.state == LifeState.SLEEPING else 0.9
    speaks = bool(status and status.speaking)

    def marker(kind: int, namespace: str, alpha: float = opacity) -> Marker:
        made = Marker(
            header=stamp,
            ns=namespace,
            id=track.id,
            type=kind,
            action=Marker.ADD,
            lifetime=LIFETIME,
            frame_locked=False,
        )
        made.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
        made.pose.position = _point(track.mean[:3])
        made.pose.orientation.w = 1.0
        return made

    head = marker(Marker.SPHERE, 'head')
    head.scale = _scale(HEAD_DIAMETER_M * (1.4 if speaks else 1.0))
    label = marker(Marker.TEXT_VIEW_FACING, 'label')
    label.text = f'{word} {track.id}' + (' speaks' if speaks else '')
    label.pose.position.z += 0.25
    label.scale.z = 0.12
    markers = [
        head,
        _ellipsoid(marker(Marker.SPHERE, 'covariance', 0.25), track.covariance[:3, :3]),
        label,
    ]
    if speaks:
        halo = marker(Marker.LINE_STRIP, 'speaking', 1.0)
        halo.points = [_point(row) for row in _HALO]
        halo.scale.x = 0.03
        markers.append(halo)
    if track.heard and not track.seen:
        ray = marker(Marker.ARROW, 'heard')
        ray.pose.position = Point()
        ray.points = [_point(origin), _point(track.mean[:3])]
        ray.scale = Vector3(x=0.02, y=0.05, z=0.1)
        markers.append(ray)
    return markers


def _ellipsoid(marker: Marker, covariance: np.ndarray) -> Marker:
    """The SIGMAS ellipsoid: eigenvectors made a rotation, square roots of the eigenvalues the half axes."""
    values, vectors = np.linalg.eigh(covariance)
    vectors[:, 0] *= np.sign(np.linalg.det(vectors)) or 1.0
    rotation = marker.pose.orientation
    rotation.x, rotation.y, rotation.z, rotation.w = (
        float(v) for v in RigidTransform(vectors).quaternion_xyzw
    )
    axes = 2 * SIGMAS * np.sqrt(np.maximum(values, 1e-6))
    marker.scale = Vector3(x=float(axes[0]), y=float(axes[1]), z=float(axes[2]))
    return marker


def _point(position) -> Point:
    return Point(x=float(position[0]), y=float(position[1]), z=float(position[2]))


def _scale(diameter: float) -> Vector3:
    return Vector3(x=diameter, y=diameter, z=diameter)
