# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scores of boxes against TrackEval and Stone Soup's OSPA, and `av-perception evaluate mot`."""

from __future__ import annotations

import json
import time
from datetime import datetime

import numpy as np
import pytest

from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.evaluation.mot import check_truth, score_boxes, score_positions
from av_perception.evaluation.tracking_metrics import ospa
from av_perception.pipelines.mot_tracking import (
    guess_boxes,
    image_of,
    track_boxes,
)
from av_perception.recording.mot_text import MotTable, SequenceInfo
from av_perception.robot_head.profile import load_head
from av_perception.simulation.box_scenes import BoxSceneConfig, box_scene, head_boxes

CAMERA = load_head('simulated').camera


def walkers(frames=20, people=3) -> MotTable:
    """Boxes of 40 x 60 that walk to the right, 100 px apart."""
    frame, person = (
        grid.ravel()
        for grid in np.meshgrid(np.arange(1, frames + 1), np.arange(1, people + 1), indexing='ij')
    )
    return MotTable.of(
        frame,
        person,
        np.stack(
            [
                100 * person + frame,
                np.full(len(frame), 50),
                np.full(len(frame), 40),
                np.full(len(frame), 60),
            ],
            1,
        ),
    )


def test_the_truth_itself_is_perfect():
    scores = score_boxes(walkers(), walkers(), 20)
    assert (scores.mota, scores.idf1, scores.hota, scores.mean_similarity) == pytest.approx(
        (1, 1, 1, 1)
    )
    assert (
        scores.ospa,
        scores.id_switches,
        scores.misses,
        scores.false_positives,
        scores.people,
    ) == (0, 0, 0, 0, 3)


def test_counts_of_planted_mistakes():
    """One person of three missed, one false box in ten frames, one exchange of ids between two."""
    truth = walkers()
    swapped = np.where(truth.frame > 10, np.array([0, 2, 1, 3])[truth.id], truth.id)
    tracks = MotTable.of(truth.frame, swapped, truth.box).take(truth.id < 3)
    false = MotTable.of(np.arange(1, 11), np.full(10, 9), np.tile([500.0, 400, 40, 60], (10, 1)))
    joined = MotTable.of(
        *(
            np.concatenate([getattr(t, name) for t in (tracks, false)])
            for name in ('frame', 'id', 'box')
        )
    )
    scores = score_boxes(joined.take(np.argsort(joined.frame, kind='stable')), truth, 20)
    assert (scores.misses, scores.false_positives, scores.id_switches) == (20, 10, 2)
    assert scores.mota == pytest.approx(1 - 32 / 60)
    assert scores.idf1 == pytest.approx(2 * 20 / (60 + 50))
    missing_and_false, missing = np.sqrt(50**2 / 3), np.sqrt(50**2 / 3)
    assert scores.ospa == pytest.approx((missing_and_false + missing) / 2)


def test_undefined_figures_are_none():
    nobody = MotTable.of([], [], [])
    empty, silent = score_boxes(nobody, nobody, 5), score_boxes(nobody, walkers(), 20)
    assert (empty.mota, empty.idf1, empty.hota, empty.ospa, empty.mean_similarity) == (None,) * 5
    assert (silent.mota, silent.hota, silent.ospa, silent.mean_similarity) == (
        0.0,
        0.0,
        50.0,
        None,
    )


def test_positions_are_scored_by_distance():
    places = np.array([[2.0, 0, 0], [3, 1, 0], [2, 0.2, 0], [3, 1, 0]])
    truth = MotTable.of([1, 1, 2, 2], [1, 2, 1, 2], np.ones((4, 4)), position=places)
    tracks = MotTable.of([1, 1, 2], [5, 6, 5], np.ones((3, 4)), position=places[:3] + [0.1, 0, 0])
    scores = score_positions(tracks, truth, 2)
    assert (scores.matches, scores.misses, scores.id_switches) == (
        3,
        1,
        0,
    )
    assert scores.mean_similarity == pytest.approx(0.9)
    assert scores.ospa == pytest.approx((0.1 + np.sqrt((0.1**2 + 1) / 2)) / 2)


