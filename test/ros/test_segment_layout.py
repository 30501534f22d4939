# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is read of a segment of Fast DDS, and that nothing is read of what is no such thing."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from planted_segments import IMAGE, SEGMENT_BYTES, SMALL, PlantedSegment, full, taken

from av_perception.ros.segment_layout import UnknownLayout, own_segments, read_segment

DAMAGES = {
    'size': (96, struct.pack('<Q', 12)),
    'heap': (208, struct.pack('<I', 7)),
    'flags': (212, struct.pack('<I', 16386)),
    'units': (212, struct.pack('<I', 0xC0000000 | 99)),
    'entries': (224, struct.pack('<I', 0xFFFFFFF0)),
    'no entries': (224, struct.pack('<I', 0)),
    'all': (0, b'\xff' * 300),
    'zeros': (0, bytes(300)),
}


@pytest.fixture
def segment(tmp_path):
    return PlantedSegment(tmp_path / 'fastrtps_0123456789abcdef')


def test_an_empty_segment_is_one_gap(segment):
    found = read_segment(segment.path)
    assert len(found.keys) == 0
    assert found.gaps().tolist() == [segment.end - segment.heap_at]
    assert found.num_free() == found.capacity == SEGMENT_BYTES


def test_messages_and_the_gaps_between_them_are_found(segment):
    segment.put(IMAGE)
    segment.skip(160)
    segment.put(SMALL, enqueued=0, processing=2)
    segment.put(SMALL, enqueued=0)  # read by all: it is free, or will be
    segment.put(IMAGE, enqueued=3)
    found = read_segment(segment.path)
    assert found.held.tolist() == [True, True, False, True]
    assert found.sizes.tolist() == [IMAGE, SMALL, SMALL, IMAGE]
    rest = segment.end - segment.place
    assert found.gaps().tolist() == [0, 160, taken(SMALL), rest]
    assert found.num_free() == SEGMENT_BYTES - 2 * IMAGE - SMALL
    assert found.only(found.held).sizes.tolist() == [IMAGE, SMALL, IMAGE]


def test_another_message_in_the_same_entry_has_another_key(segment):
    entry = segment.put(SMALL)
    before = read_segment(segment.path).keys
    segment.write(entry, SMALL, segment.heap_at + 16, 2 | 1 << 24)
    assert not np.isin(read_segment(segment.path).keys, before).any()


def test_tables_of_other_lengths_are_read(tmp_path):
    segment = PlantedSegment(tmp_path / 'segment', num_entries=512)
    segment.put(IMAGE)
    found = read_segment(segment.path)
    assert found.capacity == SEGMENT_BYTES
    assert found.gaps().tolist() == [0, segment.end - segment.place]


@pytest.mark.parametrize('damage', DAMAGES.values(), ids=DAMAGES)
def test_what_is_laid_out_otherwise_is_refused(segment, damage):
    segment.put(IMAGE)
    segment.patch(*damage)
    with pytest.raises(UnknownLayout):
        read_segment(segment.path)


@pytest.mark.parametrize('place', [16, 208, SEGMENT_BYTES * 2, 0xFFFFFFF0, 300_001])
def test_messages_where_none_can_be_are_refused(segment, place):
    segment.write(5, SMALL, place, 1 | 1 << 24)
    with pytest.raises(UnknownLayout):
        read_segment(segment.path)


def test_messages_that_overlap_are_refused(segment):
    segment.put(IMAGE)
    segment.write(5, SMALL, segment.heap_at + 32, 1 | 1 << 24)
    with pytest.raises(UnknownLayout, match='overlap'):
        read_segment(segment.path).gaps()


@pytest.mark.parametrize('num_bytes', [0, 100, 240, 5000])
def test_a_file_cut_short_is_refused(tmp_path, num_bytes):
    path = full(tmp_path / 'segment').path
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(UnknownLayout):
        read_segment(path)


def test_random_bytes_are_refused_or_read_without_an_error(segment):
    """Whatever lies there: only the error that says so."""
    random = np.random.default_rng(5)
    for _ in range(200):
        place = int(random.integers(0, 3000))
        segment.patch(place, random.bytes(int(random.integers(1, 40))))
        try:
            read_segment(segment.path).gaps()
        except UnknownLayout:
            pass


def test_own_segments_are_those_whose_lock_is_held(tmp_path):
    (tmp_path / 'fd').mkdir()
    names = ['fastrtps_0123456789abcdef_el', 'fastrtps_port7411_el', 'fastrtps_aaaaaaaaaaaaaaaa']
    for number, name in enumerate(names):
        (tmp_path / 'fd' / str(number)).symlink_to(f'/dev/shm/{name}')
    assert [path.name for path in own_segments(tmp_path)] == ['fastrtps_0123456789abcdef']
    assert own_segments(tmp_path / 'absent') == []
