# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A stand-in for machines whose ROS comes from wheels, which lack tf2_msgs.

It has the same definition and the same type hash.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from rosidl_wheel import setup_interface_package  # noqa: E402

setup_interface_package(HERE)