def scene_with_others(seed) -> tuple[MotTable, MotTable, int]:
    """Tracks of a short scene, a truth for them, and its length.

    In the truth one is a distractor, one of another kind, and one not to be scored at times.
    """
    scene = box_scene(BoxSceneConfig(people=5, duration_s=6.0, clutter=2.0), CAMERA, seed)
    truth = scene.truth
    kinds, flags = (
        np.array([0, 1, 8, 1, 3, 1])[truth.id],
        np.where((truth.id == 3) & (truth.frame > 60), 0.0, 1.0),
    )
    truth = MotTable(
        truth.frame, truth.id, truth.box, np.where(kinds == 1, flags, 0.0), kinds, truth.position
    )
    return (
        track_boxes(scene.detections, CAMERA, scene.info.length).tracks,
        truth,
        scene.info.length,
    )


@pytest.mark.slow
@pytest.mark.parametrize('seed', range(3))
def test_scores_are_those_of_trackevals_own_data_set(tmp_path, seed):
    """MOT17's rules for distractors, other kinds and boxes that do not count, by TrackEval."""
    from trackeval.datasets import MotChallenge2DBox
    from trackeval.metrics import CLEAR, HOTA, Identity

    tracks, truth, length = scene_with_others(seed)
    rows = [
        f'{f},{i},{",".join(map(repr, box))},{int(c)},{k},1'
        for f, i, box, c, k in zip(
            truth.frame.tolist(),
            truth.id.tolist(),
            truth.box.tolist(),
            truth.confidence.tolist(),
            truth.kind.tolist(),
        )
    ]
    (tmp_path / 'gt.txt').write_text('\n'.join(rows), encoding='utf-8')
    (tmp_path / 'tracks').mkdir()
    rows = [
        f'{f},{i},{",".join(map(repr, box))},1,-1,-1,-1'
        for f, i, box in zip(tracks.frame.tolist(), tracks.id.tolist(), tracks.box.tolist())
    ]
    (tmp_path / 'tracks' / 's.txt').write_text('\n'.join(rows), encoding='utf-8')
    data_set = MotChallenge2DBox(
        {
            'GT_FOLDER': str(tmp_path),
            'TRACKERS_FOLDER': str(tmp_path),
            'TRACKERS_TO_EVAL': ['tracks'],
            'TRACKER_SUB_FOLDER': '',
            'BENCHMARK': 'MOT17',
            'SKIP_SPLIT_FOL': True,
            'SEQ_INFO': {'s': length},
            'GT_LOC_FORMAT': '{gt_folder}/gt.txt',
            'PRINT_CONFIG': False,
        }
    )
    data = data_set.get_preprocessed_seq_data(
        data_set.get_raw_seq_data('tracks', 's'), 'pedestrian'
    )
    clear, identity = (
        metric({'PRINT_CONFIG': False}).eval_sequence(data) for metric in (CLEAR, Identity)
    )
    scores = score_boxes(tracks, truth, length)
    assert scores.neutral > 0
    assert (scores.id_switches, scores.misses, scores.false_positives) == (
        clear['IDSW'],
        clear['CLR_FN'],
        clear['CLR_FP'],
    )
    assert scores.mota == pytest.approx(clear['MOTA'])
    assert scores.idf1 == pytest.approx(identity['IDF1'])
    assert scores.hota == pytest.approx(np.mean(HOTA().eval_sequence(data)['HOTA']))
    assert scores.mean_similarity == pytest.approx(clear['MOTP'])


@pytest.mark.parametrize('order', [1.0, 2.0])
def test_ospa_is_stone_soups(order):
    """Of order 1.

    For order 2 Stone Soup 1.9 assigns by the sum of distances instead of their squares, so its
    value is never the smaller.
    """
    pytest.importorskip(
        'stonesoup', reason="needs stonesoup: pip install 'av_perception[comparison]'"
    )
    from stonesoup.metricgenerator.ospametric import OSPAMetric
    from stonesoup.types.state import State

    rng, now = np.random.default_rng(0), datetime(2000, 1, 1)
    metric = OSPAMetric(p=order, c=50.0)
    for _ in range(50):
        truth, tracks = (rng.uniform(0, 150, (rng.integers(1, 7), 2)) for _ in range(2))
        theirs = metric.compute_OSPA_distance(
            [State(p, timestamp=now) for p in tracks], [State(p, timestamp=now) for p in truth]
        )
        distance = np.linalg.norm(truth[:, None] - tracks, axis=-1)
        ours = ospa(distance, 50.0, order)
        assert (
            ours == pytest.approx(theirs.value)
            if order == 1 or min(distance.shape) == 1
            else ours <= theirs.value + 1e-9
        )


