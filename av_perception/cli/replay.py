# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Play a bag into the graph, at its own pace or faster.

  av-perception replay my_bag                      all of it, results too
  av-perception replay my_bag --inputs --clock
      only what the suite computes from, for nodes that use_sim_time
  av-perception replay my_bag --rate 4 --loop
  av-perception replay my_bag --topics /visual_features /audio_features

replay.launch.py starts the nodes and this player together.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.network import add_network_argument
from av_perception.cli.output import check_writable, write_json

if TYPE_CHECKING:
    from threading import Event

    from av_perception.ros.bags.bag_player import BagPlayer

# Subscribers need this long to find the publishers, or the first messages are lost.
DISCOVERY_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        'bag', type=Path, metavar='BAG', help='bag folder, or a single .mcap or .db3 file'
    )
    parser.add_argument('--rate', type=float, default=1.0, help='times real time (default 1)')
    parser.add_argument(
        '--clock', action='store_true', help='publish /clock with the time of the bag'
    )
    parser.add_argument(
        '--inputs',
        action='store_true',
        help='play only what the suite computes from: sound and images, or the features of those '
        'that the bag lacks, transforms, imu; in the namespace of this node',
    )
    parser.add_argument(
        '--wait',
        type=float,
        default=60.0,
        metavar='SECONDS',
        help='with --inputs: wait this long for the nodes (default 60)',
    )
    parser.add_argument(
        '--topics', nargs='+', default=[], help='only these topics, as they were recorded'
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end, until Ctrl-C')
    add_network_argument(parser)
    parser.add_argument('--json', type=Path, help='write what was played to this file')


def run(options: argparse.Namespace) -> int:
    """Play once, or in a loop."""
    from av_perception.errors import UserError

    if not 0 < options.rate < math.inf:
        raise UserError(f'--rate must be a positive number, not {options.rate}')
    if math.isnan(options.wait):
        raise UserError('--wait must be a number of seconds, not nan')
    check_writable(options.json)
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment(network=options.network)
    figures = _replay(options)
    if options.json:
        write_json(options.json, figures)
    return 0


def _replay(options: argparse.Namespace) -> dict:
    """Play and say what could not be played; return the figures."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from av_perception.ros.bags.bag_file import graph_inputs
    from av_perception.ros.bags.bag_player import BagPlayer
    from av_perception.ros.privacy import private_node
    from av_perception.ros.process import catch_stop_signals

    inputs = graph_inputs(options.bag) if options.inputs else None
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopping = catch_stop_signals()
    try:
        node = private_node('bag_player')
        player = BagPlayer(node, options.bag, tuple(options.topics), options.clock, inputs)
        for topic, reason in player.skipped.items():
            print(f'{topic} is not played: {reason}')
        if inputs is not None:
            lonely = player.wait_for_listeners(inputs.given, options.wait, stopping)
            if lonely and not stopping.is_set():
                print(
                    f'nobody listens to {", ".join(lonely)}: '
                    'are the nodes running, in the same namespace?'
                )
        stopping.wait(DISCOVERY_S)
        _play(player, options, stopping)
        player.close()
        for event, count in sorted(player.dropped.items()):
            print(f'not played: {count} message(s) of {event}')
    finally:
        rclpy.try_shutdown()
    return {'messages': player.message_count, 'duration_s': player.duration_s}


def _play(player: BagPlayer, options: argparse.Namespace, stopping: Event) -> None:
    """Play once, or again and again, with a progress bar."""
    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task(
            f'{options.bag.name} at {options.rate:g}x', total=player.duration_s
        )
        while not stopping.is_set():
            player.play(
                options.rate, lambda seconds: progress.update(task, completed=seconds), stopping
            )
            if not options.loop:
                break
    time.sleep(0.2)  # the last messages leave before the publishers do
