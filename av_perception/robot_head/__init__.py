"""Sensor geometry of a head: microphones, cameras and their frames."""

from av_perception.robot_head.profile import (
    CameraGeometry,
    HeadProfile,
    MicrophoneArray,
    RigidSphere,
    load_head,
)

__all__ = ['CameraGeometry', 'HeadProfile', 'MicrophoneArray', 'RigidSphere', 'load_head']
