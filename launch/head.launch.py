# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the suite on a head: ros2 launch av_perception head.launch.py head:=nao microphones:=naoqi camera:=others

One process per node, or one for all with use_composition:=true. Which nodes run is decided in av_perception/ros/graph.py.
"""

import time

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, LogInfo, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from av_perception.ros.bringup.environment import PROFILE_VARIABLES, THREAD_VARIABLES
from av_perception.ros.bringup.graph import (
    ARGUMENTS,
    NODES,
    RESPAWN_DELAY_S,
    SELECTION,
    START_DELAY_S,
    TOPICS,
)
from launch import LaunchDescription

SHARE = get_package_share_directory('av_perception')
KNOWN = {**ARGUMENTS, **SELECTION}


def configured(name):
    """A launch configuration as a string in a Python expression."""
    return ["'", LaunchConfiguration(name), "'"]


def environment(call, *arguments):
    """A Python expression that asks av_perception.ros.bringup.environment."""
    module = "__import__('av_perception.ros.bringup.environment', fromlist=['environment'])."
    return PythonExpression([module, call, '(', *arguments, ')'])


PROCESSES = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'params_file': (SHARE + '/config/params.yaml', 'YAML file with the parameters of the nodes.'),
    'network': (
        'false',
        'Open the graph to other hosts (rviz on a laptop); else nothing listens on the network.',
    ),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'use_composition': (
        'false',
        'All nodes in one process, each with its own thread: less memory.',
    ),
    'use_respawn': ('false', 'Start a node again two seconds after it ended by itself.'),
    'log_level': ('info', 'debug, info, warn or error.'),
    'use_rviz': ('false', 'Start rviz2 too.'),
    'rviz_config_file': (SHARE + '/config/rviz/av_perception.rviz', 'What rviz shows.'),
    'dds_profile': (
        environment('prepared', f"'{PROFILE_VARIABLES[0]}', ", *configured('network')),
        'Fast DDS profile; by default that of your environment, else ours for `network`.',
    ),
}


def graph(call, *arguments):
    """A Python expression that asks av_perception.ros.bringup.graph."""
    return PythonExpression(
        [
            "__import__('av_perception.ros.bringup.graph', fromlist=['graph']).",
            call,
            '(',
            *arguments,
            ')',
        ]
    )


START = f'{time.time() + START_DELAY_S}'
SOURCE = graph('source_of', *configured('source'), ', ', *configured('head'))
AUTOMATIC = {  # what `auto` means, which is their default
    'source': SOURCE,
    'start_time': PythonExpression(
        [
            *configured('start_time'),
            ' if ',
            *configured('start_time'),
            " != 'auto' else '0.0' if '",
            SOURCE,
            f"' == 'device' else '{START}'",
        ]
    ),
    'truth': PythonExpression(
        [
            *configured('truth'),
            ' if ',
            *configured('truth'),
            " != 'auto' else '",
            SOURCE,
            "' == 'simulated'",
        ]
    ),
}


def value(name):
    """The value of a launch argument."""
    return AUTOMATIC.get(name) or LaunchConfiguration(name)


def declarations():
    """Every argument with its default and description."""
    found = {**KNOWN, **{f'{name}_topic': topic for name, topic in TOPICS.items()}}
    ours = [
        DeclareLaunchArgument(
            name,
            default_value='auto' if name in AUTOMATIC else argument.text,
            description=argument.description,
        )
        for name, argument in found.items()
    ]
    return ours + [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in PROCESSES.items()
    ]


def parameters(names):
    """The parameter file, and over it the launch arguments of these names."""
    values = {
        name: ParameterValue(value(name), value_type=type(KNOWN[name].default)) for name in names
    }
    return [
        LaunchConfiguration('params_file'),
        {
            'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool),
            **values,
        },
    ]


def remappings():
    """Every topic of TOPICS to the name it was given, also where its images are compressed."""
    plain = [
        (topic.default, LaunchConfiguration(f'{name}_topic')) for name, topic in TOPICS.items()
    ]
    return plain + [
        (
            TOPICS[name].default + '/compressed',
            [LaunchConfiguration(f'{name}_topic'), '/compressed'],
        )
        for name in ('left_image', 'right_image')
    ]


COMMON = dict(
    package='av_perception',
    namespace=LaunchConfiguration('namespace'),
    output='screen',
    remappings=remappings(),
    respawn=LaunchConfiguration('use_respawn'),
    respawn_delay=RESPAWN_DELAY_S,
)
ROS_ARGUMENTS = ['--ros-args', '--log-level', LaunchConfiguration('log_level')]


def process(node):
    """A process of its own for one node of the graph."""
    words = [part for name in SELECTION for part in (f", {name}='", value(name), "'")]
    alone = [" and '", LaunchConfiguration('use_composition'), "'.lower() != 'true'"]
    runs = graph('runs', f"'{node.name}', ", *configured('head'), *words)
    return Node(
        executable=node.name,
        exec_name=node.name,
        name=node.name,
        condition=IfCondition(PythonExpression([runs, *alone])),
        prefix=f'nice -n {node.niceness}' if node.niceness else None,
        arguments=ROS_ARGUMENTS,
        parameters=parameters((*node.arguments, 'autostart')),
        **COMMON,
    )


def one_process():
    """All of them in one process."""
    words = [part for name in ('head', *SELECTION) for part in (f'--{name}', value(name))]
    words += ['--respawn', LaunchConfiguration('use_respawn')]
    return Node(
        executable='composed',
        condition=IfCondition(LaunchConfiguration('use_composition')),
        arguments=[*words, *ROS_ARGUMENTS],
        parameters=parameters((*ARGUMENTS, 'microphones')),
        **COMMON,
    )


def rviz():
    """rviz2 in the namespace, with the head's frame as the fixed one."""
    return Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        namespace=LaunchConfiguration('namespace'),
        output='screen',
        condition=IfCondition(LaunchConfiguration('use_rviz')),
        arguments=[
            '-d',
            LaunchConfiguration('rviz_config_file'),
            '-f',
            graph('base_frame', *configured('head')),
        ],
        parameters=[
            {'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)}
        ],
    )


def generate_launch_description():
    """The graph of av_perception/ros/graph.py."""
    variables = [
        SetEnvironmentVariable(name, LaunchConfiguration('dds_profile'))
        for name in PROFILE_VARIABLES
    ]
    variables += [SetEnvironmentVariable(name, '1') for name in THREAD_VARIABLES]
    notice = LogInfo(msg=environment('reach_with', *configured('dds_profile')))
    nodes = [process(node) for node in NODES]
    return LaunchDescription([*declarations(), *variables, notice, *nodes, one_process(), rviz()])
