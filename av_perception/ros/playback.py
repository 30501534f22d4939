# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters and time base of the nodes that play a recording: microphones, cameras and the truth share one start."""

from __future__ import annotations

from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.ros.parameters import Parameter

HEAD = Parameter(
    'head', 'simulated', 'Head profile: a name of config/heads or the path of a YAML file.'
)
PLAYBACK = (
    Parameter('recording', '', 'With source file: a recording folder.'),
    Parameter(
        'scene',
        'three_talkers',
        'With source simulated: a name of config/scenes or the path of a YAML file; rendered once, then played.',
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


def open_recording(node) -> Recording:
    """The recording that a node's parameters name; a simulated scene is rendered first if it is not in the cache. Raises UserError."""
    if node.value('source') == 'simulated':
        from av_perception.simulation.cache import (
            simulated_recording,
        )  # heavy, and needed by this source only

        seed = node.value('seed')
        return simulated_recording(node.value('scene'), None if seed < 0 else seed)
    if not node.value('recording'):
        raise UserError(
            "source is 'file' but the parameter 'recording' is empty: name a recording folder"
        )
    return Recording.open(node.value('recording'))


def start_ns(node) -> int:
    """The ROS time at which second 0 of the recording plays."""
    start_time = node.value('start_time')
    return round(start_time * 1e9) if start_time > 0 else node.get_clock().now().nanoseconds
