# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sound of voices below /humans: by the voice's id, while somebody listens."""

from __future__ import annotations

import numpy as np
import pytest
import rclpy
from av_perception_msgs.msg import AudioChunk as AudioChunkMsg
from human_frames import frames, person
from interface_packages import build_overlay
from planted_voices import chunks_of
from ros_bench import Rig

from av_perception.hri.people import Humans
from av_perception.ros import qos
from av_perception.ros.conversions import audio_chunk_to_msg
from av_perception.ros.human_voices import HumanVoices

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def audio_data():
    """The message class of ros-drivers."""
    build_overlay('audio_common_msgs (ros-drivers)', 'naoqi_bridge_msgs').load()
    from audio_common_msgs.msg import AudioData

    return AudioData


@pytest.fixture
def rig(ros_context):
    nodes = [rclpy.create_node(name, context=ros_context) for name in ('bridge', 'client')]
    one = Rig(*nodes)
    yield one
    for node in nodes:
        node.destroy_node()


def test_the_sound_of_a_track_is_that_of_its_voice(rig, audio_data):
    bridge, client = rig.nodes
    voices = HumanVoices(bridge)
    humans = Humans()
    source = client.create_publisher(AudioChunkMsg, 'voices/person_4', qos.voice(0.032))
    frame = humans.step(*frames(0, person(4, speaks=True), person(5)))
    voices.follow(frame)
    (name,) = (human.voice for human in frame.people if human.voice)
    topic = f'/humans/voices/{name}/audio'
    assert not client.count_subscribers('/voices/person_4'), 'nobody wants it yet'

    heard = []
    client.create_subscription(audio_data, topic, heard.append, qos.audio(0.032))
    told = [0]

    def is_served():
        told[0] += 40
        voices.follow(humans.step(*frames(told[0], person(4, speaks=True), person(5))))
        return source.get_subscription_count() == 1

    assert rig.until(is_served)
    samples = np.linspace(-1, 1, 512, dtype=np.float32)[:, None]
    source.publish(audio_chunk_to_msg(chunks_of(samples, 512)[0], 'person_4'))
    assert rig.until(lambda: heard)
    found = np.frombuffer(bytes(heard[0].data), '<i2')
    np.testing.assert_allclose(found / 32767, samples[:, 0], atol=1e-4)

    # Who is gone has no voice any more.
    voices.follow(humans.step(*frames(told[0] + 40, person(5))))
    assert rig.until(lambda: client.count_publishers(topic) == 0)
    voices.close()
