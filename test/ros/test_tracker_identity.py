# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids of the tracker's node over what breaks time and processes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from av_perception_msgs.msg import AudioFeatures, TrackArray, VisualFeatures
from rosgraph_msgs.msg import Clock
from tracking_scenes import HEAD, face_at, image, stamp

from av_perception.nodes import tracker as tracker_node
from av_perception.nodes.tracker import TrackerNode
from av_perception.ros import frame_clock
from av_perception.ros.conversions import time_from_ns, visual_features_to_msg
from av_perception.ros.id_memory import IdMemory

PLACE = np.array([2.0, 0.2, 0.1])
INPUTS = {'visual_features': VisualFeatures, 'audio_features': AudioFeatures}


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    """Ids are noted in a folder of the test's own."""
    monkeypatch.setattr(
        tracker_node, 'IdMemory', lambda name, domain: IdMemory(name, domain, tmp_path)
    )


def start(bench, **parameters):
    return bench(
        TrackerNode,
        INPUTS,
        ('tracks', TrackArray),
        head='simulated',
        audio_wait=0.0,
        publish_tf=False,
        **parameters,
    )


def watch(one, frames):
    """The person stands there in these frames; the ids that are published."""
    before = len(one.heard)
    for f in frames:
        face = face_at(PLACE, np.random.default_rng(f))
        one.send('visual_features', visual_features_to_msg(image(f, face), HEAD.camera.frame))
    return [[t.id for t in m.tracks] for m in one.heard[before:]]


@pytest.mark.slow
def test_ids_are_kept_when_the_clock_is_set_ahead(bench):
    """Regression: a clock that was set made everybody somebody new."""
    one = start(bench)
    assert watch(one, range(12))[-1] == [1]
    an_hour = 25 * 3600
    after = watch(one, range(an_hour, an_hour + 12))
    assert after[0] == [1] and after[-1] == [1]
    assert one.counted('steps of the clock') == 1
    reasons = one.node.diagnostics._reasons
    assert 'was the clock set?' in reasons['steps of the clock']
    newest = one.heard[-1]
    assert newest.header.stamp == newest.tracks[0].last_seen, "others' time"


@pytest.mark.slow
def test_a_halt_in_simulated_time_was_a_step_of_the_clock(bench, monkeypatch):
    """Regression: what tells the time came after the frames, whose clock seemed to be set."""
    machine = SimpleNamespace(now_ns=10**12)
    monkeypatch.setattr(frame_clock, 'steady_ns', lambda: machine.now_ns)
    one = start(bench, use_sim_time=True)
    tell = one.client.create_publisher(Clock, '/clock', 10)
    assert one.until(tell.get_subscription_count)

    def tell_time(frame):
        tell.publish(Clock(clock=time_from_ns(stamp(frame))))
        assert one.until(lambda: one.node.now_ns() == stamp(frame))

    for f in range(12):
        tell_time(f)
        watch(one, [f])
        machine.now_ns += 10**8
    assert one.until(lambda: one.heard)
    machine.now_ns += 6 * 10**9
    assert watch(one, range(150, 155)) == [], 'they wait'
    tell_time(155)
    assert one.until(lambda: one.heard[-1].header.stamp == time_from_ns(stamp(154)))
    assert one.counted('steps of the clock') == 0


@pytest.mark.slow
def test_the_successor_of_a_killed_tracker_gives_other_ids(bench):
    """Regression: ids began at 1 again, and nobody could tell old 1 from new 1."""
    killed = start(bench)
    assert watch(killed, range(12))[-1] == [1]
    # Nobody spins it any more: as after a kill, its note stays.
    successor = start(bench)
    assert watch(successor, range(20, 32))[-1] == [2]


@pytest.mark.slow
def test_a_tracker_that_is_configured_anew_gives_other_ids(bench):
    one = start(bench)
    assert watch(one, range(12))[-1] == [1]
    one.node.trigger_deactivate()
    one.node.trigger_cleanup()
    assert one.node.start()
    assert one.until(lambda: all(p.get_subscription_count() for p in one.publishers.values()))
    assert watch(one, range(20, 32))[-1] == [2]
