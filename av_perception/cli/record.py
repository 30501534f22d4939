"""Record the topics of a running graph to an MCAP bag until Ctrl-C.

  av-perception record -o my_bag                 everything but images
  av-perception record -o my_bag --images        images too: 46 MB a second for a stereo pair
  av-perception record -o my_bag --topics /tracks /audio
"""

from __future__ import annotations

import argparse
from pathlib import Path

from av_perception.cli.output import check_writable, write_json

DRAIN_PERIOD_S = 0.1   # messages wait in their queues meanwhile: waking up for each costs three times the work of writing it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument('-o', '--output', type=Path, required=True, help='folder of the new bag')
    parser.add_argument('--topics', nargs='+', default=[], help='only these topics, with full names')
    parser.add_argument('--images', action='store_true', help='record images too')
    parser.add_argument('--json', type=Path, help='write the number of messages per topic to this file')


def run(options: argparse.Namespace) -> int:
    """Record until SIGINT or SIGTERM."""
    check_writable(options.json, made_folder=options.output)
    from av_perception.ros.environment import prepare_environment
    prepare_environment()
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    from av_perception.ros.bags import BagRecorder
    from av_perception.ros.node import catch_stop_signals

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    stopping = catch_stop_signals()
    node = rclpy.create_node('bag_recorder')
    recorder = BagRecorder(node, options.output, tuple(options.topics), options.images)
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(node)
    try:
        while not stopping.wait(DRAIN_PERIOD_S):
            _drain(executor, recorder)
        _drain(executor, recorder)
    finally:
        recorder.close()
        rclpy.try_shutdown()
    silent = sorted(topic for topic, count in recorder.counts.items() if not count)
    if silent:
        print('no message came on ' + ', '.join(silent))
    print(f'{recorder.total} messages of {len(recorder.counts)} topics in {options.output}')
    if options.json:
        write_json(options.json, recorder.counts)
    return 0 if recorder.total else 1


def _drain(executor, recorder) -> None:
    """Handle everything that waits; the stamps in the bag are those of the senders, so nothing is lost by coming late."""
    before = -1
    while recorder.total != before:
        before = recorder.total
        executor.spin_once(timeout_sec=0)
