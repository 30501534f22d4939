# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A bag cut at any byte is read up to its last whole message, or chunk of messages."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from bag_scenes import ORIGIN_NS, write_bag
from rclpy.serialization import deserialize_message

from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import OfflinePipeline
from av_perception.ros.bags.bag_file import UnreadableRest, open_bag, read_messages
from av_perception.ros.bags.bag_offline import BagRecording, BagRunner
from av_perception.ros.bags.bag_repair import MAGIC, whole_bytes
from av_perception.ros.conversions import audio_chunk_to_msg

COUNT = 12
SIZE = 64
PER_CHUNK = 4
SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06


def chunks_of_hiss(count=COUNT, size=SIZE):
    random, messages = np.random.default_rng(3), []
    for number in range(count):
        samples = 0.01 * random.standard_normal((size, 4)).astype(np.float32)
        stamp_ns = ORIGIN_NS + number * size * 62_500
        chunk = AudioChunk(stamp_ns, 16000, size * number, samples)
        messages.append((stamp_ns, 'audio', audio_chunk_to_msg(chunk, 'array')))
    return messages


def records_of(content: bytes) -> list[tuple[int, int, int]]:
    """(kind, start, end) of each record, read as the specification says."""
    found, place = [], len(MAGIC)
    while place < len(content) - len(MAGIC):
        kind, length = struct.unpack_from('<BQ', content, place)
        found.append((kind, place, place + 9 + length))
        place += 9 + length
    return found


def record(kind: int, body: bytes) -> bytes:
    return struct.pack('<BQ', kind, len(body)) + body


def messages_in(content: bytes) -> list[bytes]:
    """The message records in the chunks of a bag that were not compressed."""
    found = []
    for kind, start, end in records_of(content):
        if kind != CHUNK:
            continue
        (name_length,) = struct.unpack_from('<I', content, start + 9 + 28)
        assert name_length == 0, 'nothing is compressed'
        inside = content[start + 9 + 28 + 4 + 8 : end]
        parts = records_of(MAGIC + inside + MAGIC)
        shift = len(MAGIC)
        found += [inside[a - shift : b - shift] for k, a, b in parts if k == MESSAGE]
    return found


def made_of(content: bytes, in_chunks: bool) -> bytes:
    """The same messages one by one, or in chunks of PER_CHUNK, written by hand, no summary."""
    records = records_of(content)
    by_number = {}
    for kind, start, end in records:
        if kind in (SCHEMA, CHANNEL):
            by_number.setdefault((kind, content[start + 9 : start + 11]), content[start:end])
    parts = [MAGIC, content[records[0][1] : records[0][2]], *by_number.values()]
    messages = messages_in(content)
    if not in_chunks:
        parts += messages
    for first in range(0, len(messages) if in_chunks else 0, PER_CHUNK):
        inside = b''.join(messages[first : first + PER_CHUNK])
        times = struct.pack('<QQ', ORIGIN_NS, ORIGIN_NS + 10**9)
        head = times + struct.pack('<QI', len(inside), 0) + struct.pack('<I', 0)
        parts.append(record(CHUNK, head + struct.pack('<Q', len(inside)) + inside))
    end = record(0x0F, bytes(4)) + record(0x02, bytes(20)) + MAGIC
    return b''.join([*parts, end])


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """Bytes of a bag by its kind, and the messages."""
    messages = chunks_of_hiss()
    folder = write_bag(tmp_path_factory.mktemp('cut') / 'bag', messages)
    (file,) = folder.glob('*.mcap')
    content = file.read_bytes()
    data = [one[9 + 22 :] for one in messages_in(content)]
    kind = type(messages[0][2])
    assert [deserialize_message(one, kind) for one in data] == [one for _, _, one in messages]
    made = {'plain': made_of(content, False), 'chunks': made_of(content, True)}
    return made, data


def read(path: Path) -> tuple[list[bytes], str]:
    """The messages of a bag, and why it ends."""
    reader = open_bag(path)
    found = []
    try:
        for _, _, data in read_messages(reader, reader.connections):
            found.append(bytes(data))
    except UnreadableRest as error:
        return found, str(error)
    finally:
        reader.close()
    return found, ''


def expected(content: bytes, cut: int) -> int:
    """How many messages lie in whole records, or chunks, before a cut."""
    whole = [kind for kind, _, end in records_of(content) if end <= cut]
    return whole.count(MESSAGE) + PER_CHUNK * whole.count(CHUNK)


def cuts_of(content: bytes) -> list[int]:
    """Every border between records, a byte before and behind, and places at random."""
    borders = {place for _, _, end in records_of(content) for place in (end - 1, end, end + 1)}
    random = np.random.default_rng(1).integers(0, len(content), 60).tolist()
    return sorted(cut for cut in borders | set(random) if cut < len(content))


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['plain', 'chunks'])
def test_a_bag_cut_at_any_byte_is_read_to_its_last_whole_chunk(bags, tmp_path, kind):
    content, messages = bags[0][kind], bags[1]
    (header_end,) = [end for kind, _, end in records_of(content)[:1]]
    path = tmp_path / 'cut.mcap'
    path.write_bytes(content)
    assert read(path) == (messages, ''), 'the whole bag is read as ever'
    told = set()
    for cut in cuts_of(content):
        path.write_bytes(content[:cut])
        if cut < header_end:
            with pytest.raises(UserError, match='cannot read the bag'):
                read(path)
            continue
        found, why = read(path)
        count = expected(content, cut)
        assert found == messages[:count], cut
        assert path.read_bytes() == content[:cut], "what is the user's is not changed"
        if count:  # before the first, it is not even known what there would have been
            assert bool(why) == (whole_bytes(path) < cut), (cut, why)
            told.add(bool(why))
    assert told == {True, False}


@pytest.mark.slow
def test_a_cut_bag_is_tracked_as_far_as_it_goes(tmp_path):
    messages = chunks_of_hiss(40, 400)
    folder = write_bag(tmp_path / 'bag', messages)
    (file,) = folder.glob('*.mcap')
    content = made_of(file.read_bytes(), in_chunks=False)
    ends = [end for kind, _, end in records_of(content) if kind == MESSAGE]

    def tracked():
        recording = BagRecording(folder, 'respeaker')
        runner = BagRunner(recording, OfflinePipeline(recording))
        return len(runner.run()), runner.counters

    whole, _ = tracked()
    (folder / 'metadata.yaml').unlink()  # as of a recorder that was killed
    file.write_bytes(content[: ends[29] + 5])
    frames, counters = tracked()
    assert 0.6 * whole < frames < 0.9 * whole
    assert any('the bag was cut: the last 5 bytes' in event for event in counters), counters


def test_what_is_no_bag_is_not_taken_for_a_cut_one(tmp_path):
    path = tmp_path / 'noise.mcap'
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(UserError, match='cannot read the bag'):
        open_bag(path)
    assert whole_bytes(path) == 0
