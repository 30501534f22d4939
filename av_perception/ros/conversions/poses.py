# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Transforms, directions and clouds of points."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3, Vector3Stamped
from sensor_msgs.msg import PointCloud2, PointField

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.ros.conversions.arrays import xyz
from av_perception.ros.conversions.headers import header

FLOAT_BYTES = 4
FARTHEST_M = 1e8  # frames may be those of the Earth, whose radius is 6.4e6 m


def transform_to_msg(
    parent_from_child: RigidTransform, parent: str, child: str, stamp_ns: int
) -> TransformStamped:
    """Convert a RigidTransform to geometry_msgs/TransformStamped."""
    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    message.transform.translation = Vector3(**xyz(parent_from_child.translation))
    x, y, z, w = map(float, parent_from_child.quaternion_xyzw)
    message.transform.rotation = Quaternion(x=x, y=y, z=z, w=w)
    return message


def transform_from_msg(message: TransformStamped) -> RigidTransform:
    """Convert geometry_msgs/TransformStamped to parent_from_child.

    Raises
    ------
    ValueError
        When it is no rotation, not finite, or leads to where no robot is.
    """
    translation = message.transform.translation
    rotation = message.transform.rotation
    away_m = max(abs(translation.x), abs(translation.y), abs(translation.z))
    if FARTHEST_M < away_m < math.inf:
        raise ValueError(f'its translation of {away_m:.3g} m leads off the Earth')
    return RigidTransform.from_quaternion(
        (translation.x, translation.y, translation.z),
        (rotation.x, rotation.y, rotation.z, rotation.w),
    )


def direction_to_msg(direction: np.ndarray, frame_id: str, stamp_ns: int) -> Vector3Stamped:
    """Convert a unit vector (3,) to geometry_msgs/Vector3Stamped."""
    return Vector3Stamped(header=header(stamp_ns, frame_id), vector=Vector3(**xyz(direction)))


def points_from_msg(message: PointCloud2) -> np.ndarray:
    """Read the finite points of a cloud.

    Returns
    -------
    ndarray
        (N, 3) [m].

    Raises
    ------
    ValueError
        Without float32 fields x, y and z, or for too few bytes.
    """
    offset_of_field = {
        field.name: field.offset
        for field in message.fields
        if field.datatype == PointField.FLOAT32
    }
    if not {'x', 'y', 'z'} <= offset_of_field.keys() or message.is_bigendian:
        raise ValueError('the cloud has no little-endian float32 fields x, y and z')
    offsets = [offset_of_field[axis] for axis in 'xyz']
    count = message.width * message.height
    num_bytes = len(message.data)
    step = message.point_step
    if step < max(offsets) + FLOAT_BYTES or num_bytes < count * step:
        raise ValueError(f'{num_bytes} bytes are too few for {count} points of {step}')
    if not count:
        return np.zeros((0, 3))  # and its step may be any
    layout = np.dtype(
        {'names': list('xyz'), 'formats': ['<f4'] * 3, 'offsets': offsets, 'itemsize': step}
    )
    cloud = np.frombuffer(message.data, layout, count)
    points = np.column_stack([cloud[axis] for axis in 'xyz']).astype(float)
    return points[np.isfinite(points).all(axis=1)]
