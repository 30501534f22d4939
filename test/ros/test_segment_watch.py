# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When it is said that what is sent finds no place any more, and when not."""

from __future__ import annotations

import threading

import pytest
from planted_segments import (
    IMAGE,
    SEGMENT_BYTES,
    SMALL,
    PlantedSegment,
    cut_up,
    full,
    one_place_left,
)

from av_perception.ros.segment_layout import read_segment
from av_perception.ros.segment_watch import LOOK_S, REST_S, STUCK_S, SegmentWatch, places_left

CALL_S = 0.2
SOON_S = STUCK_S + 3 * (LOOK_S + CALL_S)  # after which it is said


class Looks:
    """A clock, and what is said when it goes on."""

    def __init__(self, *segments: PlantedSegment):
        self.now = 0.0
        self.paths = [segment.path for segment in segments]
        self.num_found = 0
        self.watch = SegmentWatch(self._find, lambda: self.now)

    def _find(self):
        self.num_found += 1
        return self.paths

    def after(self, step_s: float = CALL_S):
        self.now += step_s
        return self.watch.lacking()

    def within(self, duration_s: float):
        said = [self.after() for _ in range(round(duration_s / CALL_S))]
        return [lack for lack in said if lack is not None]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'fastrtps_0123456789abcdef'


def held(segment):
    found = read_segment(segment.path)
    return found.only(found.held)


def test_places_are_counted_where_nothing_is_taken_back(path):
    assert places_left(held(cut_up(path)), IMAGE) == 0
    assert places_left(held(one_place_left(path)), IMAGE) == 1
    assert places_left(held(full(path)), IMAGE) is None
    assert places_left(held(PlantedSegment(path)), IMAGE) is None, 'all 18 that it holds'
    assert places_left(held(PlantedSegment(path)), IMAGE // 2) is None


def test_a_segment_that_is_cut_up_is_named_soon(path):
    (lack, *_) = Looks(cut_up(path)).within(SOON_S)
    assert '0 messages of 0.92 MB' in lack.reason


def test_one_place_is_too_few_for_a_pair(path):
    assert '1 message of' in Looks(one_place_left(path)).within(SOON_S)[0].reason


@pytest.mark.parametrize('make', [cut_up, one_place_left])
def test_bytes_are_short_for_the_message_that_is_asked_for(path, make):
    """So that Fast DDS takes back what was left, and at least half of all."""
    segment = make(path)
    (lack, *_) = Looks(segment).within(SOON_S)
    assert lack.num_bytes > held(segment).num_free()
    assert lack.num_bytes >= SEGMENT_BYTES // 2


def test_a_segment_that_is_full_is_none_of_its_business(path):
    """Fast DDS takes the oldest back."""
    assert Looks(full(path)).within(10.0) == []


def test_what_is_on_its_way_is_not_left_over(path):
    """As crowded in every look, but of other messages: they are read and sent again."""
    segment = cut_up(path)
    looks = Looks(segment)
    for validity in range(2, 40):
        segment = PlantedSegment(path)
        for _ in range(13):
            segment.put(IMAGE, validity=validity)
        for _ in range(5):
            segment.skip(IMAGE - 5000)
            segment.put(SMALL, validity=validity)
        assert looks.after() is None


def test_a_reader_that_was_slow_once_is_no_reason(path):
    segment = cut_up(path)
    looks = Looks(segment)
    looks.after()
    for entry in range(18):
        segment.write(entry, 0, 0, 2)
    assert looks.within(10.0) == []


def test_small_messages_alone_find_a_place_anywhere(path):
    """Sound, maps sent once, and no images: nothing large is waited for."""
    segment = PlantedSegment(path)
    segment.put(8_000_000, enqueued=0)
    for _ in range(1300):
        segment.put(SMALL)
        segment.skip(1000)
    assert Looks(segment).within(10.0) == []


def test_what_was_sent_lately_is_known_where_only_small_messages_are_left(path):
    """Images that were read are seen while they are on their way, one at a time."""
    segment = PlantedSegment(path)
    looks = Looks(segment)
    for number in range(8):
        segment.write(0, IMAGE, segment.heap_at + 16, number | 1 << 24)
        assert looks.within(0.4) == []
    segment.write(0, SMALL, segment.heap_at + 16, 9 | 1 << 24)
    segment.put(SMALL)
    while segment.place + IMAGE < segment.end:
        segment.skip(IMAGE - 5000)
        segment.put(SMALL)
    assert looks.within(SOON_S)


def test_it_is_not_said_again_before_it_can_have_helped(path):
    looks = Looks(cut_up(path))
    assert len(looks.within(SOON_S)) == 1
    assert looks.within(REST_S - SOON_S) == []
    assert looks.within(SOON_S)


def test_a_layout_that_nobody_knows_is_complained_of_once(path):
    path.write_bytes(b'something else' * 1000)
    looks = Looks(PlantedSegment(path.with_name('other')))
    looks.paths = [path]
    assert looks.within(10.0) == []
    assert str(path) in looks.watch.complaint
    assert looks.num_found == 1


def test_a_segment_that_is_gone_is_looked_for_anew(path):
    segment = cut_up(path)
    looks = Looks(segment)
    looks.within(0.4)
    path.unlink()
    assert looks.within(SOON_S) == []
    cut_up(path)
    assert looks.within(SOON_S)


def test_without_segments_there_is_nothing_to_say():
    """Another middleware, or a system without shared memory."""
    looks = Looks()
    assert looks.within(10.0) == []
    assert looks.watch.complaint == ''


def test_one_thread_looks_at_a_time_and_nobody_waits_for_it(path):
    """Regression: two nodes that published at once could both look, and made room twice."""
    looks = Looks(cut_up(path))
    is_looking = threading.Event()
    may_go_on = threading.Event()
    find = looks.watch._find

    def find_slowly():
        is_looking.set()
        assert may_go_on.wait(60)
        return find()

    looks.watch._find = find_slowly
    thread = threading.Thread(target=looks.after, args=(LOOK_S,))
    thread.start()
    assert is_looking.wait(60)
    assert looks.after(LOOK_S) is None
    assert looks.num_found == 0, 'the second one has not looked'
    may_go_on.set()
    thread.join(60)
    assert looks.num_found == 1
