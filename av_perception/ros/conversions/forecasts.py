# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where people will be."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from av_perception_msgs import msg as av
from geometry_msgs.msg import Point, PoseStamped

from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import MotionForecast, MotionForecastFrame
from av_perception.ros.conversions.arrays import typed_array, xyz
from av_perception.ros.conversions.headers import header, ns_from_time


def forecast_frame_to_msg(frame: MotionForecastFrame, frame_id: str) -> av.MotionForecastArray:
    """Convert forecasts to their message."""
    samples = frame.forecasts[0].samples if frame.forecasts else np.zeros((0, 0, 3))
    return av.MotionForecastArray(
        header=header(frame.stamp_ns, frame_id),
        horizons=typed_array('f', frame.horizons_s),
        num_samples=len(samples),
        forecasts=[
            av.MotionForecast(
                id=forecast.id,
                method=forecast.method,
                fallback_reason=forecast.fallback_reason,
                means=[Point(**xyz(mean)) for mean in forecast.means],
                covariances=typed_array('d', forecast.covariances),
                samples=typed_array('f', forecast.samples),
                radii_68=typed_array('f', forecast.radii[:, 0]),
                radii_95=typed_array('f', forecast.radii[:, 1]),
            )
            for forecast in frame.forecasts
        ],
    )


def forecast_frame_from_msg(message: av.MotionForecastArray) -> MotionForecastFrame:
    """Convert a message to forecasts.

    Raises
    ------
    ValueError
        When arrays have wrong lengths or numbers are not finite.
    """
    horizons = np.array(message.horizons, float)
    count = len(horizons)
    forecasts = []
    for one in message.forecasts:
        means = np.array([[p.x, p.y, p.z] for p in one.means]).reshape(-1, 3)
        covariances = np.array(one.covariances, float)
        samples = np.array(one.samples, float)
        radii = [np.array(values, float) for values in (one.radii_68, one.radii_95)]
        sizes = tuple(len(values) for values in (means, covariances, samples, *radii))
        if sizes != (count, 9 * count, 3 * count * message.num_samples, count, count):
            raise ValueError(f'the forecast of person {one.id} does not fit {count} horizons')
        values = (means, covariances, samples, *radii)
        if not all(np.isfinite(value).all() for value in values):
            raise ValueError(f'the forecast of person {one.id} is not finite')
        forecasts.append(
            MotionForecast(
                one.id,
                one.method,
                means,
                covariances.reshape(count, 3, 3),
                samples.reshape(message.num_samples, count, 3),
                np.stack(radii, 1),
                one.fallback_reason,
            )
        )
    return MotionForecastFrame(ns_from_time(message.header.stamp), horizons, tuple(forecasts))


def path_type() -> type | None:
    """nav_msgs/Path, None where it is not installed."""
    if importlib.util.find_spec('nav_msgs') is None:
        return None
    from nav_msgs.msg import Path

    return Path


def forecast_to_path(
    forecast: MotionForecast, horizons_s: np.ndarray, stamp_ns: int, frame_id: str
) -> Any:
    """Make nav_msgs/Path of the means, each pose with the time at which it will be."""
    from nav_msgs.msg import Path

    path = Path(header=header(stamp_ns, frame_id))
    for horizon_s, mean in zip(horizons_s, forecast.means):
        stamp = header(stamp_ns + nanoseconds(float(horizon_s)), frame_id)
        pose = PoseStamped(header=stamp)
        pose.pose.position = Point(**xyz(mean))
        pose.pose.orientation.w = 1.0
        path.poses.append(pose)
    return path
