# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths between nodes: the message, who publishes it when, and who takes it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from av_perception_msgs import msg as av
from av_perception_msgs.msg import TrackArray, VisualFeatures
from planted_mouths import (
    banded_voice,
    frames_with_mouths,
    mouth_of,
    showing_mouths,
    talking_opening,
)
from planted_voices import START_NS, chunks_of, planted_voices
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from ros_bench import send_pair
from sensor_msgs.msg import Image

from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.errors import UserError
from av_perception.interfaces import MouthFrame
from av_perception.lips.lip_looks import LipLooks
from av_perception.lips.lip_model import GAIN, SPEECH_PRIOR, save_lips
from av_perception.lips.lip_reader import learn_encoder
from av_perception.nodes import visual_features
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.nodes.voices import VoicesNode
from av_perception.ros import qos
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    mouth_frame_from_msg,
    mouth_frame_to_msg,
    ns_from_time,
    track_frame_to_msg,
)
from av_perception.simulation.cache import simulated_recording

IMAGES = {'left/image_raw': Image, 'right/image_raw': Image}
PERIOD_NS = 40_000_000


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def textured(opening=0.25, reliability=0.5):
    rng = np.random.default_rng(2)
    crop = mouth_of(opening, [1.5, 2.0, 30.0, 40.0])
    pixels = [rng.integers(0, 255, shape).astype(np.uint8) for shape in ((67, 67), (34, 67))]
    return replace(crop, mouth=pixels[0], eyes=pixels[1], reliability=reliability)


def test_mouths_come_back_as_they_went():
    frame = MouthFrame(START_NS + 7, (textured(), textured(float('nan'))))
    message = over_the_wire(mouth_frame_to_msg(frame, 'camera'))
    assert message.header.frame_id == 'camera'
    back = mouth_frame_from_msg(message)
    assert back.stamp_ns == START_NS + 7 and len(back.mouths) == 2
    for before, after in zip(frame.mouths, back.mouths):
        for name in ('box', 'mouth', 'eyes', 'reliability', 'opening'):
            assert np.array_equal(getattr(before, name), getattr(after, name), equal_nan=True)


def test_hostile_mouths_are_not_relied_on():
    message = mouth_frame_to_msg(MouthFrame(START_NS, (textured(), textured(), textured())), '')
    message.mouths[0].reliability = float('nan')
    message.mouths[1].reliability = 7.0
    message.mouths[2].box[1] = float('inf')
    back = mouth_frame_from_msg(over_the_wire(message))
    assert [crop.reliability for crop in back.mouths] == [0.0, 1.0]


@pytest.fixture(scope='module')
def pairs():
    """Image pairs of a rendered scene."""
    found = []
    for index, _, left, right in simulated_recording('short').images():
        found.append((left, right))
        if index == 3:
            return found


@pytest.mark.slow
def test_mouths_are_cut_out_only_while_somebody_listens(bench, pairs, monkeypatch):
    calls = []
    cut = visual_features.crop_mouths
    monkeypatch.setattr(
        visual_features, 'crop_mouths', lambda *given: calls.append(1) or cut(*given)
    )
    output = ('visual_features', VisualFeatures)
    one = bench(VisualFeaturesNode, IMAGES, output, embedding='none', lips=True)
    for k, (left, right) in enumerate(pairs[:2]):
        send_pair(one, START_NS + k * PERIOD_NS, left, right)
    assert one.until(lambda: len(one.heard) == 2) and not calls

    mouths: list = []
    one.client.create_subscription(av.MouthCrops, 'mouth_crops', mouths.append, qos.FEATURES)
    counted = partial(one.node.count_subscribers, 'mouth_crops')
    assert one.until(lambda: counted() == 1)
    for k, (left, right) in enumerate(pairs[2:], 2):
        send_pair(one, START_NS + k * PERIOD_NS, left, right)
    assert one.until(lambda: len(mouths) == 2 and len(one.heard) == 4)
    for message, faces in zip(mouths, one.heard[2:]):
        assert message.header == faces.header, 'the time of capture'
        boxes = [list(mouth.box) for mouth in message.mouths]
        assert len(boxes) >= 2 and boxes == [list(face.box) for face in faces.faces]
        assert min(mouth.reliability for mouth in message.mouths) > 0.2


