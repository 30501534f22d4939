# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of planted crossings, on a few of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from av_perception.benchmarks.comparison import GNN, OURS, SORT
from av_perception.benchmarks.crossing_faces import CrossingResult, measure, staged, summarize
from av_perception.benchmarks.disturbed_crossings import disturbed, measure_disturbed, spreads
from av_perception.cli.main import main


def result(tracker, mota, ghost_s, kind='behind', right_ids=True):
    return CrossingResult(kind, 0, tracker, mota, 0.9, 0.1, 1.0, 0.02, ghost_s, right_ids)


def test_a_summary_has_means_spreads_and_the_oldest_ghost():
    results = [result('a', 0.9, 0.1), result('a', 1.0, 0.4, right_ids=False)]
    results += [result('b', 0.5, 0.0), result('a', 0.8, 0.2, kind='dark')]
    rows = {(row['kind'], row['tracker']): row for row in summarize(results)}
    assert list(rows) == [
        ('behind', 'a'),
        ('behind', 'b'),
        ('dark', 'a'),
        ('all', 'a'),
        ('all', 'b'),
    ]
    behind = rows['behind', 'a']
    assert behind['mota'] == pytest.approx(0.95) and behind['mota_sd'] == pytest.approx(0.05)
    assert behind['oldest_ghost_s'] == 0.4 and behind['right_ids'] == 0.5
    assert rows['all', 'a']['mota'] == pytest.approx(0.9) and rows['all', 'a']['scenes'] == 3


@pytest.mark.slow
def test_we_are_ahead_of_a_simple_tracker_where_somebody_stops_hidden():
    results = {
        row['tracker']: row
        for row in summarize(list(measure(['stop_hidden'], [1000], (OURS, SORT))))
    }
    ours, simple = results[OURS], results[SORT]
    assert ours['mota'] > simple['mota'] and ours['idf1'] > simple['idf1']
    assert ours['oldest_ghost_s'] <= 0.5 and ours['right_ids'] == 1.0


@pytest.mark.slow
def test_a_stranger_with_another_look_is_somebody_new():
    (found,) = measure(['stranger'], [51], (OURS,))
    assert found.right_ids and found.switches_per_minute == 0


@pytest.mark.slow
def test_the_command_writes_scenes_and_summary(tmp_path, monkeypatch):
    monkeypatch.setenv('COLUMNS', '150')
    figures = tmp_path / 'crossings.json'
    arguments = ['--alone', '--seeds', '1', '--kinds', 'child', '--json', str(figures)]
    assert main(['benchmark', 'crossings', *arguments]) == 0
    written = json.loads(figures.read_text())
    assert [row['kind'] for row in written['summary']] == ['child', 'all']
    assert written['scenes'][0]['seed'] == 1000 and written['scenes'][0]['mota'] > 0.9


@pytest.mark.slow
def test_earlier_figures_of_peers_stand_for_those_of_the_same_scene_only():
    (sort,) = measure(['child'], [7], (SORT,))
    slow = dataclasses.replace(sort, tracker=GNN, mota=0.5)
    assert list(measure(['child'], [7], (GNN, SORT), known=[sort, slow])) == [slow, sort]
    other = dataclasses.replace(sort, mota=0.25)
    assert list(measure(['child'], [7], (SORT,), known=[other, slow])) == [sort]


def test_a_disturbance_moves_every_face_by_about_a_pixel_at_its_depth():
    case = staged('child', 3)
    moved = disturbed(case.scene, case.camera, 1)
    pairs = [
        pair
        for images in zip(case.scene.images, moved.images)
        for pair in zip(*(image.faces for image in images))
    ]
    shifts = np.array([after.box[:2] - before.box[:2] for before, after in pairs])
    assert shifts.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.1)
    places = [[case.camera.project(face.position) for face in pair] for pair in pairs]
    np.testing.assert_allclose(np.diff(places, axis=1)[:, 0], shifts, atol=1e-9)
    assert all(after.position[2] == before.position[2] for before, after in pairs)
    assert disturbed(case.scene, case.camera, 0) is case.scene


@pytest.mark.slow
def test_the_first_run_is_undisturbed_and_the_others_differ():
    ((first, second),) = measure_disturbed(['child'], [7], 1)
    (alone,) = measure(['child'], [7], (OURS,))
    assert first == alone and second != alone


def test_the_spread_is_that_within_scenes_and_the_worst_of_all_runs():
    scenes = [
        [result(OURS, 0.9, 0.1), result(OURS, 0.7, 0.4, right_ids=False)],
        [result(OURS, 1.0, 0.2), result(OURS, 1.0, 0.0)],
    ]
    (spread,) = spreads(scenes)
    assert (spread.scenes, spread.runs) == (2, 2)
    assert spread.mota_sd == pytest.approx(0.05) and spread.worst_mota == 0.7
    assert spread.oldest_ghost_s == 0.4 and spread.right_ids == 0.75


@pytest.mark.parametrize('content', ['', '{}', '{"scenes": [{"mota": 1}]}'])
def test_figures_of_something_else_are_refused(content, tmp_path, capsys):
    figures = tmp_path / 'figures.json'
    figures.write_text(content)
    assert main(['benchmark', 'crossings', '--alone', '--update', str(figures)]) == 2
    assert 'holds no figures of `benchmark crossings`' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments', [['--seeds', '0'], ['--first-seed', '-1'], ['--disturb', '-1']]
)
def test_senseless_numbers_are_refused(arguments, capsys):
    assert main(['benchmark', 'crossings', *arguments]) == 2
    assert 'must lie in' in capsys.readouterr().err
