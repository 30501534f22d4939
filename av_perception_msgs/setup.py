# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""pip builds the messages with this file; colcon uses CMakeLists.txt and never looks here."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))

from rosidl_wheel import setup_interface_package  # noqa: E402

setup_interface_package(HERE)
