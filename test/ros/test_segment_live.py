# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A sender whose shared memory is cut up by what killed readers had not taken makes room."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from dds_domains import free_domain
from image_sender import IMAGE_BYTES, MEDIUM_BYTES, started
from waiting import wait_for

from av_perception.ros.bringup.environment import prepare_environment
from av_perception.ros.image_publisher import ROOM_MADE
from av_perception.ros.observer import GraphObserver
from av_perception.ros.segment_layout import own_segments, read_segment
from av_perception.ros.segment_watch import places_left

pytestmark = pytest.mark.slow
PATIENCE_S = 60.0
NUM_IMAGES = 18  # beside a medium message one more than 16 MiB hold


class Graph:
    """A sender with readers."""

    def __init__(self, stack: ExitStack, domain: int):
        self._stack = stack
        self._environment = {**prepare_environment({**os.environ}), 'ROS_DOMAIN_ID': str(domain)}
        self.sender = self.start('send')

    def start(self, *words: str):
        return self._stack.enter_context(started(list(words), self._environment))

    def read(self, *topics: str):
        """Start a reader, and wait until it hears each topic."""
        reader = self.start(*topics)
        for topic in topics:
            assert wait_for(lambda topic=topic: self._is_heard(reader, topic), PATIENCE_S)
        return reader

    def send(self, topic: str, times: int = 1) -> None:
        before = self.sender.count(topic)
        for _ in range(times):
            self.sender.tell(topic)
        assert wait_for(lambda: self.sender.count(topic) == before + times, PATIENCE_S)

    def held(self):
        (path,) = own_segments(Path('/proc', str(self.sender.process.pid)))
        segment = read_segment(path)
        return segment.only(segment.held)

    def _is_heard(self, reader, topic: str) -> bool:
        self.send(topic)
        return wait_for(lambda: reader.count(topic) > 0, 0.2)


@pytest.fixture
def domain():
    return free_domain()


@pytest.fixture
def graph(domain):
    with ExitStack() as stack:
        yield Graph(stack, domain)


def test_what_a_halted_reader_has_not_taken_is_found_in_a_real_segment(graph):
    """As many messages as were sent, of their sizes, where they do not overlap."""
    reader = graph.read('left', 'medium')
    assert wait_for(lambda: (graph.held().sizes < MEDIUM_BYTES).all(), PATIENCE_S)
    reader.halt()
    for topic in ('left', 'medium', 'left', 'left'):
        graph.send(topic)
    sizes = graph.held().sizes
    large = np.sort(sizes[sizes >= MEDIUM_BYTES])
    whole = np.array([MEDIUM_BYTES, *[IMAGE_BYTES] * 3])
    assert len(large) == 4
    assert np.all(large - whole >= 0), 'with the heads of their messages'
    assert np.all(large - whole < 400)
    assert graph.held().gaps().max() > IMAGE_BYTES


def test_images_are_sent_again_where_killed_readers_have_left_no_place_for_them(graph, domain):
    """They were dropped for good: bytes enough were free, in pieces too small for an image."""
    lasting = graph.read('left', 'right')
    killed = graph.read('left', 'medium')
    killed.halt()
    # The last image makes the oldest message give way, where bytes are short: that is too small.
    graph.send('medium')
    graph.send('left', NUM_IMAGES)
    killed.kill()
    usual = int(graph.held().sizes.max())
    assert places_left(graph.held(), usual) == 0, 'this is what goes wrong'
    heard = {topic: lasting.count(topic) for topic in ('left', 'right')}
    graph.sender.tell('stream')
    for topic in heard:
        assert wait_for(lambda topic=topic: lasting.count(topic) >= heard[topic] + 5, PATIENCE_S)
    with GraphObserver(domain_id=domain) as observer:
        told = observer.diagnostics
        assert wait_for(lambda: ROOM_MADE in told.get('image_sender', {}), PATIENCE_S)
