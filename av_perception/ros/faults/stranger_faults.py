# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What strangers publish on the suite's own topics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from av_perception_msgs.msg import (
    AudioFeatures,
    Face,
    SubbandFeature,
    Track,
    TrackArray,
    VisualFeatures,
)

from av_perception.ros import qos
from av_perception.ros.conversions import header
from av_perception.ros.conversions.arrays import typed_array
from av_perception.ros.faults.fault import Fault
from av_perception.ros.faults.planted_sensors import IMAGE_LATENCY_NS

if TYPE_CHECKING:
    from av_perception.ros.faults.fault_graph import FaultGraph

Make = Callable[[int], Any]  # takes a stamp [ns], gives a message
MANY = 2000
MANY_FACES = 1000
FIRST_ID = 100_000
_KINDS = {
    'tracks': TrackArray,
    'visual_features': VisualFeatures,
    'audio_features': AudioFeatures,
}


def published(topic: str, make: Make) -> Callable[[FaultGraph], AbstractContextManager[None]]:
    """Publish a message with every chunk of sound, beside the node whose topic it is."""

    @contextmanager
    def during(graph: FaultGraph) -> Iterator[None]:
        node = graph.observer.node
        publisher = node.create_publisher(_KINDS[topic], topic, qos.FEATURES)

        def alter(message: Any, number: int) -> list[Any]:
            publisher.publish(make(graph.sensors.now_ns - IMAGE_LATENCY_NS + number % 7))
            return [message]

        try:
            with graph.sensors.altered(('audio',), lambda: alter):
                yield
        finally:
            node.destroy_publisher(publisher)

    return during


@cache
def _people() -> list[Track]:
    """Make thousands of people, all on one spot; once, for that takes its time."""
    return [Track(id=FIRST_ID + k, state=Track.ACTIVE, seen=True) for k in range(MANY)]


def _crowd(stamp_ns: int) -> TrackArray:
    return TrackArray(header=header(stamp_ns, 'base_link'), tracks=_people())


def _odd_tracks(stamp_ns: int) -> TrackArray:
    """People of no known state, and where nothing is a number."""
    nowhere = Track(id=-1, state=Track.ACTIVE, visibility=math.nan, has_box=True)
    nowhere.position.x = math.nan
    nowhere.covariance = np.full(36, math.nan)
    nowhere.box = np.full(4, np.nan, np.float32)
    odd = [nowhere] if stamp_ns % 2 else [nowhere, Track(state=77)]
    return TrackArray(header=header(stamp_ns, 'base_link'), tracks=odd)


def _many_faces(stamp_ns: int) -> VisualFeatures:
    """Take a detector that has gone mad: a thousand faces on one spot."""
    face = Face(score=0.1, box=np.array([10, 10, 50, 50], np.float32))
    face.position = np.array([0.0, 0.0, 2.0])
    face.covariance = 0.01 * np.eye(3).ravel()
    return VisualFeatures(header=header(stamp_ns, 'camera'), faces=[face] * MANY_FACES)


def _odd_faces(stamp_ns: int) -> VisualFeatures:
    """Faces that are nowhere, or have another kind of description."""
    nowhere = Face(position=np.full(3, math.nan), covariance=np.full(9, math.nan))
    described = Face(score=math.nan, embedding=typed_array('f', np.ones(7)))
    return VisualFeatures(header=header(stamp_ns, 'camera'), faces=[nowhere, described])


def _odd_sound(stamp_ns: int) -> AudioFeatures:
    """Sub-bands of another size, of what is no number."""
    band = SubbandFeature(
        vector=typed_array('f', np.full(7, np.nan)),
        present=typed_array('B', np.ones(7)),
        energy=math.inf,
        valid=True,
    )
    bands = [band] * 16
    return AudioFeatures(header=header(stamp_ns, 'array'), voice_activity=1.0, subbands=bands)


def _strange(name: str, what: str, topic: str, make: Make) -> Fault:
    return Fault(
        f'strange-{name}',
        what,
        published(topic, make),
        (f'2 nodes publish /{topic}',),
        setup='processes',
    )


STRANGER_FAULTS = (
    _strange('crowd', f'a stranger publishes {MANY} tracks at a time', 'tracks', _crowd),
    _strange('tracks', 'a stranger publishes tracks without sense', 'tracks', _odd_tracks),
    _strange(
        'many-faces',
        f'a stranger publishes {MANY_FACES} faces at a time',
        'visual_features',
        _many_faces,
    ),
    _strange('faces', 'a stranger publishes faces without sense', 'visual_features', _odd_faces),
    _strange('sound', 'a stranger publishes features of no sound', 'audio_features', _odd_sound),
)