@pytest.mark.parametrize(
    'change, message',
    [
        ({'id': [1, 1]}, 'id 1 twice in frame 1'),
        ({'id': [1, -1]}, 'is this a file of detections'),
        ({'box': [[1, 1, 5, 5], [1, 1, 0, 5]]}, 'without area in frame 1'),
    ],
)
def test_a_truth_that_is_none_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        check_truth(
            MotTable.of(**{'frame': [1, 1], 'id': [1, 2], 'box': [[1, 1, 5, 5]] * 2, **change})
        )


def test_what_boxes_hold_and_how_large_the_image_is_comes_from_the_boxes():
    people = MotTable.of([1, 1], [-1, -1], [[10, 10, 50, 150], [900, 400, 60, 160]])
    assert guess_boxes(people) == 'people'
    assert guess_boxes(walkers()) == 'heads' == guess_boxes(MotTable.of([], [], []))
    camera = image_of(SequenceInfo(), people)
    assert (camera.width, camera.height, camera.frame_rate) == (960, 560, 25)
    camera = image_of(SequenceInfo(30, 1920, 1080), people)
    assert (camera.width, camera.height, camera.frame_rate) == (1920, 1080, 30)
    assert image_of(SequenceInfo(30), people, 10.0).frame_rate == 10


def test_scenes_hide_miss_and_invent_as_told():
    """Planted rates come out again; heads mostly hidden are never detected; a seed is a scene."""
    config = BoxSceneConfig(people=4, duration_s=60, clutter=0.0, duplicate_probability=0.0)
    scene = box_scene(config, CAMERA, 0)
    assert np.array_equal(box_scene(config, CAMERA, 0).detections.box, scene.detections.box)
    missed = [
        np.abs(scene.detections.box[d][:, None] - scene.truth.box[t]).max(-1).min(0, initial=99)
        > 25
        for d, t in zip(scene.detections.frames(1500), scene.truth.frames(1500))
        if t.stop > t.start
    ]
    assert 0.1 < np.mean(np.concatenate(missed)) < 0.3
    everything = box_scene(BoxSceneConfig(people=0, duration_s=60, clutter=2.0), CAMERA, 1)
    assert not len(everything.truth)
    assert len(everything.detections) / 1500 == pytest.approx(2.0, rel=0.1)
    alone = box_scene(
        BoxSceneConfig(people=1, duration_s=60, clutter=0, duplicate_probability=0), CAMERA, 2
    )
    assert len(alone.detections) / len(alone.truth) == pytest.approx(0.9, abs=0.03)
    rows = np.isin(alone.truth.frame, alone.detections.frame)
    errors = (
        alone.detections.box[:, :2]
        + alone.detections.box[:, 2:] / 2
        - alone.truth.box[rows, :2]
        - alone.truth.box[rows, 2:] / 2
    )
    np.testing.assert_allclose((errors / alone.truth.box[rows, 2:]).std(0), 0.05, atol=0.004)
    optical = CAMERA.base_from_optical.inverse().apply(alone.truth.position)
    np.testing.assert_allclose(head_boxes(optical, CAMERA), alone.truth.box, atol=1e-6)


@pytest.fixture
def sequence(tmp_path):
    box_scene(BoxSceneConfig(people=2, duration_s=4.0, reach=0.8), CAMERA, 3).write(tmp_path)
    return tmp_path


def evaluate_mot(folder, *more, detections='det.txt', truth='gt.txt') -> int:
    return main(
        [
            'evaluate',
            'mot',
            '--detections',
            str(folder / detections),
            '--truth',
            str(folder / truth),
            *more,
        ]
    )


