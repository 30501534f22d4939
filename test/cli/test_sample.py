# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The sample: right answers are called right, wrong ones wrong, and its bag is its recording."""

from __future__ import annotations

import json

import numpy as np
import pytest

from av_perception.cli.main import main
from av_perception.cli.sample import answer
from av_perception.recording import TrackTable, TruthTable
from av_perception.recording.recording import Recording

IMAGES = 50
TIMES_S = np.arange(IMAGES) / 25
PLACES = np.array([[1.5, 0.4, 0.0], [1.5, -0.4, 0.0]])
SPEAKING = np.stack([TIMES_S < 0.8, TIMES_S > 1.0], axis=1)


def truth():
    return TruthTable(
        np.repeat(TIMES_S, 2),
        np.tile([1, 2], IMAGES),
        np.tile(PLACES, (IMAGES, 1)),
        SPEAKING.ravel(),
        np.ones(2 * IMAGES, bool),
    )


def tracks(places=PLACES, speaking=SPEAKING, ids=(7, 9)):
    rows = IMAGES * len(ids)
    zeros = np.zeros((rows, 3))
    return TrackTable(
        np.repeat(TIMES_S, len(ids)),
        np.tile(ids, IMAGES),
        np.tile(places, (IMAGES, 1)),
        zeros,
        np.zeros((rows, 6)),
        ['active'] * rows,
        *([np.ones(rows, bool)] * 2),
        np.full(rows, 0.5),
        np.asarray(speaking).ravel(),
    )


def verdicts(*arguments, **changes):
    return [row.is_right for row in answer(tracks(*arguments, **changes), truth())]


def test_the_right_answer_is_right_under_any_ids():
    rows = answer(tracks(), truth())
    assert [row.is_right for row in rows] == [True] * 5
    assert rows[1].expected == '1.55 m, 15° left' and rows[2].found == '0.0 to 0.8 s'


def test_wrong_answers_are_named():
    assert verdicts(places=PLACES + [0.0, 0.1, 0.5]) == [True, False, True, False, True]
    assert verdicts(speaking=SPEAKING[:, ::-1]) == [True, True, False, True, False]
    assert verdicts(PLACES[:1], SPEAKING[:, :1], ids=(7,))[0] is False


def test_nobody_is_a_wrong_answer():
    nobody = TrackTable(*[np.zeros(0)] * 10)
    rows = answer(nobody, truth())
    assert not any(row.is_right for row in rows) and rows[1].found == 'nobody'


@pytest.mark.slow
def test_the_sample_comes_out_as_expected_and_its_bag_holds_the_same(tmp_path):
    pytest.importorskip('rosbags')
    pytest.importorskip('av_perception_msgs')
    folder = tmp_path / 'sample'
    assert main(['sample', '-o', str(folder), '--bag', '--json', str(folder / 'a.json')]) == 0
    assert len(json.loads((folder / 'a.json').read_text())['answer']) == 5
    assert (folder / 'timeline.png').stat().st_size > 10_000

    from av_perception.pipelines.full import START_NS
    from av_perception.ros.bags.bag_offline import BagRecording
    from av_perception.ros.bags.bag_player import deserialized

    recording = Recording.open(folder / 'recording')
    messages = list(BagRecording(folder / 'bag', 'simulated').messages())
    chunks = [deserialized(data, kind) for _, name, kind, data in messages if name == 'audio']
    lefts = [m for m in messages if m[1] == 'left/image_raw/compressed']
    assert len(lefts) == recording.num_frames and chunks[0].header.stamp.sec * 10**9 == START_NS
    heard = np.concatenate([np.reshape(c.samples, (-1, c.channels)) for c in chunks])
    np.testing.assert_array_equal(heard, recording.read_audio(0, recording.num_samples))
    stamps = [m[0] for m in messages]
    assert stamps == sorted(stamps)


def test_a_bag_that_is_there_is_refused_before_the_work(tmp_path, capsys):
    pytest.importorskip('rosbags')
    pytest.importorskip('av_perception_msgs')
    (tmp_path / 'bag').mkdir()
    assert main(['sample', '-o', str(tmp_path), '--bag']) == 2
    assert 'exists already' in capsys.readouterr().err
    assert not (tmp_path / 'recording').exists()
