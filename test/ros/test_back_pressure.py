# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images that come faster than they are looked at, counted in images: no clock decides."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from av_perception_msgs.msg import VisualFeatures
from ros_bench import send_pair
from sensor_msgs.msg import Image

from av_perception.interfaces import VisualFeatures as Features
from av_perception.nodes import visual_features
from av_perception.nodes.visual_features import (
    HURRIES,
    LONGEST_QUEUE,
    QUEUE_BEHIND,
    VisualFeaturesNode,
)

SECOND = 1_000_000_000
PERIOD_NS = 40_000_000
GOOD = np.random.default_rng(3).integers(0, 255, (480, 640, 3), dtype=np.uint8)


class GatedEyes:
    """A front end that looks at an image when it is allowed to, and remembers in what hurry."""

    embedding_size = 0
    calibration_problems = ()
    counters = dict.fromkeys(visual_features.COUNTED, 0)

    def __init__(self, *arguments, **options):
        self.allowed = threading.Semaphore(0)
        self.begun = []
        self.hurries = []

    def warm_up(self):
        """Nothing to warm up."""

    def process(self, stamp_ns, left, right, hurry=False):
        self.begun.append((stamp_ns - SECOND) // PERIOD_NS)
        self.hurries.append(hurry)
        self.allowed.acquire()
        return Features(stamp_ns, ())


@pytest.fixture()
def slow(bench, monkeypatch):
    """visual_features with gated eyes; and what sends it the image pair of a number."""
    monkeypatch.setattr(visual_features, 'VisualFrontEnd', GatedEyes)
    topics = {f'{side}/image_raw': Image for side in ('left', 'right')}
    b = bench(VisualFeaturesNode, topics, ('visual_features', VisualFeatures))
    yield b, lambda number: send_pair(b, SECOND + number * PERIOD_NS, GOOD)
    b.node._front_end.allowed.release(1000)


def answered(b):
    return [m.header.stamp.sec * SECOND + m.header.stamp.nanosec - SECOND for m in b.heard]


@pytest.mark.slow
def test_a_stall_as_long_as_the_queue_loses_nothing_and_is_made_up_for_in_a_hurry(slow):
    b, send = slow
    eyes = b.node._front_end
    for number in range(LONGEST_QUEUE + 1):  # one in work, the others wait
        send(number)
    eyes.allowed.release(1000)
    assert b.until(lambda: len(b.heard) == LONGEST_QUEUE + 1)
    assert answered(b) == [PERIOD_NS * number for number in range(LONGEST_QUEUE + 1)]
    assert b.counted('dropped') == 0
    # Image k begins with the images behind it still waiting; all but the first had arrived.
    waiting = [LONGEST_QUEUE - number for number in range(LONGEST_QUEUE + 1)]
    assert eyes.hurries[1:] == [count >= HURRIES for count in waiting[1:]]
    assert not eyes.hurries[0]


@pytest.mark.slow
def test_a_queue_that_was_full_says_what_it_dropped_and_is_fresh_again(slow):
    b, send = slow
    eyes = b.node._front_end
    for number in range(LONGEST_QUEUE + 2):
        send(number)
    dropped = LONGEST_QUEUE + 1 - QUEUE_BEHIND
    assert b.until(lambda: b.counted('too slow for the camera') == dropped)
    eyes.allowed.release(1000)
    newest = LONGEST_QUEUE + 1
    assert b.until(lambda: len(b.heard) == 1 + QUEUE_BEHIND)
    assert answered(b) == [PERIOD_NS * number for number in (0, newest - 8, newest - 4, newest)]
    for number in range(newest + 1, newest + 6):  # and goes on as if nothing had been
        count = len(b.heard)
        send(number)
        assert b.until(lambda c=count: len(b.heard) == c + 1)
    assert b.counted('dropped') == dropped
    assert eyes.hurries[-1] is False