def test_command_prints_and_writes_figures_and_tracks(sequence, capsys):
    assert (
        evaluate_mot(
            sequence, '--json', str(sequence / 'a.json'), '--tracks', str(sequence / 'tracks.txt')
        )
        == 0
    )
    figures, text = json.loads((sequence / 'a.json').read_text()), capsys.readouterr().out
    assert {'mota', 'idf1', 'hota', 'id_switches', 'ospa'} <= set(figures)
    assert figures['frames'] == 100
    assert figures['mota'] > 0.8
    assert figures['idf1'] > 0.8
    assert f'{figures["mota"]:.1%}' in text
    assert 'HOTA' in text
    tracks = MotTable.read(sequence / 'tracks.txt')
    again = score_boxes(tracks, MotTable.read(sequence / 'gt.txt'), 100)
    assert again.id_switches == figures['id_switches']
    assert again.mota == pytest.approx(figures['mota'], abs=0.01)


@pytest.mark.slow
def test_variants_of_columns_give_the_same(sequence, capsys):
    """Nine and ten columns without positions, and a truth with class and visibility."""
    evaluate_mot(sequence, '--json', str(sequence / 'a.json'))
    for name, rest in (('det.txt', '-1,-1'), ('det.txt', '-1,-1,-1'), ('gt.txt', '1,0.5')):
        lines = [
            ','.join(line.split(',')[:7]) + ',' + rest
            for line in (sequence / name).read_text().splitlines()
        ]
        (sequence / name).write_text('\n'.join(lines) + '\n')
        assert evaluate_mot(sequence, '--json', str(sequence / 'b.json')) == 0
        a, b = (json.loads((sequence / file).read_text()) for file in ('a.json', 'b.json'))
        assert {k: v for k, v in a.items() if k != 'step_ms_median'} == {
            k: v for k, v in b.items() if k != 'step_ms_median'
        }


def test_missing_frames_and_no_detections_are_no_error(sequence, capsys):
    lines = (sequence / 'det.txt').read_text().splitlines()
    (sequence / 'det.txt').write_text(
        '\n'.join(line for line in lines if not 30 < int(line.split(',')[0]) < 60)
    )
    assert evaluate_mot(sequence) == 0
    (sequence / 'det.txt').write_text('')
    assert evaluate_mot(sequence, '--json', str(sequence / 'a.json')) == 0
    assert json.loads((sequence / 'a.json').read_text())['mota'] == 0.0


def test_what_is_dropped_is_said(sequence, capsys):
    (sequence / 'seqinfo.ini').unlink()
    with open(sequence / 'det.txt', 'a', encoding='utf-8') as stream:
        stream.write('5,-1,10,10,0,20,1\n500,-1,10,10,20,20,1\n')
    assert evaluate_mot(sequence, '--min-confidence', '0.6') == 0
    text = capsys.readouterr().out
    assert 'after the last frame of the truth: 1' in text
    assert 'without area: 1' in text
    assert 'too little confidence: ' in text


@pytest.mark.parametrize(
    'change, more, message',
    [
        ({'det.txt': '1,-1,a,2,3,4,1\n'}, [], 'det.txt, line 1'),
        ({'gt.txt': ''}, [], 'no rows'),
        ({'gt.txt': '1,-1,1,2,3,4,1\n'}, [], 'who is who'),
        ({}, ['--frame-rate', '0'], 'positive'),
        ({}, ['--ospa-cutoff', 'nan'], 'positive'),
        ({}, ['--json', 'no/a.json'], 'cannot write'),
        ({'seqinfo.ini': 'x'}, [], 'seqinfo.ini'),
    ],
)
def test_errors_are_one_line(sequence, change, more, message, monkeypatch, capsys):
    monkeypatch.chdir(sequence)
    for name, text in change.items():
        (sequence / name).write_text(text, encoding='utf-8')
    assert evaluate_mot(sequence, *more) == 2
    error = capsys.readouterr().err
    assert message in error and error.strip().count('\n') == 0


def with_column(path, column: int, value: str) -> str:
    """A MOT file with every value of a column replaced."""
    lines = [line.split(',') for line in path.read_text(encoding='utf-8').splitlines()]
    return (
        '\n'.join(','.join([*line[:column], value, *line[column + 1 :]]) for line in lines) + '\n'
    )


