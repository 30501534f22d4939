"""Plays a simulated room to the whole suite: ros2 launch av_perception simulated.launch.py scene:=three_talkers"""
import time

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from av_perception.ros.graph import MODE_TEXT

SHARE = get_package_share_directory('av_perception')
START_DELAY_S = 20.0   # all processes must be up before sound and images start together


def generate_launch_description():
    """The nodes of head.launch.py with simulated sensors, and the truth."""
    start_time = time.time() + START_DELAY_S
    scene, seed = LaunchConfiguration('scene'), LaunchConfiguration('seed')
    return LaunchDescription([
        DeclareLaunchArgument('scene', default_value='three_talkers', description='A name of config/scenes or the path of a YAML file.'),
        DeclareLaunchArgument('seed', default_value='-1', description="Seed of the scene, -1 for the scene's own."),
        DeclareLaunchArgument('mode', default_value='full', description=MODE_TEXT),
        DeclareLaunchArgument('namespace', default_value='', description='Namespace of all nodes and topics.'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(SHARE + '/launch/head.launch.py'),
                                 launch_arguments={'head': 'simulated', 'source': 'simulated', 'scene': scene, 'seed': seed, 'start_time': str(start_time),
                                                   'mode': LaunchConfiguration('mode'), 'namespace': LaunchConfiguration('namespace')}.items()),
        Node(package='av_perception', executable='truth', name='truth', namespace=LaunchConfiguration('namespace'), output='screen',
             parameters=[{'source': 'simulated', 'scene': ParameterValue(scene, value_type=str), 'seed': ParameterValue(seed, value_type=int),
                          'start_time': start_time}]),
    ])
