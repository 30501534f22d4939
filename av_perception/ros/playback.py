# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters and time base of the nodes that play a recording.

Microphones, cameras and the truth share one start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from av_perception.errors import UserError
from av_perception.geometry.time import nanoseconds
from av_perception.recording import Recording
from av_perception.ros.parameters import Parameter

if TYPE_CHECKING:
    from av_perception.ros.node import PerceptionNode

HEAD = Parameter(
    'head', 'simulated', 'Head profile: a name of config/heads or the path of a YAML file.'
)
PLAYBACK = (
    Parameter('recording', '', 'With source file: a recording folder.'),
    Parameter(
        'scene',
        'three_talkers',
        'With source simulated: a name of config/scenes or the path of a YAML file; rendered '
        'once, then played.',
    ),
    Parameter(
        'seed',
        -1,
        'With source simulated: seed of the scene; -1 takes the seed of the scene file.',
        -1,
        2**31 - 1,
    ),
    Parameter(
        'start_time',
        0.0,
        'When the recording starts to play, in seconds of the ROS clock; 0 starts at activation. '
        'Give all playing nodes the same value to keep sound and image together.',
        0.0,
        1e11,
    ),
)


def open_recording(node: PerceptionNode) -> Recording:
    """Open the recording that a node's parameters name.

    A simulated scene is rendered first if it is not in the cache.

    Raises
    ------
    UserError
        When there is none, or it cannot be read.
    """
    if node.value('source') == 'simulated':
        # Heavy, and needed by this source only.
        from av_perception.simulation.cache import simulated_recording

        seed = node.value('seed')
        return simulated_recording(node.value('scene'), None if seed < 0 else seed)
    if not node.value('recording'):
        raise UserError(
            "source is 'file' but the parameter 'recording' is empty: name a recording folder"
        )
    return Recording.open(node.value('recording'))


def start_ns(node: PerceptionNode) -> int:
    """Tell the ROS time at which second 0 of the recording plays [ns]."""
    start_time = node.value('start_time')
    return nanoseconds(start_time) if start_time > 0 else node.now_ns()
