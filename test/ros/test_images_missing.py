# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images that never came, and what an unexpected error of the front end is called."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from av_perception_msgs.msg import VisualFeatures
from ros_bench import send_pair
from sensor_msgs.msg import Image

from av_perception.interfaces import VisualFeatures as Features
from av_perception.nodes import visual_features
from av_perception.nodes.visual_features import VisualFeaturesNode
from av_perception.ros.image_pairs import PairOffsets

SECOND = 10**9
PERIOD_NS = 40_000_000
SMALL = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


class Eyes:
    """A front end that sees nobody, and stumbles over one image."""

    embedding_size = 0
    calibration_problems = ()
    scale = SimpleNamespace(problem='')
    counters = dict.fromkeys(visual_features.COUNTED, 0)
    stumbles_at: int | None = None

    def __init__(self, *arguments, **options):
        """Nothing to build."""

    def warm_up(self):
        """Nothing to warm up."""

    def process(self, stamp_ns, left, right, hurry=False):
        if stamp_ns == self.stumbles_at:
            raise KeyError('noise')
        return Features(stamp_ns, ())


@pytest.fixture()
def watched(bench, monkeypatch):
    """The node, and what sends it the image pair of a number."""
    monkeypatch.setattr(visual_features, 'VisualFrontEnd', Eyes)
    topics = {f'{side}/image_raw': Image for side in ('left', 'right')}
    b = bench(VisualFeaturesNode, topics, ('visual_features', VisualFeatures))
    return b, lambda number: send_pair(b, SECOND + number * PERIOD_NS, SMALL)


def offsets_of(behind_ms):
    """Offsets of pairs, 40 ms from one to the next, whose right stamps are so much behind."""
    offsets = PairOffsets()
    for number, ms in enumerate(behind_ms):
        offsets.note('left', SECOND + number * PERIOD_NS)
        offsets.note('right', SECOND + number * PERIOD_NS + round(1e6 * ms))
    return offsets


@pytest.mark.parametrize(
    ('behind_ms', 'said'),
    [
        (
            [12.0] * 9,
            'are 12 ms apart: let one clock trigger both, or set sync_tolerance to 0.012',
        ),
        ([5.0, 9.0, 14.0] * 3, 'set sync_tolerance to 0.014'),
        ([5000.0] * 9, 'do both cameras use one clock?'),
        ([1.7e12] * 9, 'do both cameras use one clock?'),
    ],
)
def test_it_says_how_far_left_and_right_are_apart(behind_ms, said):
    """Regression: pairs whose stamps roll were dropped without a word on what to set."""
    assert said in offsets_of(behind_ms).reason(0.0)


def test_it_says_nothing_of_single_images_that_are_lost_and_names_a_silent_side():
    assert offsets_of([0.0] * 9).reason(0.0) == offsets_of([4.0] * 9).reason(0.005) == ''
    offsets = PairOffsets()
    offsets.note('left', SECOND)
    assert offsets.reason(0.0) == 'images of the other side do not come'


@pytest.mark.slow
def test_images_that_never_came_are_counted_for_each_side(watched):
    """Regression: a camera that lost images was told from its rate alone, by who knew it."""
    b, send = watched
    for number in range(12):
        send(number)
    assert b.counted('images missing') == 0
    send(14)
    assert b.counted('left images missing') == b.counted('right images missing') == 2
    reasons = b.node.diagnostics._reasons
    assert reasons['left images missing'] == '120 ms between two stamps, 40 is usual'
    send(15)
    assert b.counted('images missing') == 4


def test_an_unexpected_error_is_told_with_its_kind(watched, monkeypatch):
    """Regression: it was told as 'noise', the key that was missing."""
    b, send = watched
    monkeypatch.setattr(Eyes, 'stumbles_at', SECOND + PERIOD_NS)
    send(0)
    send(1)
    assert b.until(lambda: b.counted('image pairs refused') == 1)
    assert b.node.diagnostics._reasons['image pairs refused'] == "KeyError: 'noise'"
    send(2)
    assert b.until(lambda: len(b.heard) == 2), 'the node goes on'


def test_what_is_missing_and_what_was_dropped_are_both_said(watched):
    """Regression: an input that was missing hid every drop of the other one."""
    b, _ = watched
    statuses = b.listen_to_diagnostics()
    diagnostics = b.node.diagnostics
    monitor = next(m for m in diagnostics.monitors if 'right' in m.topic)
    monitor.last -= 100
    monitor._listening_since -= 100
    diagnostics.count('image pairs refused', 'the left image is constant')
    diagnostics.publish()
    assert b.until(
        lambda: any(
            'no message on /right/image_raw' in status.message
            and 'image pairs refused: 1 more (the left image is constant)' in status.message
            for status in statuses
        )
    )
