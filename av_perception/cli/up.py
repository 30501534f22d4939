# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Start the suite for a head and keep it running until Ctrl-C.

  av-perception up my_head.yaml                        the sensors of your own head
  av-perception up simulated                           a simulated room, played once
  av-perception up my_head.yaml --source file --recording FOLDER
  av-perception up my_head.yaml --mode minimal         faces and two microphones, small robots
  av-perception up my_head.yaml --where robot          of two machines: the one with the sensors,
  av-perception up my_head.yaml --where computer       and the one with all the rest

Nothing listens on the network and no other user of this machine can read along: the nodes speak
through shared memory. The first line printed says so, or what your own settings
(ROS_LOCALHOST_ONLY, ROS_AUTOMATIC_DISCOVERY_RANGE, a Fast DDS profile, RMW_IMPLEMENTATION) change
about it; and what ros2, rviz and drivers in another shell need to find the graph:

  export FASTRTPS_DEFAULT_PROFILES_FILE=.../config/fastdds_shared_memory.xml
  export ROS_AUTOMATIC_DISCOVERY_RANGE=SYSTEM_DEFAULT

--network opens the graph to every host that reaches this one, and so does --where, as two machines
must reach each other. Files are readable by their user only.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.namespace import add_namespace_argument
from av_perception.cli.network import add_network_argument

if TYPE_CHECKING:
    from av_perception.robot_head import HeadProfile
    from av_perception.ros.bringup.graph import Selection
    from av_perception.ros.bringup.runner import GraphRunner

_WATCH_PERIOD_S = 0.3
EXTRAS = (
    'events',
    'ros4hri',
    'head_pose',
    'attention',
    'voices',
    'forecast',
    'view',
)  # nodes that are started when asked for


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    from av_perception.ros.bringup.graph import ARGUMENTS, CHOICES, SELECTION

    parser.add_argument('head', metavar='HEAD', help=ARGUMENTS['head'].description)
    parser.add_argument(
        '--source',
        choices=('auto', 'device', 'file', 'simulated'),
        default='auto',
        help=ARGUMENTS['source'].description,
    )
    parser.add_argument('--recording', default='', help=ARGUMENTS['recording'].description)
    parser.add_argument('--scene', default='three_talkers', help=ARGUMENTS['scene'].description)
    parser.add_argument('--seed', type=int, default=-1, help=ARGUMENTS['seed'].description)
    for name, choices in CHOICES.items():
        parser.add_argument(
            f'--{name}', choices=choices, default=choices[0], help=SELECTION[name].description
        )
    for name in EXTRAS:
        flag = f'--{name.replace("_", "-")}'
        parser.add_argument(flag, action='store_true', help=SELECTION[name].description)
    parser.add_argument(
        '--compressed',
        choices=('auto', 'true', 'false'),
        default='auto',
        help='take images from left/image_raw/compressed and right/image_raw/compressed; auto: '
        'with --where computer, else as the parameter file says',
    )
    parser.add_argument('--lips', action='store_true', help=ARGUMENTS['lips'].description)
    _add_process_arguments(parser)
    _add_ros_arguments(parser)
    add_network_argument(parser)
    levels = ('debug', 'info', 'warn', 'error')
    parser.add_argument(
        '--log-level', default='info', choices=levels, help='what the nodes log (default: info)'
    )


def _add_process_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--processes',
        action='store_true',
        help='a process for each node: costs more, but none can take the others down',
    )
    respawn_help = 'start a node again that ended by itself'
    parser.add_argument('--respawn', action='store_true', help=respawn_help)
    add_namespace_argument(parser, 'namespace of all topics and nodes')


def _add_ros_arguments(parser: argparse.ArgumentParser) -> None:
    from av_perception.ros.bringup.graph import ARGUMENTS

    parser.add_argument(
        '--remap',
        action='append',
        default=[],
        metavar='FROM:=TO',
        help="rename a topic, as a driver's: left/image_raw:=/camera/image_raw; repeatable",
    )
    parser.add_argument(
        '--sim-time', action='store_true', help='take the time from /clock, as of a bag'
    )
    parser.add_argument(
        '--start-time', type=float, metavar='S', help=ARGUMENTS['start_time'].description
    )
    parser.add_argument(
        '--params-file', default='', help='YAML of node parameters instead of config/params.yaml'
    )


