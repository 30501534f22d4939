# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Skeletons, as poses of joints, and their futures, as clouds of points."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseArray
from sensor_msgs.msg import PointCloud2, PointField

from av_perception.motion_forecast.body_forecaster import BodyForecast
from av_perception.motion_forecast.body_frame import NUM_JOINTS
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.conversions.headers import header

_CLOUD = np.dtype(
    [
        *((axis, '<f4') for axis in 'xyz'),
        ('time', '<f4'),
        ('sample', '<u2'),
        ('joint', '<u2'),
    ]
)
_TYPES = {'<f4': PointField.FLOAT32, '<u2': PointField.UINT16}


def joints_from_msg(message: PoseArray) -> np.ndarray:
    """Read the places of joints.

    Returns
    -------
    np.ndarray
        (NUM_JOINTS, 3) [m]

    Raises
    ------
    ValueError
        For another number of poses.
    """
    count = len(message.poses)
    if count != NUM_JOINTS:
        raise ValueError(f'a skeleton has {NUM_JOINTS} poses, not {count}')
    places = (pose.position for pose in message.poses)
    return np.array([(place.x, place.y, place.z) for place in places])


def body_forecast_to_msg(forecast: BodyForecast, frame_id: str) -> PointCloud2:
    """Convert futures to a cloud: a point for each sample, horizon and joint.

    Its fields are x, y, z [m], time [s] after the stamp, sample and joint.
    """
    samples, horizons, joints = forecast.joints.shape[:3]
    cloud = np.zeros((samples, horizons, joints), _CLOUD)
    for k, axis in enumerate('xyz'):
        cloud[axis] = forecast.joints[..., k]
    cloud['time'] = forecast.horizons_s[:, None]
    cloud['sample'] = np.arange(samples)[:, None, None]
    cloud['joint'] = np.arange(joints)
    return PointCloud2(
        header=header(forecast.stamp_ns, frame_id),
        height=1,
        width=cloud.size,
        fields=[
            PointField(name=name, offset=offset, datatype=_TYPES[kind.str], count=1)
            for name, (kind, offset) in _fields()
        ],
        point_step=_CLOUD.itemsize,
        row_step=_CLOUD.itemsize * cloud.size,
        data=typed_array('B', np.frombuffer(cloud.tobytes(), np.uint8)),
        is_dense=True,
    )


def _fields():
    assert _CLOUD.fields is not None
    return ((name, _CLOUD.fields[name][:2]) for name in _CLOUD.names or ())
