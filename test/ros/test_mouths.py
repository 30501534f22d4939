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
from planted_mouths import frames_with_mouths, mouth_of, talking_opening
from planted_voices import START_NS
from rclpy.serialization import deserialize_message, serialize_message
from ros_bench import send_pair
from sensor_msgs.msg import Image

from av_perception.interfaces import MouthFrame
from av_perception.nodes import visual_features
from av_perception.nodes.speaking_status import SpeakingStatusNode
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.ros import qos
from av_perception.ros.conversions import (
    mouth_frame_from_msg,
    mouth_frame_to_msg,
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
