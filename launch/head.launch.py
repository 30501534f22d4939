# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Starts the suite on a head.

ros2 launch av_perception head.launch.py head:=nao microphones:=naoqi camera:=others

One process for all nodes but voices and head_pose, or one for each with use_composition:=false.
Which nodes run is decided in av_perception/ros/bringup/graph.py.
"""

import os
import time

from ament_index_python.packages import get_package_share_directory
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.ros.bringup.access import COMPOSED, enclave_words
from av_perception.ros.bringup.environment import (
    PROFILE_VARIABLES,
    THREAD_VARIABLES,
    prepare_environment,
    reach_with,
)
from av_perception.ros.bringup.graph import (
    ARGUMENTS,
    RESPAWN_DELAY_S,
    SELECTION,
    START_DELAY_S,
    TOPICS,
    Selection,
    image_parameters,
    nodes_for,
    source_of,
    split,
)
from launch import LaunchDescription

SHARE = get_package_share_directory('av_perception')
AUTO = 'auto'
AUTOMATIC = ('source', 'start_time', 'truth')  # their default: this file finds out
GRAPH = {**ARGUMENTS, **SELECTION}
PROCESSES = {
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'params_file': (SHARE + '/config/params.yaml', 'YAML file with the parameters of the nodes.'),
    'network': (
        'false',
        'Open the graph to other hosts (rviz on a laptop); else nothing listens on the network. '
        'With where:=robot and where:=computer it is open.',
    ),
    'compressed': (
        AUTO,
        'Take images from left/image_raw/compressed and right/image_raw/compressed; auto: with '
        'where:=computer, else as params_file says.',
    ),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'use_composition': (
        'true',
        'The nodes in one process, each with its own threads, voices and head_pose beside them; '
        'false: a process for each, which costs more, but none can take the others down.',
    ),
    'use_respawn': ('false', 'Start a node again two seconds after it ended by itself.'),
    'log_level': ('info', 'debug, info, warn or error.'),
    'use_rviz': ('false', 'Start rviz2 too.'),
    'rviz_config_file': (SHARE + '/config/rviz/av_perception.rviz', 'What rviz shows.'),
    'dds_profile': (
        AUTO,
        'Fast DDS profile; auto: that of your environment, else ours for `network`.',
    ),
}
RENAMED = {f'{name}_topic': topic for name, topic in TOPICS.items()}


def generate_launch_description():
    """Declare every argument; `start` acts on their values."""
    return LaunchDescription([*declarations(), OpaqueFunction(function=start)])


def declarations():
    """Make the declaration of every argument, with its default and description."""
    ours = [
        DeclareLaunchArgument(
            name,
            default_value=AUTO if name in AUTOMATIC else argument.text,
            description=argument.description,
        )
        for name, argument in {**GRAPH, **RENAMED}.items()
    ]
    return ours + [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in PROCESSES.items()
    ]


def start(context):
    """Start what the arguments ask for."""
    words = {
        name: LaunchConfiguration(name).perform(context) for name in (*GRAPH, *RENAMED, *PROCESSES)
    }
    resolve_automatic(words)
    head = load_head(words['head'])
    selection = Selection.from_words(**{name: words[name] for name in SELECTION})
    actions = environment(words)
    apart = nodes_for(head, selection)
    if is_true(words, 'use_composition'):
        shared, apart = split(apart)
        actions += [one_process(words)] if shared else []
    actions += [process(node, words) for node in apart]
    if is_true(words, 'use_rviz'):
        actions.append(rviz(words, head.base_frame))
    return actions


def resolve_automatic(words):
    """Put what `auto` means in its place."""
    words['source'] = source_of(words['source'], words['head'])
    if words['start_time'] == AUTO:
        starts_at_once = words['source'] == 'device'
        words['start_time'] = '0.0' if starts_at_once else str(time.time() + START_DELAY_S)
    if words['truth'] == AUTO:
        words['truth'] = str(words['source'] == 'simulated').lower()
    if words['dds_profile'] == AUTO:
        network = is_true(words, 'network') or words['where'] != 'all'
        prepared = prepare_environment(dict(os.environ), network)
        words['dds_profile'] = prepared[PROFILE_VARIABLES[0]]


def is_true(words, name):
    """Whether a switch is on. Raises UserError for a word that says neither."""
    word = words[name].lower()
    if word not in ('true', '1', 'false', '0'):
        raise UserError(f"{name} must be one of true, false, not '{words[name]}'")
    return word in ('true', '1')


def environment(words):
    """Make the actions that set the environment of all processes, and say who can reach them."""
    profile = words['dds_profile']
    variables = {
        **dict.fromkeys(PROFILE_VARIABLES, profile),
        **dict.fromkeys(THREAD_VARIABLES, '1'),
    }
    actions = [SetEnvironmentVariable(name, value) for name, value in variables.items()]
    return [*actions, LogInfo(msg=reach_with(profile))]


def process(node, words):
    """Make a process of its own for one node of the graph."""
    return Node(
        executable=node.name,
        exec_name=node.name,
        name=node.name,
        prefix=f'nice -n {node.niceness}' if node.niceness else None,
        arguments=ros_arguments(words, node.name),
        parameters=parameters(words, (*node.arguments, 'autostart')),
        **common(words),
    )


def one_process(words):
    """Make the process that hosts all of them."""
    choices = [part for name in ('head', *SELECTION) for part in (f'--{name}', words[name])]
    respawn = ['--respawn', words['use_respawn']]
    return Node(
        executable='composed',
        arguments=[*choices, *respawn, *ros_arguments(words, COMPOSED)],
        parameters=parameters(words, (*ARGUMENTS, 'microphones')),
        **common(words),
    )


def rviz(words, base_frame):
    """Make rviz2 in the namespace, with the head's frame as the fixed one."""
    return Node(
        package='rviz2',
        executable='rviz2',
        name='rviz2',
        namespace=words['namespace'],
        output='screen',
        arguments=['-d', words['rviz_config_file'], '-f', base_frame],
        parameters=[{'use_sim_time': is_true(words, 'use_sim_time')}],
    )


def common(words):
    """Give what all processes of the suite share."""
    return {
        'package': 'av_perception',
        'namespace': words['namespace'],
        'output': 'screen',
        'remappings': remappings(words),
        'respawn': is_true(words, 'use_respawn'),
        'respawn_delay': RESPAWN_DELAY_S,
    }


def ros_arguments(words, process_name):
    """Give the command line's part for rclpy."""
    return ['--ros-args', '--log-level', words['log_level'], *enclave_words(process_name)]


def parameters(words, names):
    """Give the parameter file, and over it the launch arguments of these names."""
    values = {name: parameter(words, name) for name in names}
    values |= image_parameters(words['where'], words['compressed'])
    return [words['params_file'], {'use_sim_time': is_true(words, 'use_sim_time'), **values}]


def parameter(words, name):
    """Convert an argument to its parameter's type. Raises UserError for what is none."""
    kind = type(GRAPH[name].default)
    if kind is bool:
        return is_true(words, name)
    if kind is str:
        return ParameterValue(words[name], value_type=str)  # or launch makes a number of '5'
    try:
        return kind(words[name])
    except ValueError as error:
        raise UserError(f"{name} must be of type {kind.__name__}, not '{words[name]}'") from error


def remappings(words):
    """Give every topic of TOPICS the name it was given, also where its images are compressed."""
    plain = [(topic.default, words[f'{name}_topic']) for name, topic in TOPICS.items()]
    return plain + [
        (f'{TOPICS[name].default}/compressed', f'{words[f"{name}_topic"]}/compressed')
        for name in ('left_image', 'right_image')
    ]
