# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A robot whose clock is wrong, by as much as is planted, is named where its sound is taken."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from rclpy.context import Context
from ros_bench import Rig

from av_perception.interfaces import AudioChunk
from av_perception.nodes.audio_features import AudioFeaturesNode
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.node import PerceptionNode

CHUNK_S = 0.016
RATE = 16000


class Robot(PerceptionNode):
    """A sensor on a machine whose clock is ahead."""

    NAME = 'microphone_array'
    TELLS_TIME = True
    ahead_s = 0.0
    _number = 0

    def now_ns(self):
        return super().now_ns() + round(1e9 * self.ahead_s)

    def configure(self):
        self._publisher = self.publisher(AudioChunkMsg, 'audio', qos.audio(CHUNK_S))

    def activate(self):
        self.every(CHUNK_S, self._publish)

    def _publish(self):
        size = round(CHUNK_S * RATE)
        noise = np.random.default_rng(self._number).normal(0, 0.01, (size, 4))
        chunk = AudioChunk(self.now_ns(), RATE, self._number * size, noise.astype(np.float32))
        self._number += 1
        self._publisher.publish(audio_chunk_to_msg(chunk, 'array'))


@pytest.fixture()
def machines():
    """Both nodes, each in a process of its own as far as DDS can tell."""
    contexts = [Context(), Context()]
    for context in contexts:
        rclpy.init(context=context)
    nodes = []

    def start(ahead_s):
        override = [rclpy.parameter.Parameter('head', value='respeaker')]
        computer = AudioFeaturesNode(context=contexts[0], parameter_overrides=override)
        robot = Robot(context=contexts[1])
        robot.ahead_s = ahead_s
        nodes.extend([Rig(computer), Rig(robot)])
        assert computer.start() and robot.start()
        return computer, nodes

    yield start
    for rig in nodes:
        rig.close()
    for context in contexts:
        rclpy.try_shutdown(context=context)


def until(rigs, condition, turns=600):
    for _ in range(turns):
        for rig in rigs:
            rig.spin(0.02)
        if condition():
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize('ahead_s, words', [(0.42, 'ahead of'), (-3.0, 'behind')])
def test_a_clock_that_is_wrong_is_named_by_how_much(machines, ahead_s, words):
    computer, rigs = machines(ahead_s)

    def named():
        problems = computer.diagnostics._input_problems()
        pattern = rf'the clock of microphone_array is (\S+) s {words} this one .*chrony'
        return re.search(pattern, problems.get('/audio', ''))

    assert until(rigs, named)
    assert float(named().group(1)) == pytest.approx(abs(ahead_s), abs=0.05)
    values = {pair.key: pair.value for pair in computer.diagnostics._values(1.0)}
    assert float(values['clock of microphone_array ahead [ms]'].split()[0]) == pytest.approx(
        1e3 * ahead_s, abs=50
    )


@pytest.mark.slow
def test_a_clock_that_is_right_is_told_and_not_complained_of(machines):
    computer, rigs = machines(0.0)
    monitor = computer.diagnostics.monitors[0]
    assert until(rigs, lambda: monitor.clock is not None)
    assert abs(monitor.clock[1].ahead_s) < 0.05 and monitor.wrong_clock() is None
    computer.trigger_deactivate()
    assert monitor.clock is None and not list(computer.clients)
    computer.trigger_activate()
