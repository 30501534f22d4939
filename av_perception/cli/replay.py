"""Play a bag into the graph, at its own pace or faster.

  av-perception replay my_bag
  av-perception replay my_bag --rate 4 --clock     four times as fast, with /clock for nodes that use_sim_time
  av-perception replay my_bag --topics /visual_features /audio_features
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from av_perception.cli.output import check_writable, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='bag folder (MCAP or sqlite3)')
    parser.add_argument('--rate', type=float, default=1.0, help='times real time (default 1)')
    parser.add_argument('--clock', action='store_true', help='publish /clock with the time of the bag')
    parser.add_argument('--topics', nargs='+', default=[], help='only these topics')
    parser.add_argument('--loop', action='store_true', help='start again at the end, until Ctrl-C')
    parser.add_argument('--json', type=Path, help='write what was played to this file')


def run(options: argparse.Namespace) -> int:
    """Play once, or in a loop."""
    from av_perception.errors import UserError
    if options.rate <= 0:
        raise UserError('--rate must be positive')
    check_writable(options.json)
    from av_perception.ros.environment import prepare_environment
    prepare_environment()
    import rclpy
    from rich.progress import Progress

    from av_perception.ros.bags import BagPlayer

    rclpy.init()
    node = rclpy.create_node('bag_player')
    try:
        player = BagPlayer(node, options.bag, tuple(options.topics), options.clock)
        time.sleep(1.0)   # let subscribers find the publishers, so that the first messages are not lost
        with Progress() as progress:
            task = progress.add_task(f'{options.bag.name} at {options.rate:g}x', total=player.duration_s)
            while True:
                player.play(options.rate, lambda seconds: progress.update(task, completed=seconds))
                if not options.loop:
                    break
        player.close()
    finally:
        rclpy.try_shutdown()
    if options.json:
        write_json(options.json, {'messages': player.message_count, 'duration_s': player.duration_s})
    return 0