def run(options: argparse.Namespace) -> int:
    """Start all nodes, wait, stop all nodes; 2 when one ended by itself: it has said why."""
    from av_perception.errors import UserError
    from av_perception.ros.bringup.graph import nodes_for, source_of
    from av_perception.ros.bringup.runner import GraphRunner

    head = _checked_head(options)
    source = source_of(options.source, options.head)
    if source == 'simulated':
        _render(options.scene, options.seed)
    arguments = _node_arguments(options, source)
    environment = _environment(options)
    selection = _selection(options, source)
    nodes = nodes_for(head, selection)
    if not nodes:
        raise UserError(f"no node is left to start on '{options.head}' with these arguments")
    with GraphRunner(
        nodes,
        arguments,
        options.namespace,
        options.params_file,
        log_level=options.log_level,
        environment=environment,
        composed=None if options.processes else selection,
        respawn=options.respawn,
        ros_arguments=_ros_arguments(options),
    ) as graph:
        try:
            ended = _watch(graph, options.respawn)
        except KeyboardInterrupt:
            return 0
        print(
            f'av-perception: {", ".join(ended)} ended; its last lines above say why. '
            'Stopping the others.'
        )
        return 2


def _checked_head(options: argparse.Namespace) -> HeadProfile:
    """Load the head, and check what the nodes need before they are started. Raises UserError."""
    from av_perception.errors import UserError
    from av_perception.robot_head import load_head
    from av_perception.ros.bringup.availability import require_ros

    head = load_head(options.head)
    _check_recording(options, head)
    if options.params_file and not Path(options.params_file).is_file():
        raise UserError(f'there is no parameter file {options.params_file}')
    require_ros()
    return head


def _check_recording(options: argparse.Namespace, head: HeadProfile) -> None:
    """Open the recording that is to be played. Raises UserError where there is none to play."""
    from av_perception.errors import UserError
    from av_perception.recording import Recording
    from av_perception.ros.bringup.graph import source_of

    source = source_of(options.source, options.head)
    if source != 'file':
        if options.recording:
            raise UserError(
                f'the source is {source}, so --recording {options.recording} would not be played: '
                'add --source file'
            )
        return
    if not options.recording:
        raise UserError('--source file plays a recording: add --recording FOLDER')
    recording = Recording.open(options.recording)
    if recording.problem:
        print(f'av-perception: {recording.problem}', flush=True)
    own = recording.head.microphones
    if own and head.microphones and own.geometry_hash != head.microphones.geometry_hash:
        print(
            f'av-perception: the recording was made with other microphones ({recording.head.name})'
            f' than {options.head} has: directions are wrong unless the profile was corrected',
            flush=True,
        )


def _environment(options: argparse.Namespace) -> dict[str, str]:
    """Prepare that of the nodes, and say who can reach them."""
    from av_perception.ros.bringup.environment import prepare_environment, reach

    network = options.network or options.where != 'all'
    environment = prepare_environment(dict(os.environ), network=network)
    print(f'av-perception: {reach(environment)}', flush=True)
    return environment


def _selection(options: argparse.Namespace, source: str) -> Selection:
    from av_perception.ros.bringup.graph import CHOICES, Selection

    choices = {name: getattr(options, name) for name in (*CHOICES, *EXTRAS)}
    return Selection(**choices, truth=source == 'simulated')


def _node_arguments(options: argparse.Namespace, source: str) -> dict:
    """Collect the launch arguments of the nodes."""
    from av_perception.ros.bringup.graph import START_DELAY_S, image_parameters

    arguments = {
        'head': options.head,
        'source': source,
        'recording': options.recording,
        'scene': options.scene,
        'seed': options.seed,
        'microphones': options.microphones,
        'lips': options.lips,
        **image_parameters(options.where, options.compressed),
    }
    if options.start_time is not None:
        arguments['start_time'] = options.start_time
    elif source != 'device' and not options.sim_time:
        arguments['start_time'] = time.time() + START_DELAY_S
    return arguments


def _ros_arguments(options: argparse.Namespace) -> list[str]:
    """Give what all nodes find behind --ros-args. Raises UserError for remaps that cannot be."""
    from av_perception.ros.bringup.remaps import checked_remaps

    words = ['-p', 'use_sim_time:=true'] if options.sim_time else []
    return words + [word for rule in checked_remaps(options.remap) for word in ('-r', rule)]


def _watch(graph: GraphRunner, respawn: bool) -> dict[str, int]:
    """Wait until nodes end by themselves, and return names and exit statuses; or revive them."""
    while True:
        ended = graph.failed()
        if ended and not respawn:
            return ended
        if respawn:
            for name in graph.revive():
                print(f'av-perception: {name} ended and was started again.', flush=True)
        time.sleep(_WATCH_PERIOD_S)


def _render(scene: str, seed: int) -> None:
    """Render a scene that the cache lacks, with a progress bar, before the nodes look for it."""
    from rich.progress import Progress

    from av_perception.simulation.cache import simulated_recording

    with Progress(transient=True) as progress:
        task = progress.add_task('render', total=1.0)
        simulated_recording(
            scene,
            None if seed < 0 else seed,
            lambda fraction, text: progress.update(task, completed=fraction, description=text),
        )
