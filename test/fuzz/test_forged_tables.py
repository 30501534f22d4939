# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers in tables and bags that would fill memory, or lead elsewhere, are refused."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from bag_scenes import write_bag
from mutations import is_one_line

from av_perception.errors import UserError
from av_perception.evaluation.frames import align
from av_perception.interfaces import AudioChunk
from av_perception.recording import TrackTable, TruthTable


def truth_of(times):
    count = len(times)
    flags = np.ones(count, bool)
    places = np.ones((count, 3))
    return TruthTable(np.array(times, float), np.arange(count), places, flags, flags)


@pytest.mark.parametrize('far', [2e17, 4e17, 1e12, 5e5])
def test_holes_of_a_truth_do_not_wrap_around(far, tmp_path):
    """Two holes of 5e18 frames had a negative sum, and 40 exabytes were asked for."""
    times = [*np.arange(8) * 0.04, far, 2 * far]
    truth = truth_of(times)
    truth.write(tmp_path / 'truth.csv')
    header = ','.join(TrackTable.header())
    (tmp_path / 'tracks.csv').write_text(f'{header}\n')
    read = TruthTable.read(tmp_path / 'truth.csv')
    with pytest.raises(UserError, match='are its times in seconds'):
        align(TrackTable.read(tmp_path / 'tracks.csv'), read)


@pytest.fixture()
def bag(tmp_path):
    pytest.importorskip('rosbags')
    from av_perception.ros.conversions import audio_chunk_to_msg

    chunk = AudioChunk(10**9, 16000, 0, np.zeros((400, 4), np.float32))
    messages = [(chunk.stamp_ns, 'audio', audio_chunk_to_msg(chunk, 'array'))]
    return write_bag(tmp_path / 'bag', messages, storage='MCAP')


def refused(folder) -> str:
    from av_perception.ros.bags.bag_file import open_bag

    with pytest.raises(UserError) as caught:
        open_bag(folder)
    assert is_one_line(caught.value)
    return str(caught.value)


def test_a_bag_does_not_lead_out_of_its_folder(bag):
    [file] = bag.glob('*.mcap')
    shutil.move(file, bag.parent / 'elsewhere.mcap')
    metadata = bag / 'metadata.yaml'
    for name in ('../elsewhere.mcap', str(bag.parent / 'elsewhere.mcap')):
        whole = metadata.read_text()
        metadata.write_text(whole.replace(file.name, name))
        refused(bag)
        metadata.write_text(whole)


@pytest.mark.slow
@pytest.mark.parametrize('how', ['bomb', 'nested', 'bytes'])
def test_hostile_metadata_of_a_bag_is_one_line(how, bag):
    bomb = 'a0: &a0 [x, x]\n' + ''.join(
        f'a{k}: &a{k} [{", ".join([f"*a{k - 1}"] * 10)}]\n' for k in range(1, 9)
    )
    content = {'bomb': bomb.encode(), 'nested': b'[' * 5000, 'bytes': b'\xff\x00\x81'}[how]
    (bag / 'metadata.yaml').write_bytes(content)
    refused(bag)
