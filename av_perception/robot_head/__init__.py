# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sensor geometry of a head: microphones, cameras and their frames."""

from av_perception.robot_head.profile import (
    CameraGeometry,
    HeadProfile,
    MicrophoneArray,
    RigidSphere,
    load_head,
)

__all__ = ['CameraGeometry', 'HeadProfile', 'MicrophoneArray', 'RigidSphere', 'load_head']
