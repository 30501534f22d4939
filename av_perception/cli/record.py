# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Record the topics of a running graph to a bag until Ctrl-C; `ros2 bag` and rosbags read it.

  av-perception record -o my_bag                 everything but images
  av-perception record -o my_bag --images        images too: 46 MB a second for a stereo pair
  av-perception record -o my_bag --topics /tracks /audio
  av-perception record -o my_bag --storage sqlite3

The bag can be read by its user only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from av_perception.cli.network import add_network_argument
from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from threading import Event

    from rclpy.executors import Executor

    from av_perception.ros.bags.bag_recorder import BagRecorder

EMPTY_CALLS = 3
# Messages wait in their queues meanwhile: waking up for each costs three times the work of writing
# it.
DRAIN_PERIOD_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument('-o', '--output', type=Path, required=True, help='folder of the new bag')
    parser.add_argument(
        '--topics', nargs='+', default=[], help='only these topics, with full names'
    )
    parser.add_argument('--images', action='store_true', help='record images too')
    parser.add_argument(
        '--storage',
        choices=('mcap', 'sqlite3'),
        default='mcap',
        help='format of the file (default mcap)',
    )
    add_network_argument(parser)
    parser.add_argument(
        '--json', type=Path, help='write the number of messages per topic to this file'
    )


def run(options: argparse.Namespace) -> int:
    """Record until SIGINT or SIGTERM."""
    check_writable(options.json, made_folder=options.output)
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment(network=options.network)
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from av_perception.ros.bags.bag_recorder import BagRecorder
    from av_perception.ros.privacy import private_node
    from av_perception.ros.process import catch_stop_signals

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopping = catch_stop_signals()
    try:
        node = private_node('bag_recorder')
        recorder = BagRecorder(
            node, options.output, tuple(options.topics), options.images, options.storage
        )
        executor = rclpy.executors.SingleThreadedExecutor()
        executor.add_node(node)
        try:
            _record(executor, recorder, stopping)
        finally:
            recorder.close()
    finally:
        rclpy.try_shutdown()
    silent = sorted(topic for topic, count in recorder.counts.items() if not count)
    if silent:
        print('no message came on ' + ', '.join(silent))
    print(f'{recorder.total} messages of {len(recorder.counts)} topics in {options.output}')
    if options.json:
        write_json(options.json, recorder.counts)
    return 0 if recorder.total else 1


def _record(executor: Executor, recorder: BagRecorder, stopping: Event) -> None:
    """Record until asked to stop or the file cannot grow; a terminal shows how much there is."""
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn('{task.description}'), TimeElapsedColumn(), transient=True
    ) as progress:
        task = progress.add_task('recording', total=None)
        while not stopping.wait(DRAIN_PERIOD_S):
            _drain(executor, recorder)
            text = (
                f'{recorder.total} messages of {len(recorder.counts)} topics, '
                f'{1e-6 * recorder.size:.0f} MB; Ctrl-C ends'
            )
            progress.update(task, description=text)
            if recorder.failure:
                raise UserError(recorder.failure)
        _drain(executor, recorder)


def _drain(executor: Executor, recorder: BagRecorder) -> None:
    """Handle everything that waits.

    The stamps in the bag are those of the senders, so nothing is lost by coming late. The executor
    hands out one message a topic and then says that time is up, so only several empty calls in a
    row mean that nothing is left.
    """
    idle = 0
    while idle < EMPTY_CALLS:
        before = recorder.total
        executor.spin_once(timeout_sec=0)
        idle = idle + 1 if recorder.total == before else 0
