# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The example that moves a real neck: points to commands, by the robot's transforms."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import Point, PointStamped
from std_msgs.msg import Float64MultiArray
from tf2_msgs.msg import TFMessage

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.ros.conversions import header, transform_to_msg

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'look_at_controller.py'
STAMP_NS = 5 * 10**9


def example():
    spec = importlib.util.spec_from_file_location('look_at_controller', EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def look_at(x, y, z):
    return PointStamped(header=header(STAMP_NS, 'odom'), point=Point(x=x, y=y, z=z))


@pytest.mark.slow
def test_the_neck_points_at_the_point(bench):
    """The body stands at (1, 2), turned to the left by 90 degrees; the neck is 1 m above it."""
    inputs = {'look_at': PointStamped, '/tf': TFMessage}
    one = bench(example().LookAtController, inputs, ('commands', Float64MultiArray))
    one.send('look_at', look_at(1.0, 4.0, 1.0))
    assert one.counted('points without transform') == 1 and not one.heard
    place = RigidTransform.from_xyz_rpy((1.0, 2.0, 1.0), (0.0, 0.0, np.pi / 2))
    one.send('/tf', TFMessage(transforms=[transform_to_msg(place, 'odom', 'base_link', STAMP_NS)]))
    one.send('look_at', look_at(1.0, 4.0, 1.0), look_at(-1.0, 4.0, 1.0 + 2.0 * np.sqrt(2)))
    assert one.until(lambda: len(one.heard) == 2)
    assert list(one.heard[0].data) == pytest.approx([0.0, 0.0], abs=1e-6)
    assert list(one.heard[1].data) == pytest.approx([np.pi / 4, -0.6], abs=1e-6)  # its limit
