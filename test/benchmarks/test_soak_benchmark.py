# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Nothing grows over a long time: the measure itself, and two minutes of both ways."""

from __future__ import annotations

import gc
import mmap
import os
import threading

import numpy as np
import pytest

from av_perception.benchmarks.crowd import FRAME_S, SEATS, Crowd
from av_perception.benchmarks.soak import (
    PERIOD_S,
    Footprint,
    Soak,
    Talk,
    footprint,
    growth,
    num_pauses,
    soak_offline,
)
from av_perception.robot_head import load_head
from av_perception.simulation.cache import simulated_recording

HEAD = load_head('simulated')


def test_growth_is_what_was_planted_and_an_odd_reading_counts_for_nothing():
    warm_up = [50.0, 80.0, 95.0, 99.0]
    steady = [100.0 + 0.5 * k for k in range(12)]
    assert growth(warm_up + steady) == pytest.approx(0.5 * 11)
    steady[5] = 900.0
    assert growth(warm_up + steady) == pytest.approx(0.5 * 11, abs=0.1)
    assert growth([7.0] * 20) == 0.0
    assert growth([]) == growth([1.0]) == 0.0


HELD_BYTES = 64 << 20


def test_what_a_process_holds_is_seen():
    """Regression: in a process that had freed much, an array came out of what was held before."""
    gc.collect()
    before = footprint()
    descriptor, name = os.memfd_create('held'), f'/dev/shm/av_perception_test_{os.getpid()}'
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    with open(name, 'w+b') as file:
        file.truncate(4096)
        piece = mmap.mmap(file.fileno(), 4096)
    held = mmap.mmap(-1, HELD_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held[:: mmap.PAGESIZE] = bytes(HELD_BYTES // mmap.PAGESIZE)  # every page is touched
    try:
        after = footprint()
    finally:
        release.set()
        thread.join()
        piece.close()
        held.close()
        os.unlink(name)
        os.close(descriptor)
    assert after.threads == before.threads + 1
    assert after.segments == before.segments + 1
    assert after.handles >= before.handles + 1
    assert after.memory_mib == pytest.approx(before.memory_mib + HELD_BYTES / 2**20, abs=8.0)


def test_each_thing_that_is_wrong_is_named():
    whole = Soak('nodes', 1.0, sent=10, answered=8, dropped={'late': 2}, people=3, ids=4)
    whole.readings = [Footprint(100.0, 10, 5, 2)] * 8
    assert whole.complaints == []
    for changed, told in (
        ({'readings': [Footprint(100.0 + k, 10, 5, 2) for k in range(8)]}, 'memory_mib grew by 5'),
        ({'readings': [Footprint(100.0, 10 + k, 5, 2) for k in range(8)]}, 'handles grew by 5'),
        ({'readings': [Footprint(100.0, 10, 5 + k, 2) for k in range(8)]}, 'threads grew'),
        ({'readings': [Footprint(100.0, 10, 5, 2 + k) for k in range(8)]}, 'segments grew'),
        ({'answered': 7}, 'of 10 images 7 were answered and 2 dropped for a reason'),
        ({'pauses': 2, 'pauses_noticed': 1}, '1 of 2 pauses of the sound were noticed'),
        ({'ids': 2}, '3 people got 2 ids'),
    ):
        (complaint,) = Soak(**{**vars(whole), **changed}).complaints
        assert told in complaint
    assert whole.figures['growth'] == dict.fromkeys(whole.figures['growth'], 0.0)


@pytest.mark.slow
def test_people_come_and_go_by_the_hundred():
    crowd = Crowd(HEAD.camera)
    counts, boxes = [], []
    for image in crowd.images(round(600 / FRAME_S), 0):
        counts.append(len(image.faces))
        boxes += [face.box for face in image.faces]
    assert crowd.num_visits > crowd.num_people > 100
    assert min(counts) < 2 and max(counts) == len(SEATS)
    corners = np.array(boxes)
    assert (corners[:, :2] > 0).all(), 'in view'
    assert (corners[:, 0] + corners[:, 2] < HEAD.camera.width).all()


def test_the_sound_pauses_once_a_minute_and_has_no_other_gap():
    talk = Talk(simulated_recording('short'))
    per_minute = round(PERIOD_S / FRAME_S)
    frames = 2 * per_minute + 5
    chunks = [chunk for number in range(frames) for chunk in talk.during(number, 1000)]
    steps = np.diff([chunk.stamp_ns for chunk in chunks])
    assert (steps > min(steps)).sum() == num_pauses(frames) == 2
    first = np.array([chunk.first_sample for chunk in chunks])
    rate = chunks[0].sample_rate
    stamps = np.array([chunk.stamp_ns for chunk in chunks])
    assert np.allclose((stamps - 1000) * 1e-9, first / rate)


@pytest.mark.slow
def test_the_offline_pipeline_holds_no_more_after_two_minutes():
    soak = soak_offline(simulated_recording('short'), 2.0, lambda fraction: None, readings=24)
    assert soak.complaints == []
    assert soak.sent == soak.answered == 600 and len(soak.readings) == 24


@pytest.mark.slow
def test_the_nodes_hold_no_more_after_two_minutes():
    pytest.importorskip('rclpy')
    from av_perception.ros.soak_graph import DROPPED, soak_graph

    soak = soak_graph(simulated_recording('short'), 2.0, lambda fraction: None, readings=24)
    assert soak.complaints == []
    assert soak.people > 20 and soak.dropped[DROPPED[0]] >= 6, 'strays were dropped, and counted'
