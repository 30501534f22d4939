# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the suite on NAO beside its driver.

ros2 launch naoqi_driver naoqi_driver.launch.py
ros2 launch av_perception nao.launch.py
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription

HEAD = get_package_share_directory('av_perception') + '/launch/head.launch.py'
DEFAULTS = {
    'namespace': ('av', "Of our topics: `audio` is the driver's own."),
    'head': ('nao', 'Head profile: nao, pepper, or the path of a YAML file of your own.'),
    'microphones': ('naoqi', 'Where sound comes from; naoqi: the AudioBuffer of naoqi_driver.'),
    'camera': ('others', 'Where images come from; others: naoqi_driver.'),
    'driver_audio_topic': ('/audio', 'Sound of naoqi_driver.'),
    'joint_states_topic': (
        '/joint_states',
        'Tells when the head turns and its motors drown the sound.',
    ),
    'left_image_topic': ('/camera/front/image_raw', 'Images of the upper camera.'),
    'left_camera_info_topic': ('/camera/front/camera_info', 'Calibration of the upper camera.'),
}


def generate_launch_description():
    """Include head.launch.py with other defaults."""
    arguments = [
        DeclareLaunchArgument(name, default_value=value, description=text)
        for name, (value, text) in DEFAULTS.items()
    ]
    return LaunchDescription(
        [*arguments, IncludeLaunchDescription(PythonLaunchDescriptionSource(HEAD))]
    )
