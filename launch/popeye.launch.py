# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the suite on Popeye, or any head with two ears and a side-by-side stereo camera.

ros2 launch av_perception popeye.launch.py head:=my_popeye.yaml
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription

HEAD = get_package_share_directory('av_perception') + '/launch/head.launch.py'


def generate_launch_description():
    """Include head.launch.py with other defaults."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'head',
                default_value='popeye',
                description='Head profile: popeye, or the path of your calibrated YAML file.',
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(HEAD)),
        ]
    )