@pytest.mark.parametrize(
    'change, words',
    [
        ((7, '0'), 'with class 0 (column 8)'),
        ((7, '3'), 'with class 3 (column 8)'),
        ((6, '0'), 'with flag 0 (column 7)'),
    ],
)
def test_a_truth_with_nobody_to_score_says_what_its_rows_have(sequence, change, words, capsys):
    lines = (sequence / 'gt.txt').read_text(encoding='utf-8').splitlines()
    wide = [','.join([*line.split(',')[:6], '1', '1', '1']) for line in lines]
    (sequence / 'gt.txt').write_text('\n'.join(wide) + '\n', encoding='utf-8')
    (sequence / 'gt.txt').write_text(with_column(sequence / 'gt.txt', *change), encoding='utf-8')
    assert evaluate_mot(sequence) == 2
    error = capsys.readouterr().err
    assert f'{len(lines)} {words}' in error and error.strip().count('\n') == 0


def test_rows_that_are_not_scored_are_said_by_class(sequence, capsys):
    lines = (sequence / 'gt.txt').read_text(encoding='utf-8').splitlines()
    others = ['1,91,300,300,20,20,1,7,1', '2,91,300,300,20,20,1,7,1', '1,92,300,10,20,20,0,1,1']
    wide = [','.join([*line.split(',')[:6], '1', '1', '1']) for line in lines] + others
    (sequence / 'gt.txt').write_text('\n'.join(wide) + '\n', encoding='utf-8')
    assert evaluate_mot(sequence) == 0
    out = capsys.readouterr().out
    assert 'not scored: 1 with flag 0 (column 7), 2 with class 7 (column 8)' in out


def test_boxes_as_fractions_of_the_image_are_told(sequence, capsys):
    table = MotTable.read(sequence / 'det.txt')
    MotTable.of(table.frame, table.id, table.box / [640, 480, 640, 480], table.confidence).write(
        sequence / 'det.txt'
    )
    assert evaluate_mot(sequence) == 2
    assert 'det.txt' in (error := capsys.readouterr().err)
    assert 'fractions of the image?' in error


def test_boxes_given_by_their_corners_are_told(sequence, capsys):
    table = MotTable.read(sequence / 'det.txt')
    corners = np.concatenate([table.box[:, :2], table.box[:, :2] + table.box[:, 2:]], axis=1)
    MotTable.of(table.frame, table.id, corners, table.confidence).write(sequence / 'det.txt')
    assert evaluate_mot(sequence) == 0
    assert 'x1,y1,x2,y2' in capsys.readouterr().out


@pytest.mark.slow
def test_one_stray_frame_number_is_said_and_costs_no_time(sequence, capsys):
    evaluate_mot(sequence, '--json', str(sequence / 'usual.json'))
    with open(sequence / 'gt.txt', 'a', encoding='utf-8') as stream:
        stream.write('999999,1,53,110,40,100,1\n')
    started = time.process_time()
    assert evaluate_mot(sequence, '--json', str(sequence / 'far.json')) == 0
    assert time.process_time() - started < 90.0, (
        'a step for each of a million frames took half an hour'
    )
    assert 'is 999999 a slip?' in capsys.readouterr().out
    usual, far = (json.loads((sequence / name).read_text()) for name in ('usual.json', 'far.json'))
    assert far['matches'] == usual['matches'] and far['misses'] == usual['misses'] + 1


def test_frames_passed_over_change_no_track():
    """People who come back after a long pause, with frames between them in which nothing is."""
    early = walkers(frames=20)
    late = MotTable.of(early.frame + 1500, early.id, early.box)
    pause = MotTable.of(
        *(np.concatenate([getattr(early, n), getattr(late, n)]) for n in ('frame', 'id', 'box'))
    )
    camera = image_of(SequenceInfo(25.0, 1920, 1080), early)
    alone = track_boxes(early, camera, 20).tracks
    both = track_boxes(pause, camera, 1520)
    first = both.tracks.take(both.tracks.frame <= 20)
    again = both.tracks.take(both.tracks.frame > 1500)
    np.testing.assert_allclose(first.box, alone.box)
    np.testing.assert_allclose(again.box, alone.box)
    np.testing.assert_array_equal(again.frame - 1500, alone.frame)
    assert len(both.step_s) < 800, 'most of the pause takes no step'


def test_help_teaches_and_the_older_verb_still_works(capsys):
    for words in (['evaluate', 'mot', '--help'], ['evaluate', '--help']):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
    text = capsys.readouterr().out
    assert 'evaluate mot --detections' in text and 'TRACKS' in text
