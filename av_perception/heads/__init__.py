"""Sensor geometry of a head: microphones, cameras and their frames."""

from av_perception.heads.profile import CameraGeometry, HeadProfile, MicrophoneArray, RigidSphere, load_head

__all__ = ['CameraGeometry', 'HeadProfile', 'MicrophoneArray', 'RigidSphere', 'load_head']
