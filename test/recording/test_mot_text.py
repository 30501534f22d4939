# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""MOT-challenge text: every variant of columns, and one clear line for what is none."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.recording.mot_text import MotTable, SequenceInfo


def read(tmp_path, text) -> MotTable:
    path = tmp_path / 'boxes.txt'
    path.write_text(text, encoding='utf-8')
    return MotTable.read(path)


def test_lines_of_every_width_are_read(tmp_path):
    lines = (
        '\ufeff3,-1,1.5,2,3,4\n',
        '1,7,1,2,3,4,0.5\n',
        '\n',
        '1,8,1,2,3,4,1,3\n',
        '2, 9, 1, 2, 3, 4, 0, 1, 0.25\r\n',
        '2,-1,1,2,3,4,0.9,-1,-1\n',
        '4,-1,1,2,3,4,0.9,-1,-1,-1\n',
        '4,1,1,2,3,4,0.9,2.5,-0.5,0.1,\n',
    )
    table = read(tmp_path, ''.join(lines))
    assert table.frame.tolist() == [1, 1, 2, 2, 3, 4, 4]
    assert table.id.tolist() == [7, 8, 9, -1, -1, -1, 1]
    assert table.kind.tolist() == [1, 3, 1, 1, 1, 1, 1]
    np.testing.assert_allclose(table.confidence, [0.5, 1, 0, 0.9, 1, 0.9, 0.9])
    np.testing.assert_allclose(table.box[4], [1.5, 2, 3, 4])
    assert np.isnan(table.position[:6]).all() and table.position[6].tolist() == [2.5, -0.5, 0.1]


def test_an_empty_file_is_an_empty_table(tmp_path):
    table = read(tmp_path, '')
    assert len(table) == 0 and table.box.shape == (0, 4) and table.frames(3) == [slice(0, 0)] * 3


def test_what_is_written_is_read(tmp_path):
    rng = np.random.default_rng(0)
    position = np.where(np.arange(20)[:, None] % 3 == 0, np.nan, rng.normal(size=(20, 3)))
    table = MotTable.of(
        np.repeat(np.arange(1, 11), 2),
        np.tile([1, 2], 10),
        rng.uniform(1, 900, (20, 4)),
        rng.uniform(size=20),
        position,
    )
    table.write(tmp_path / 'a.txt')
    again = MotTable.read(tmp_path / 'a.txt')
    assert again.frame.tolist() == table.frame.tolist() and again.id.tolist() == table.id.tolist()
    np.testing.assert_allclose(again.box, table.box, atol=0.006)
    np.testing.assert_allclose(again.confidence, table.confidence, atol=1e-3)
    np.testing.assert_allclose(again.position, table.position, atol=1e-4)


def test_rows_of_frames_are_found_with_holes_between_them():
    table = MotTable.of([2, 2, 5], [1, 2, 1], np.ones((3, 4)))
    limits = [(rows.start, rows.stop) for rows in table.frames(6)]
    assert limits == [(0, 0), (0, 2), (2, 2), (2, 2), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    'line, message',
    [
        ('1,-1,3', '3 values'),
        ('1,-1,1,2,3,4,1,1,1,1,1', '11 values'),
        ('1;-1;1;2;3;4;1', '1 values'),
        ('1,-1,a,2,3,4,1', "left 'a' is not a number"),
        ('1,-1,1,2,,4,1', "width '' is not a number"),
        ('1,-1,1,2,nan,4,1', "width 'nan' is not a finite"),
        ('1,-1,1,2,3,inf,1', "height 'inf'"),
        ('0,-1,1,2,3,4,1', 'frames count from 1'),
        ('99999999,-1,1,2,3,4,1', 'frame 99999999'),
        ('1.5,-1,1,2,3,4,1', 'frame 1.5 is not a whole'),
        ('1,2.5,1,2,3,4,1', 'id 2.5 is not a whole'),
    ],
)
def test_malformed_lines_are_named(tmp_path, line, message):
    with pytest.raises(UserError) as error:
        read(tmp_path, f'1,-1,1,2,3,4,1\n{line}\n')
    told = str(error.value)
    assert 'boxes.txt, line 2: ' in told and message in told and '\n' not in told


def test_files_that_are_no_text_are_refused(tmp_path):
    (tmp_path / 'a.txt').write_bytes(bytes(range(128, 256)))
    for path, message in (
        (tmp_path / 'a.txt', 'is not MOT-challenge text'),
        (tmp_path / 'b.txt', 'cannot read'),
        (tmp_path, 'cannot read'),
    ):
        with pytest.raises(UserError, match=message):
            MotTable.read(path)


def test_sequence_info_is_found_beside_and_above(tmp_path):
    (tmp_path / 'det').mkdir()
    assert SequenceInfo.beside(tmp_path / 'det' / 'det.txt') == SequenceInfo()
    SequenceInfo(30.0, 1920, 1080, 525).write(tmp_path / 'seqinfo.ini', 'MOT17-09')
    for place in (tmp_path / 'det.txt', tmp_path / 'det' / 'det.txt'):
        assert SequenceInfo.beside(place) == SequenceInfo(30.0, 1920, 1080, 525)


@pytest.mark.parametrize(
    'text',
    [
        'frameRate=30',
        '[Sequence]\nframeRate=fast',
        '[Sequence]\nframeRate=0',
        '[Other]\nframeRate=30',
    ],
)
def test_broken_sequence_info_is_named(tmp_path, text):
    (tmp_path / 'seqinfo.ini').write_text(text, encoding='utf-8')
    with pytest.raises(UserError, match='seqinfo.ini'):
        SequenceInfo.beside(tmp_path / 'det.txt')
