# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Computes a bag's people anew.

ros2 launch av_perception replay.launch.py bag:=my_bag head:=simulated rate:=4 use_rviz:=true

The bag's sound and images are played, or its features where it lacks them, with /clock; the nodes
take the bag's time. It ends with the bag.
"""

from ament_index_python.packages import get_package_share_directory
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    SetLaunchConfiguration,
    Shutdown,
)
from launch.conditions import IfCondition, UnlessCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from av_perception.ros.bags.bag_file import given_by
from launch import LaunchDescription

HEAD = get_package_share_directory('av_perception') + '/launch/head.launch.py'
OTHERS = {'microphones': 'others', 'camera': 'others', 'source': 'device', 'use_sim_time': 'true'}
PLAY = [
    'replay',
    LaunchConfiguration('bag'),
    '--inputs',
    '--clock',
    '--rate',
    LaunchConfiguration('rate'),
]


def look_into_bag(context):
    """Say what the bag gives, for head.launch.py: the nodes in place of which it plays."""
    return [SetLaunchConfiguration('given', given_by(context.launch_configurations['bag']))]


def player(arguments, condition):
    """Make the player, in the namespace of the nodes."""
    return Node(
        package='av_perception',
        executable='av-perception',
        exec_name='bag_player',
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        arguments=arguments,
        condition=condition,
        on_exit=Shutdown(reason='the bag has ended'),
    )


def generate_launch_description():
    """Include head.launch.py with a bag in place of the sensors."""
    arguments = [
        DeclareLaunchArgument('bag', description='Bag folder, or a single .mcap or .db3 file.'),
        DeclareLaunchArgument('rate', default_value='1.0', description='Times real time.'),
        DeclareLaunchArgument(
            'loop',
            default_value='false',
            description='Start again at the end; all nodes then start afresh.',
        ),
    ]
    head = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(HEAD), launch_arguments=OTHERS.items()
    )
    players = [
        player(PLAY, UnlessCondition(LaunchConfiguration('loop'))),
        player([*PLAY, '--loop'], IfCondition(LaunchConfiguration('loop'))),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=look_into_bag), head, *players])