@pytest.mark.slow
def test_without_lips_there_is_no_such_topic(bench, pairs):
    one = bench(VisualFeaturesNode, IMAGES, None, embedding='none')
    assert one.node.count_publishers('mouth_crops') == 0


@pytest.mark.slow
def test_speaking_status_watches_the_mouths_of_its_tracks(bench):
    inputs = {'tracks': TrackArray, 'mouth_crops': av.MouthCrops}
    one = bench(SpeakingStatusNode, inputs, None, head='respeaker', lips=True)
    openings = {1: talking_opening(np.ones(4, bool))}
    for frame, mouths in frames_with_mouths({1: 0.0}, openings):
        one.send('mouth_crops', mouth_frame_to_msg(mouths, 'camera'))
        one.send('tracks', track_frame_to_msg(frame, 'base_link'))
    counted = dict(one.node._estimator.counters)
    assert 'tracks without the mouths of their image' not in counted
    frame, _ = frames_with_mouths({1: 0.0}, {1: np.ones(5)})[-1]
    one.send('tracks', track_frame_to_msg(frame, 'base_link'))
    assert one.node._estimator.counters['tracks without the mouths of their image'] == 1


@pytest.fixture()
def lips_file(tmp_path):
    """Lips that passed, of nobody."""
    looks = LipLooks()
    mouths = showing_mouths(banded_voice(1.0, 1), START_NS, 1)
    encoder = learn_encoder([looks.update(*row) for row in mouths])
    weight = np.full((16, encoder.num_features), 0.1, np.float32)
    visual = LinearVisualPrior(weight, np.zeros(16), np.full(16, 0.3))
    save_lips(tmp_path / 'lips.npz', encoder, visual, {SPEECH_PRIOR: 'vae', GAIN: 1.5})
    return str(tmp_path / 'lips.npz')


@pytest.mark.slow
def test_voices_hear_with_eyes_within_200_ms(bench, lips_file):
    """By construction: every sample that is 200 ms old has come out, and lips are counted."""
    inputs = {'tracks': TrackArray, 'audio': av.AudioChunk, 'mouth_crops': av.MouthCrops}
    eyes = {'enhance': 'vae', 'visual': 'swvae', 'lips_file': lips_file}
    one = bench(VoicesNode, inputs, None, head='respeaker', **eyes)
    one.stop_time()
    sound = planted_voices([0.0], [(0.2, 1.9)], 2.0)
    chunks = chunks_of(sound, 256)
    heard: list = []
    one.client.create_subscription(av.AudioChunk, 'voices/person_1', heard.append, qos.voice(0.02))
    shown = showing_mouths(sound[:, 0].astype(float), START_NS, 1)
    rows = frames_with_mouths({1: 0.0}, {1: np.full(50, 0.1)})
    lags = []
    for k, (frame, mouths) in enumerate(rows):
        crops = tuple(replace(shown[k][1], box=crop.box) for crop in mouths.mouths)
        one.send('mouth_crops', mouth_frame_to_msg(MouthFrame(frame.stamp_ns, crops), 'camera'))
        one.send('tracks', track_frame_to_msg(frame, 'base_link'))
        while chunks and chunks[0].stamp_ns + 16_000_000 <= frame.stamp_ns:
            newest = chunks.pop(0)
            one.send('audio', audio_chunk_to_msg(newest, 'microphones'))
            if len(heard) > 6:
                last = heard[-1]
                end_ns = ns_from_time(last.header.stamp) + len(last.samples) * 62500
                lags.append(newest.stamp_ns + 16_000_000 - end_ns)
    assert len(lags) > 10 and max(lags) <= 200_000_000, max(lags)
    assert 'person 1' in one.node.diagnostics.reports['how far lips count']


def test_voices_without_lips_of_ones_own_say_so(ros_context):
    given = {'head': 'respeaker', 'enhance': 'vae', 'visual': 'cvae', 'lips_file': '/nowhere.npz'}
    overrides = [Parameter(name, value=value) for name, value in given.items()]
    node = VoicesNode(context=ros_context, parameter_overrides=overrides)
    try:
        with pytest.raises(UserError, match='none ship'):
            node.configure()
    finally:
        node.destroy_node()
