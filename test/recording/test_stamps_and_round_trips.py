# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stamps of samples and images, and text that is read as it was written."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.interfaces import (
    LifeState,
    SpeakingFrame,
    SpeakingStatus,
    TrackEstimate,
    TrackFrame,
)
from av_perception.recording import TrackTable, TruthTable
from av_perception.recording.collect import collect_tracks
from av_perception.recording.csv_text import read_columns, read_csv
from av_perception.recording.mot_text import MAX_FRAME, MotTable, SequenceInfo
from av_perception.recording.timing import image_stamp_ns, sample_stamp_ns


@pytest.mark.parametrize('rate', [8000, 11025, 16000, 44100, 48000, 192000])
def test_stamps_of_samples_are_exact_however_long_the_recording(rate):
    random = np.random.default_rng(rate)
    source = SimpleNamespace(audio_start_s=2.5, sample_rate=rate)
    for index in [0, 1, *random.integers(0, 10**12, 200).tolist()]:
        exact = Fraction(5, 2) * 10**9 + Fraction(index * 10**9, rate)
        assert sample_stamp_ns(source, index) == int(exact)


def test_stamps_of_chunks_follow_each_other_without_drift():
    source = SimpleNamespace(audio_start_s=0.0, sample_rate=44100)
    stamps = [sample_stamp_ns(source, 512 * chunk) for chunk in range(20000)]
    steps = np.diff(stamps)
    assert set(steps.tolist()) == {512 * 10**9 // 44100, 512 * 10**9 // 44100 + 1}
    assert stamps[-1] == 512 * 19999 * 10**9 // 44100


@pytest.mark.parametrize('rate', [12.5, 25.0, 29.97, 30000 / 1001, 1000.0])
def test_stamps_of_images_are_the_nearest_nanosecond(rate):
    source = SimpleNamespace(video_start_s=1.25, frame_rate=rate)
    for index in (0, 1, 2, 999, 123_456):
        exact = Fraction(5, 4) * 10**9 + Fraction(index * 10**9) / Fraction(rate)
        assert abs(image_stamp_ns(source, index) - exact) <= 1


def test_sound_and_images_that_start_together_meet_every_second():
    source = SimpleNamespace(
        audio_start_s=0.125, video_start_s=0.125, sample_rate=16000, frame_rate=25.0
    )
    for second in range(0, 7200, 97):
        assert sample_stamp_ns(source, 16000 * second) == image_stamp_ns(source, 25 * second)


@pytest.mark.parametrize('seed', range(4))
def test_a_table_of_tracks_that_is_written_twice_is_the_same_text(seed, tmp_path):
    random = np.random.default_rng(seed)
    rows = 40
    table = TrackTable(
        time_s=np.sort(random.uniform(0, 1e5, rows)),
        id=random.integers(-(2**62), 2**62, rows),
        position=random.normal(size=(rows, 3)) * 10.0 ** random.integers(-4, 4, (rows, 1)),
        velocity=random.normal(size=(rows, 3)),
        covariance=random.normal(size=(rows, 6)) * 10.0 ** random.integers(-12, 6, (rows, 6)),
        status=random.choice(['tentative', 'active', 'sleeping'], rows),
        seen=random.random(rows) < 0.5,
        heard=random.random(rows) < 0.5,
        speaking_probability=random.random(rows),
        speaking=random.random(rows) < 0.5,
    )
    table.write(tmp_path / 'a.csv')
    again = TrackTable.read(tmp_path / 'a.csv')
    again.write(tmp_path / 'b.csv')
    assert (tmp_path / 'a.csv').read_bytes() == (tmp_path / 'b.csv').read_bytes()
    assert np.array_equal(again.id, table.id)
    np.testing.assert_allclose(again.time_s, table.time_s, rtol=0, atol=5.1e-7)
    np.testing.assert_allclose(again.covariance, table.covariance, rtol=5e-8)


@pytest.mark.parametrize('folder', ['', 'absent/t.csv'])
def test_a_table_that_cannot_be_written_is_one_line(folder, tmp_path):
    table = TruthTable(np.zeros(0), np.zeros(0), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    with pytest.raises(UserError, match='^cannot write ') as caught:
        table.write(tmp_path / folder)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'rate', [30.0, 12.5, 30000 / 1001, 29.97, 0.04], ids=lambda rate: f'{rate:.4g}'
)
def test_a_sequence_info_is_read_as_it_was_written(rate, tmp_path):
    """Regression: 30000 / 1001 Hz became 29.97, a million images '1e+06', which was refused."""
    info = SequenceInfo(rate, 1920, 1080, MAX_FRAME)
    info.write(tmp_path / 'seqinfo.ini', 'long')
    again = SequenceInfo.beside(tmp_path / 'det.txt')
    assert again.frame_rate == pytest.approx(rate, rel=1e-9)
    assert (again.width, again.height, again.length) == (1920, 1080, MAX_FRAME)


def test_a_sequence_info_that_knows_little_says_little(tmp_path):
    SequenceInfo(width=640).write(tmp_path / 'seqinfo.ini', 'some')
    text = (tmp_path / 'seqinfo.ini').read_text(encoding='utf-8')
    assert text.splitlines() == ['[Sequence]', 'name=some', 'imWidth=640']
    assert SequenceInfo.beside(tmp_path / 'a.txt') == SequenceInfo(width=640)


def test_positions_of_boxes_keep_a_tenth_of_a_millimeter_at_any_distance(tmp_path):
    """Regression: five digits were written, so that beyond 10 m millimeters were lost."""
    random = np.random.default_rng(8)
    position = random.uniform(-1, 1, (60, 3)) * np.repeat([0.5, 15.0, 400.0], 20)[:, None]
    table = MotTable.of(np.arange(1, 61), np.arange(60), np.ones((60, 4)), None, position)
    table.write(tmp_path / 'a.txt')
    again = MotTable.read(tmp_path / 'a.txt')
    np.testing.assert_allclose(again.position, position, rtol=0, atol=5.1e-5)


def test_boxes_without_a_position_stay_without(tmp_path):
    table = MotTable.of([1, 2], [3, 4], np.ones((2, 4)), None, [[0.0, 0.0, 0.0], [np.nan] * 3])
    table.write(tmp_path / 'a.txt')
    assert (tmp_path / 'a.txt').read_text().splitlines()[1].endswith(',1,-1,-1,-1')
    again = MotTable.read(tmp_path / 'a.txt')
    assert again.position[0].tolist() == [0, 0, 0] and np.isnan(again.position[1]).all()


def test_boxes_of_one_frame_keep_their_order_when_frames_are_sorted(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('2,5,0,0,1,1\n1,9,0,0,1,1\n2,4,0,0,1,1\n1,1,0,0,1,1\n2,6,0,0,1,1\n')
    table = MotTable.read(path)
    assert table.id.tolist() == [9, 1, 5, 4, 6]
    rows = table.rows_of(np.array([2, 7, 1]))
    assert [table.id[row].tolist() for row in rows] == [[5, 4, 6], [], [9, 1]]
    assert table.take(table.id > 4).id.tolist() == [9, 5, 6]


def test_a_table_of_boxes_that_cannot_be_written_is_one_line(tmp_path):
    table = MotTable.of([1], [1], np.ones((1, 4)))
    with pytest.raises(UserError, match='^cannot write .*: '):
        table.write(tmp_path / 'absent' / 'a.txt')


@pytest.mark.parametrize(
    'key', ['frameRate=-1', 'imWidth=0', 'imHeight=-3', 'seqLength=0', 'frameRate=inf']
)
def test_a_sequence_has_positive_numbers(key, tmp_path):
    (tmp_path / 'seqinfo.ini').write_text(f'[Sequence]\n{key}\n')
    with pytest.raises(UserError, match='seqinfo.ini: .*must be positive'):
        SequenceInfo.beside(tmp_path / 'det.txt')


def csv_file(tmp_path, text):
    path = tmp_path / 'places.csv'
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    'text',
    [
        'x,y\n1.5,-2\n',
        'x;y\n1,5;-2\n',
        'x\ty\r\n1,5\t-2\r\n',
        '\n\n x , y \n\n 1.5 , -2 \n\n',
        '"x","y"\n"1.5","-2"\n',
        'name,y,x\nAda,-2,1.5\n',
        'x;y\n1,5e0;-2,0\n',
        'x,y\r1.5,-2\r',
    ],
)
def test_numbers_are_read_however_a_spreadsheet_divides_them(text, tmp_path):
    ((_, values),) = read_columns(csv_file(tmp_path, text), ('x', 'y'))
    assert values == [1.5, -2.0]


def test_the_number_of_a_line_is_that_of_an_editor(tmp_path):
    header, lines = read_csv(csv_file(tmp_path, '\nx,y\n\n1,2\n\n\n3,4\n'))
    assert header == ['x', 'y'] and lines == [(4, ['1', '2']), (7, ['3', '4'])]
    assert read_csv(csv_file(tmp_path, '\n \n,,\n')) == ([], [])


@pytest.mark.parametrize(
    'text, told',
    [
        ('', "columns x,y and a line for every place: the column 'x' is missing"),
        ('x,z\n1,2\n', "the column 'y' is missing"),
        ('x,y\n', 'there is none'),
        ('x,y\n1,2\n3\n', 'line 3: x,y must be numbers'),
        ('x,y\n1,two\n', 'line 2: x,y must be numbers'),
        ('x,y\n1,nan\n', 'line 2: the numbers of a place must be finite'),
        ('x,y\n-inf,1\n', 'line 2: the numbers of a place must be finite'),
        ('x,y,x\n1,2,3\n', "line 1: the column 'x' is there twice"),
    ],
)
def test_columns_that_are_no_numbers_are_named(text, told, tmp_path):
    path = csv_file(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_columns(path, ('x', 'y'), 'place')
    assert str(caught.value).startswith(str(path)) and told in str(caught.value)


def estimate(number, state, seen):
    covariance = np.diag([1.0, 2, 3, 4, 5, 6])
    covariance[0, 1] = covariance[1, 0] = 0.5
    covariance[0, 2] = covariance[2, 0] = -0.25
    covariance[1, 2] = covariance[2, 1] = 0.125
    mean = np.arange(6.0) + 10 * number
    return TrackEstimate(
        number, state, mean, covariance, seen, not seen, False, 0, 0, 0.5, None, np.zeros(0)
    )


def test_collected_tracks_are_one_row_each_in_the_order_of_frames():
    origin_ns = 1_700_000_000_000_000_000
    later_ns = origin_ns + 40_000_000
    frames = [
        (
            TrackFrame(
                origin_ns,
                (estimate(3, LifeState.ACTIVE, True), estimate(1, LifeState.TENTATIVE, False)),
                True,
            ),
            SpeakingFrame(origin_ns, (SpeakingStatus(1, True, 0.875, origin_ns),)),
        ),
        (TrackFrame(later_ns, (), False), SpeakingFrame(later_ns, ())),
        (
            TrackFrame(later_ns, (estimate(1, LifeState.SLEEPING, False),), True),
            SpeakingFrame(later_ns, (SpeakingStatus(3, True, 1.0, origin_ns),)),
        ),
    ]
    table = collect_tracks(frames, origin_ns)
    assert table.time_s.tolist() == [0.0, 0.0, 0.04] and table.id.tolist() == [3, 1, 1]
    assert table.position[0].tolist() == [30, 31, 32]
    assert table.velocity[1].tolist() == [13, 14, 15]
    assert table.covariance[2].tolist() == [1, 0.5, -0.25, 2, 0.125, 3]
    assert table.status.tolist() == ['active', 'tentative', 'sleeping']
    assert table.seen.tolist() == [True, False, False]
    assert table.heard.tolist() == [False, True, True]
    # A track that nobody says anything about does not speak, nor does a stranger's status count.
    assert table.speaking.tolist() == [False, True, False]
    assert table.speaking_probability.tolist() == [0, 0.875, 0]


def test_no_frames_are_an_empty_table():
    table = collect_tracks([])
    assert len(table) == 0 and table.position.shape == (0, 3) and table.covariance.shape == (0, 6)
