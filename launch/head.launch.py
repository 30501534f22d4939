"""Starts the suite on a head: ros2 launch av_perception head.launch.py head:=/path/to/my_head.yaml"""

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PythonExpression
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from av_perception.ros.environment import PROFILE_VARIABLES, THREAD_VARIABLES
from av_perception.ros.graph import ARGUMENTS, EVENTS, EVENTS_TEXT, MODE_TEXT, NODES

SHARE = get_package_share_directory('av_perception')
COMMON = {
    'mode': ('full', MODE_TEXT),
    'events': ('false', EVENTS_TEXT),
    'microphones': ('ours', 'ours: start microphone_array; others: another driver publishes `audio`; none: the head has no microphones.'),
    'camera': ('ours', 'ours: start stereo_camera; others: another driver publishes the rectified images; none: the head has no camera.'),
    'namespace': ('', 'Namespace of all nodes and topics.'),
    'params_file': (SHARE + '/config/params.yaml', 'YAML file with the parameters of the nodes.'),
    'use_sim_time': ('false', 'Take the time from /clock.'),
    'log_level': ('info', 'debug, info, warn or error.'),
    'dds_profile': (SHARE + '/config/fastdds_network.xml', 'Fast DDS profile: shared memory keeps images whole.'),
}


def condition(node):
    """Sensors start when they are ours, what builds on them unless the head lacks them; the others in their mode, av_events when asked for."""
    words = []
    if node.needs:
        words += [["'", LaunchConfiguration(node.needs), "' == 'ours'" if node.sensor else "' != 'none'"]]
    if node.mode:
        words += [["'", LaunchConfiguration('mode'), f"' == '{node.mode}'"]]
    if node is EVENTS:
        words += [["'", LaunchConfiguration('events'), "'.lower() == 'true'"]]
    if not words:
        return None
    return IfCondition(PythonExpression(words[0] + [part for more in words[1:] for part in (' and ', *more)]))


def generate_launch_description():
    """One process per node of the graph."""
    arguments = [DeclareLaunchArgument(name, default_value=str(argument.default), description=argument.description)
                 for name, argument in ARGUMENTS.items()]
    arguments += [DeclareLaunchArgument(name, default_value=default, description=text) for name, (default, text) in COMMON.items()]
    environment = [SetEnvironmentVariable(name, LaunchConfiguration('dds_profile')) for name in PROFILE_VARIABLES]
    environment += [SetEnvironmentVariable(name, '1') for name in THREAD_VARIABLES]
    nodes = [
        Node(package='av_perception', executable=node.name, name=node.name, namespace=LaunchConfiguration('namespace'), output='screen',
             condition=condition(node), prefix=f'nice -n {node.niceness}' if node.niceness else None,
             arguments=['--ros-args', '--log-level', LaunchConfiguration('log_level')],
             parameters=[LaunchConfiguration('params_file'),
                         {'use_sim_time': ParameterValue(LaunchConfiguration('use_sim_time'), value_type=bool)},
                         {name: ParameterValue(LaunchConfiguration(name), value_type=type(ARGUMENTS[name].default)) for name in node.arguments}])
        for node in (*NODES, EVENTS)]
    return LaunchDescription([*arguments, *environment, *nodes])
