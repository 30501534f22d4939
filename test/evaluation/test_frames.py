# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Truth and tracks on one grid of frames: which row belongs where, and which counts at all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from table_scenes import NORTH, PERIOD, WEST, still, track_table, truth_table, two_people

from av_perception.errors import UserError
from av_perception.evaluation.diarization import assigned_people
from av_perception.evaluation.frames import DEFAULT_PERIOD_S, align, select_rows
from av_perception.evaluation.metrics import evaluate
from av_perception.evaluation.tracking_metrics import (
    match,
    mean_ospa,
    ospa,
    similarity,
)


def times_of(frames):
    return np.round(frames.time_s, 9).tolist()


def test_holes_in_the_truth_are_frames_at_the_same_spacing():
    truth = truth_table(still(1, NORTH, [0, 1, 2, 5, 6, 10]))
    frames = align(track_table([]), truth)
    np.testing.assert_allclose(frames.time_s, np.arange(11) * PERIOD, atol=1e-9)
    assert frames.period_s == pytest.approx(PERIOD)
    assert frames.truth_frame.tolist() == [0, 1, 2, 5, 6, 10]
    assert [truth.stop - truth.start for truth, _ in frames.rows] == [
        1,
        1,
        1,
        0,
        0,
        1,
        1,
        0,
        0,
        0,
        1,
    ]


def test_stamps_that_jitter_by_less_than_half_a_period_make_no_hole():
    random = np.random.default_rng(0)
    truth = truth_table(still(1, NORTH, np.arange(50) + random.uniform(-0.2, 0.2, 50)))
    frames = align(track_table([]), truth)
    assert len(frames.time_s) == 50 and frames.truth_frame.tolist() == list(range(50))


def test_people_of_one_frame_share_it_though_their_stamps_differ_in_the_last_digit():
    rows = [(0, 1, NORTH), (4e-7 / PERIOD, 2, WEST), (1, 1, NORTH), (1, 2, WEST)]
    frames = align(track_table([]), truth_table(rows))
    assert len(frames.time_s) == 2 and frames.truth_frame.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize('rows', [[], still(1, NORTH, [3])])
def test_one_frame_or_none_has_the_usual_period(rows):
    frames = align(track_table([]), truth_table(rows))
    assert frames.period_s == DEFAULT_PERIOD_S and len(frames.time_s) == len(rows)


def test_a_hole_of_a_million_frames_is_asked_about():
    truth = truth_table(still(1, NORTH, [0, 1, 2, 2_000_000]))
    with pytest.raises(UserError, match='a hole of 80000 s at a frame period of 0.04 s: are its'):
        align(track_table([]), truth)


@pytest.mark.parametrize(
    'offset, frame', [(0.0, 3), (0.49, 3), (-0.49, 3), (0.51, 4), (-0.51, 2), (0.5, 3), (-0.5, 2)]
)
def test_a_track_row_belongs_to_the_nearest_frame_and_half_way_to_the_earlier(offset, frame):
    frames = align(track_table([(3 + offset, 7, NORTH)]), truth_table(still(1, NORTH, range(10))))
    assert frames.track_frame.tolist() == [frame] and frames.unscored == 0


def test_of_several_rows_of_an_id_in_a_frame_the_nearest_in_time_counts():
    rows = [(2.3, 7, NORTH), (1.9, 7, WEST), (2.2, 7, NORTH), (2.3, 8, NORTH)]
    frames = align(track_table(rows), truth_table(still(1, NORTH, range(5))))
    assert frames.tracks.id.tolist() == [7, 8] and frames.track_frame.tolist() == [2, 2]
    assert frames.tracks.position[0].tolist() == list(WEST) and frames.unscored == 2


@pytest.mark.parametrize('seed', range(5))
def test_every_row_is_scored_once_or_counted_as_unscored(seed):
    random = np.random.default_rng(seed)
    rows = [
        (random.uniform(-3, 13), int(random.integers(1, 4)), random.normal(size=3))
        for _ in range(60)
    ]
    tracks = track_table(rows)
    status = random.choice(['active', 'sleeping', 'tentative'], 60)
    object.__setattr__(tracks, 'status', status)
    frames = align(tracks, truth_table(two_people()))
    assert len(frames.tracks) + frames.unscored == 60
    assert (frames.tracks.status == 'active').all()
    keys = list(zip(frames.track_frame.tolist(), frames.tracks.id.tolist()))
    assert len(set(keys)) == len(keys) and keys == sorted(keys)
    late = np.abs(frames.tracks.time_s - frames.time_s[frames.track_frame])
    assert (late <= PERIOD / 2 + 1e-6).all()


def test_distances_and_angles_of_a_frame_by_hand():
    truth = truth_table([(0, 1, (3.0, 4.0, 0.0)), (0, 2, (0.0, 0.0, 2.0))])
    tracks = track_table([(0, 9, (3.0, 4.0, 1.0)), (0, 8, (-4.0, 3.0, 0.0))])
    frames = align(tracks, truth)
    (distances,), (angles,) = frames.distances_m, frames.angles_deg
    np.testing.assert_allclose(distances, [[np.sqrt(50), 1], [np.sqrt(29), np.sqrt(26)]])
    assert frames.tracks.id.tolist() == [8, 9]
    elevation = np.degrees(np.arctan2(1, 5))
    np.testing.assert_allclose(angles, [[90, elevation], [90, 90 - elevation]])


