# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Forecasts as rviz markers: possible walks as thin lines, ellipses that fade with time."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Quaternion, Vector3
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import MotionForecast, MotionForecastFrame
from av_perception.ros.conversions import header
from av_perception.ros.conversions.arrays import xyz
from av_perception.visualization.colors import color_of, unit

LIFETIME = Duration(sec=0, nanosec=600_000_000)
SIGMAS = 2.0
MAX_WALKS = 8  # drawn of each person
_ALPHA = (0.5, 0.05)  # of the first and of the last horizon


def forecast_markers(frame: MotionForecastFrame, frame_id: str) -> MarkerArray:
    """Make the markers of everybody.

    Parameters
    ----------
    frame : MotionForecastFrame
        Where they will be.
    frame_id : str
        The frame in which they are tracked.
    """
    markers = []
    for forecast in frame.forecasts:
        markers.append(_walks(forecast, frame, frame_id))
        markers += _ellipses(forecast, frame, frame_id)
    return MarkerArray(markers=markers)


def _fading(count: int) -> np.ndarray:
    """(count,) opacity of every horizon."""
    return np.linspace(*_ALPHA, count)


def _marker(forecast: MotionForecast, stamp_ns: int, frame_id: str) -> Marker:
    marker = Marker(
        header=header(stamp_ns, frame_id), action=Marker.ADD, lifetime=LIFETIME, frame_locked=False
    )
    marker.pose.orientation.w = 1.0
    red, green, blue = unit(color_of(forecast.id))
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=1.0)
    return marker


def _walks(forecast: MotionForecast, frame: MotionForecastFrame, frame_id: str) -> Marker:
    marker = _marker(forecast, frame.stamp_ns, frame_id)
    marker.ns = 'forecast_walks'
    marker.id = forecast.id
    marker.type = Marker.LINE_LIST
    marker.scale.x = 0.015
    color = marker.color
    alphas = _fading(len(frame.horizons_s))
    for walk in forecast.samples[:MAX_WALKS]:
        points = [Point(**xyz(place)) for place in walk]
        for (first, second), alpha in zip(pairwise(points), alphas):
            shade = ColorRGBA(r=color.r, g=color.g, b=color.b, a=float(alpha))
            marker.points += [first, second]
            marker.colors += [shade, shade]
    return marker


def _ellipses(forecast: MotionForecast, frame: MotionForecastFrame, frame_id: str) -> list[Marker]:
    """Make the SIGMAS ellipsoid of every horizon."""
    markers = []
    count = len(frame.horizons_s)
    for k, alpha in enumerate(_fading(count)):
        marker = _marker(forecast, frame.stamp_ns, frame_id)
        marker.ns = 'forecast'
        marker.id = forecast.id * count + k
        marker.type = Marker.SPHERE
        marker.color.a = float(alpha)
        marker.pose.position = Point(**xyz(forecast.means[k]))
        values, vectors = np.linalg.eigh(forecast.covariances[k])
        vectors[:, 0] *= np.sign(np.linalg.det(vectors)) or 1.0
        x, y, z, w = map(float, RigidTransform(vectors).quaternion_xyzw)
        marker.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
        marker.scale = Vector3(**xyz(2 * SIGMAS * np.sqrt(np.maximum(values, 1e-6))))
        markers.append(marker)
    return markers
