# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Plays a simulated room to the whole suite.

ros2 launch av_perception simulated.launch.py scene:=three_talkers
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription

HEAD = get_package_share_directory('av_perception') + '/launch/head.launch.py'


def generate_launch_description():
    """Include head.launch.py with other defaults.

    The simulator takes the place of sound card and cameras, and the truth is published.
    """
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'head',
                default_value='simulated',
                description='Head profile that the scene is rendered for.',
            ),
            DeclareLaunchArgument(
                'source',
                default_value='simulated',
                description='simulated: render the scene; file: play a recording.',
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(HEAD)),
        ]
    )
