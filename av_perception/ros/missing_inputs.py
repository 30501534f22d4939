# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which missing inputs go to the log: each once for all nodes of a process."""

from __future__ import annotations

import threading

from rclpy.node import Node

from av_perception.ros.bringup.graph import NODES, START_DELAY_S
from av_perception.ros.input_monitor import InputMonitor

# Before its first message an input may be so long on its way [s]: drivers and networks start up.
STARTUP_S = 5.0
_SENSORS = frozenset(('microphone_array', 'audio_bridge', 'stereo_camera', 'truth'))
# They wait for sensors themselves, and say so.
_LATER_NODES = frozenset(description.name for description in NODES) - _SENSORS


class MissingInputs:
    """What the nodes of one process have said: the first to notice a problem tells it."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._lock = threading.Lock()
        self._told: set[tuple[str, str]] = set()

    def begin(self, topic: str, words: str) -> bool:
        """Note a problem; tell whether nobody has said it yet."""
        with self._lock:
            is_new = (topic, words) not in self._told
            self._told.add((topic, words))
        return is_new

    def end(self, topic: str, words: str) -> bool:
        """Note the end of a problem; tell whether nobody has said that yet."""
        with self._lock:
            is_new = (topic, words) in self._told
            self._told.discard((topic, words))
        return is_new


def is_starting(monitor: InputMonitor, node: Node) -> bool:
    """Tell whether silence of an input that has never spoken is no news yet.

    Parameters
    ----------
    monitor : InputMonitor
        Of the input.
    node : rclpy.node.Node
        Who listens.

    Returns
    -------
    bool
        The node has hardly begun to listen; or only nodes of the suite behind the sensors publish
        the input, who say themselves what they wait for.
    """
    if monitor.count:
        return False
    names = {p.node_name for p in node.get_publishers_info_by_topic(monitor.topic)}
    if names and names <= _LATER_NODES:
        monitor.is_made_here = True
    # Our own players wait for each other before they begin.
    patience_s = STARTUP_S + (START_DELAY_S if names and names <= _SENSORS else 0.0)
    return monitor.is_made_here or monitor.silence_s() < patience_s
