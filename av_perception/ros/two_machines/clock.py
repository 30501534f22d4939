# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The clock of one of two machines, for nodes on simulated time: slower than it is, or ahead.

A computer that is too busy for its work in real time does it at a fraction of the pace, and the
cable is made slower by as much. Each machine has a topic of its own for this, so that the cable
delays neither.

python -m av_perception.ros.two_machines.clock TOPIC START_NS SLOWER AHEAD_S
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import rclpy
from rosgraph_msgs.msg import Clock

from av_perception.ros import qos
from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.conversions import time_from_ns
from av_perception.ros.privacy import private_node
from av_perception.ros.process import catch_stop_signals

PERIOD_S = 0.005  # of the clock that is shown


@dataclass(frozen=True)
class Pace:
    """A clock that went apart from the system's at a moment.

    Its field `slower` tells how many times slower it goes.
    """

    #: When both were equal [ns].
    start_ns: int
    #: So many seconds of the system are one of this clock.
    slower: float = 1.0

    def at(self, system_ns: int) -> int:
        """Read it at a time of the system's clock [ns]."""
        return self.start_ns + round((system_ns - self.start_ns) / self.slower)


def run(topic: str, pace: Pace, ahead_s: float) -> None:
    """Publish the clock until the process is asked to stop."""
    stopping = catch_stop_signals()
    prepare_environment(network=True)
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    publisher = private_node('clock').create_publisher(Clock, topic, qos.MOTION)
    ahead_ns = round(1e9 * ahead_s)
    while not stopping.wait(PERIOD_S * pace.slower):
        now_ns = pace.at(time.time_ns()) + ahead_ns
        publisher.publish(Clock(clock=time_from_ns(now_ns)))
    rclpy.try_shutdown()


if __name__ == '__main__':
    run(sys.argv[1], Pace(int(sys.argv[2]), float(sys.argv[3])), float(sys.argv[4]))
