# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether ROS is there at all, and what to do where it is not."""

from __future__ import annotations

import importlib.util

from av_perception.errors import UserError

# What a distribution or the wheels bring, and what is built against it.
_OF_ROS = (
    'rclpy',
    'rcl_interfaces',
    'builtin_interfaces',
    'rosgraph_msgs',
    'std_msgs',
    'std_srvs',
    'geometry_msgs',
    'sensor_msgs',
    'diagnostic_msgs',
    'lifecycle_msgs',
    'visualization_msgs',
    'av_perception_msgs',
)


def require_ros() -> None:
    """Check that nodes can run here.

    Raises
    ------
    UserError
        A part of ROS is absent.
    """
    for module in ('rclpy', 'av_perception_msgs'):
        if importlib.util.find_spec(module) is None:
            raise UserError(advice_for(module))


def advice_for(module: str | None) -> str | None:
    """Say what to do where a module cannot be found.

    Parameters
    ----------
    module
        Its name, with dots or without.

    Returns
    -------
    str or None
        One line; None where the module is not of ROS.
    """
    top = (module or '').split('.')[0]
    if top not in _OF_ROS:
        return None
    return (
        f'this needs ROS, and {top} is not installed: source your distribution and workspace, or '
        'install the ROS wheels (README, "Without a ROS distribution")'
    )
