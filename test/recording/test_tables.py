# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tables of truth and tracks: what is written is read back, and what is malformed is named."""

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.recording import TrackTable, TruthTable

TRUTH_HEADER = 'time,id,x,y,z,speaking,visible'
TRACK_HEADER = (
    'time,id,x,y,z,vx,vy,vz,cov_xx,cov_xy,cov_xz,cov_yy,cov_yz,cov_zz,status,seen,heard,'
    'speaking_probability,speaking'
)


def some_truth(rows=7):
    random = np.random.default_rng(3)
    return TruthTable(
        np.arange(rows) * 0.04,
        np.arange(rows) % 3,
        random.normal(size=(rows, 3)),
        random.random(rows) > 0.5,
        random.random(rows) > 0.5,
    )


def some_tracks(rows=5):
    random = np.random.default_rng(4)
    return TrackTable(
        np.arange(rows) * 0.04,
        np.arange(rows),
        random.normal(size=(rows, 3)),
        random.normal(size=(rows, 3)),
        10.0 ** random.uniform(-9, 2, (rows, 6)),
        np.array(['tentative', 'active', 'sleeping', 'active', 'active'][:rows]),
        random.random(rows) > 0.5,
        random.random(rows) > 0.5,
        random.random(rows),
        random.random(rows) > 0.5,
    )


@pytest.mark.parametrize(
    'table',
    [some_truth(), some_tracks(), some_truth(0), some_tracks(0)],
    ids=['truth', 'tracks', 'no truth', 'no tracks'],
)
def test_written_table_reads_back(table, tmp_path):
    table.write(tmp_path / 't.csv')
    again = type(table).read(tmp_path / 't.csv')
    assert len(again) == len(table)
    for name in table._layout:
        before = getattr(table, name)
        after = getattr(again, name)
        assert after.shape == before.shape and after.dtype.kind == before.dtype.kind
        if before.dtype.kind == 'f':
            atol = 0 if name == 'covariance' else 1e-6
            np.testing.assert_allclose(after, before, rtol=1e-7, atol=atol)
        else:
            assert np.array_equal(after, before)


def test_headers_are_the_documented_ones(tmp_path):
    some_truth().write(tmp_path / 'truth.csv')
    some_tracks().write(tmp_path / 'tracks.csv')
    assert (tmp_path / 'truth.csv').read_text().splitlines()[0] == TRUTH_HEADER
    assert (tmp_path / 'tracks.csv').read_text().splitlines()[0] == TRACK_HEADER


@pytest.mark.parametrize(
    'text, words',
    [
        ('', ['line 1', "'time'"]),
        ('time,id,x,y,z,speaking\n', ['line 1', "'visible'"]),
        (TRUTH_HEADER + ',colour\n', ['line 1', "'colour'"]),
        ('id,time,x,y,z,speaking,visible\n', ['line 1', 'order']),
        (TRUTH_HEADER + '\n0,1,0,0,0,1\n', ['line 2', "'visible'"]),
        (TRUTH_HEADER + '\n0,1,0,0,0,1,1,1\n', ['line 2', '8 cells']),
        (TRUTH_HEADER + '\n0,1,0,0,0,1,1\n0,one,0,0,0,1,1\n', ['line 3', "'id'", "'one'"]),
        (TRUTH_HEADER + '\n0,1.5,0,0,0,1,1\n', ['line 2', "'id'"]),
        (TRUTH_HEADER + '\n0,1,nan,0,0,1,1\n', ['line 2', "'x'", 'finite']),
        (TRUTH_HEADER + '\n0,1,0,inf,0,1,1\n', ['line 2', "'y'", 'finite']),
        (TRUTH_HEADER + '\n0,1,0,0,,1,1\n', ['line 2', "'z'"]),
        (TRUTH_HEADER + '\n0,1,0,0,0,yes,1\n', ['line 2', "'speaking'", "'yes'"]),
        (TRUTH_HEADER + '\n0,99999999999999999999,0,0,0,1,1\n', ['line 2', "'id'"]),
    ],
)
def test_malformed_truth_is_named(text, words, tmp_path):
    path = tmp_path / 'truth.csv'
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        TruthTable.read(path)
    message = str(caught.value)
    assert '\n' not in message
    for word in [str(path), *words]:
        assert word in message


def test_absent_or_binary_file_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match='cannot read'):
        TruthTable.read(tmp_path / 'none.csv')
    (tmp_path / 'bytes.csv').write_bytes(b'\xff\xfe\x00\x01' * 20)
    with pytest.raises(UserError, match='bytes.csv'):
        TruthTable.read(tmp_path / 'bytes.csv')


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match='position'):
        TruthTable(np.zeros(3), np.zeros(3), np.zeros((2, 3)), np.zeros(3), np.zeros(3))


def test_spreadsheet_byte_order_mark_and_windows_lines_are_read(tmp_path):
    text = f'\ufeff{TRUTH_HEADER}\r\n0.5, 2, 1, 2, 3, 1, 0\r\n'
    (tmp_path / 't.csv').write_bytes(text.encode())
    table = TruthTable.read(tmp_path / 't.csv')
    assert table.id.tolist() == [2]
    assert table.speaking.tolist() == [True] and table.visible.tolist() == [False]