def test_a_selection_keeps_the_frames_and_their_times():
    frames = align(track_table(two_people()), truth_table(two_people()))
    first = frames.select(frames.truth.id == 1, frames.tracks.id == 2)
    assert times_of(first) == times_of(frames) and len(first.truth) == len(first.tracks) == 10
    assert set(first.truth.id.tolist()) == {1} and set(first.tracks.id.tolist()) == {2}
    assert all(distance.shape == (1, 1) for distance in first.distances_m)


def test_rows_are_taken_in_the_order_asked_for():
    table = truth_table(two_people(2))
    assert select_rows(table, [3, 0]).id.tolist() == [table.id[3], table.id[0]]
    assert len(select_rows(table, np.zeros(4, bool))) == 0


@pytest.mark.parametrize('gate', [0.5, 15.0])
def test_similarity_is_one_at_the_place_and_half_at_the_gate(gate):
    distances = gate * np.array([0, 0.5, 1, 1.5, 2, 5])
    np.testing.assert_allclose(similarity(distances, gate), [1, 0.75, 0.5, 0.25, 0, 0])


def test_a_pair_stays_together_though_another_comes_nearer():
    places = [(2.0, 0.0, 0.0), (2.0, 0.1, 0.0)]
    rows = [(0, 7, places[0]), (1, 7, (2.0, 0.4, 0.0)), (1, 8, (2.0, 0.05, 0.0))]
    frames = align(track_table(rows), truth_table(still(1, places[0], range(2))))
    pairs = match(frames, frames.distances_m, 0.5)
    assert frames.tracks.id[pairs.track_row].tolist() == [7, 7]
    assert pairs.distance.tolist() == pytest.approx([0, 0.4])
    # Beyond the gate it is given up.
    rows[1] = (1, 7, (2.0, 0.51, 0.0))
    frames = align(track_table(rows), truth_table(still(1, places[0], range(2))))
    pairs = match(frames, frames.distances_m, 0.5)
    assert frames.tracks.id[pairs.track_row].tolist() == [7, 8]


def test_who_a_track_stands_for_between_its_matches():
    far = (9.0, 9.0, 0.0)
    places = [far, NORTH, far, WEST, far, far]
    tracks = track_table([(frame, 7, place) for frame, place in enumerate(places)])
    frames = align(tracks, truth_table(two_people(6)))
    people = assigned_people(frames, match(frames, frames.distances_m, 0.5))
    assert people.tolist() == [1, 1, 1, 2, 2, 2]
    # While the person is matched to another id, the track is a ghost.
    rows = [(0, 7, NORTH), (1, 7, far), (1, 8, NORTH), (2, 7, far), (3, 7, far), (3, 8, NORTH)]
    frames = align(track_table(rows), truth_table(two_people(6)))
    people = assigned_people(frames, match(frames, frames.distances_m, 0.5))
    by_row = dict(zip(zip(frames.track_frame.tolist(), frames.tracks.id.tolist()), people))
    assert [by_row[0, 7], by_row[1, 8], by_row[3, 8]] == [1, 1, 1]
    assert [by_row[1, 7], by_row[2, 7], by_row[3, 7]] == [-1, -1, -1]
    stranger = align(track_table(still(9, far, range(3))), truth_table(two_people(6)))
    assert (
        assigned_people(stranger, match(stranger, stranger.distances_m, 0.5)).tolist() == [-1] * 3
    )


def set_distance(a, b, cutoff=1.0):
    return ospa(np.linalg.norm(a[:, None] - b[None], axis=-1), cutoff)


@pytest.mark.parametrize('seed', range(5))
def test_ospa_is_a_metric_of_sets(seed):
    random = np.random.default_rng(seed)
    sets = [random.uniform(0, 1.5, (random.integers(0, 4), 2)) for _ in range(6)]
    for a, b, c in itertools.permutations(sets, 3):
        assert 0 <= set_distance(a, b) <= 1
        assert set_distance(a, b) == pytest.approx(set_distance(b, a))
        assert set_distance(a, c) <= set_distance(a, b) + set_distance(b, c) + 1e-12
    for a in sets:
        assert set_distance(a, a) == 0
        assert set_distance(a, random.permutation(a)) == pytest.approx(0)


def test_each_missing_person_costs_the_cutoff():
    people = np.array([[0.0, 0.0], [5.0, 0.0], [9.0, 0.0]])
    for found in range(4):
        expected = 2.0 * np.sqrt((3 - found) / 3)
        assert set_distance(people, people[:found], 2.0) == pytest.approx(expected)
    assert mean_ospa([np.zeros((0, 0))], 1.0) is None
    assert mean_ospa([np.zeros((0, 0)), np.zeros((1, 0)), np.zeros((1, 1))], 1.0) == 0.5


@pytest.mark.parametrize('shift', [0.0, 1000.0, -50.0])
def test_figures_do_not_depend_on_where_the_clock_began(shift):
    random = np.random.default_rng(1)
    tracks = track_table(
        [(frame, 1, NORTH + random.normal(size=3) * 0.3) for frame in range(20)], offset_s=shift
    )
    truth = truth_table(still(1, NORTH, range(20), True))
    object.__setattr__(truth, 'time_s', truth.time_s + shift)
    here = evaluate(tracks, truth)
    object.__setattr__(truth, 'time_s', truth.time_s - shift)
    object.__setattr__(tracks, 'time_s', tracks.time_s - shift)
    there = evaluate(tracks, truth)
    assert (here.mota, here.idf1, here.misses) == (there.mota, there.idf1, there.misses)
    assert here.position_rmse_m == pytest.approx(there.position_rmse_m)
