# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit against cases worked out by hand, and against their definitions."""

import itertools
import json

import numpy as np
import pytest
from table_scenes import EAST, NORTH, WEST, moved, still, track_table, truth_table, two_people

from av_perception.errors import UserError
from av_perception.evaluation.frames import align, select_rows
from av_perception.evaluation.metrics import evaluate
from av_perception.evaluation.tracking_metrics import clear_and_identity, match, ospa, similarities
from av_perception.recording import TrackTable


def test_perfect_tracks():
    scores = evaluate(track_table(two_people()), truth_table(two_people()))
    assert (scores.mota, scores.idf1, scores.motp_m, scores.ospa_m, scores.position_rmse_m) == (
        1,
        1,
        0,
        0,
        0,
    )
    assert (scores.id_switches, scores.misses, scores.false_positives, scores.fragments) == (
        0,
        0,
        0,
        0,
    )
    assert scores.azimuth_error_deg == 0 and scores.ids_kept == {1: True, 2: True}


def test_one_miss():
    rows = two_people()
    scores = evaluate(track_table(rows[:4] + rows[5:]), truth_table(rows))
    assert scores.misses == 1 and scores.false_positives == 0 and scores.fragments == 1
    assert scores.mota == pytest.approx(1 - 1 / 20)
    assert scores.idf1 == pytest.approx(2 * 19 / (2 * 19 + 1))
    assert scores.ospa_m == pytest.approx(
        np.sqrt(1 / 2) / 10
    )  # one frame of ten: one of two people, cutoff 1 m
    assert scores.ids_kept == {1: True, 2: True}


def test_one_false_positive():
    scores = evaluate(track_table(two_people() + [(3, 9, EAST)]), truth_table(two_people()))
    assert scores.misses == 0 and scores.false_positives == 1
    assert scores.mota == pytest.approx(1 - 1 / 20)
    assert scores.ospa_m == pytest.approx(np.sqrt(1 / 3) / 10)


def test_an_id_switch():
    tracks = still(1, NORTH, range(4)) + still(7, NORTH, range(4, 10))
    scores = evaluate(track_table(tracks), truth_table(still(1, NORTH, range(10))))
    assert scores.id_switches == 1
    assert scores.mota == pytest.approx(0.9)
    assert scores.idf1 == pytest.approx(0.6)
    coverage = scores.people[1]
    assert not coverage.kept
    assert coverage.track_id == 7
    assert coverage.share == pytest.approx(0.6)
    assert coverage.id_switches == 1


def test_swapped_ids_count_for_both_people():
    swapped = (
        still(1, NORTH, range(5))
        + still(2, WEST, range(5))
        + still(2, NORTH, range(5, 10))
        + still(1, WEST, range(5, 10))
    )
    scores = evaluate(track_table(swapped), truth_table(two_people()))
    assert scores.id_switches == 2
    assert scores.mota == pytest.approx(1 - 2 / 20)
    assert scores.idf1 == pytest.approx(0.5)
    assert scores.ids_kept == {1: False, 2: False}
    assert scores.misses == scores.false_positives == 0


def test_a_person_covered_for_less_than_four_fifths_is_not_kept():
    kept, lost = (
        evaluate(track_table(still(3, NORTH, range(n))), truth_table(still(1, NORTH, range(10))))
        for n in (8, 7)
    )
    assert kept.ids_kept == {1: True} and lost.ids_kept == {1: False}
    assert kept.people[1].share == pytest.approx(0.8) and lost.id_switches == 0


def test_a_person_whose_id_changed_once_is_not_kept():
    scores = evaluate(
        track_table(still(3, NORTH, range(9)) + still(4, NORTH, [9])),
        truth_table(still(1, NORTH, range(10))),
    )
    assert scores.people[1].share == pytest.approx(0.9) and scores.ids_kept == {1: False}


def test_ids_are_kept_if_they_cover_the_visible_frames():
    truth = truth_table(
        still(1, NORTH, range(5), False, True) + still(1, NORTH, range(5, 10), False, False)
    )
    assert evaluate(track_table(still(3, NORTH, range(5))), truth).ids_kept == {1: True}
    assert evaluate(track_table(still(3, NORTH, range(5, 10))), truth).ids_kept == {1: False}


def test_empty_tracks():
    scores = evaluate(track_table([]), truth_table(two_people()))
    assert scores.mota == 0
    assert scores.idf1 == 0
    assert scores.misses == 20
    assert scores.ospa_m == 1
    assert scores.motp_m is None
    assert scores.position_rmse_m is None
    assert scores.azimuth_error_deg is None
    assert scores.ids_kept == {1: False, 2: False}


def test_empty_truth():
    scores = evaluate(track_table(two_people()), truth_table([]))
    assert scores.mota is None
    assert scores.false_positives == 20
    assert scores.der is None
    assert scores.ids_kept == {}
    assert evaluate(track_table([]), truth_table([])).mota is None


@pytest.mark.parametrize('distance', [0.0, 0.2, 0.499])
def test_motp_and_rmse_are_meters(distance):
    rows = still(1, NORTH, range(6))
    scores = evaluate(
        track_table([(f, i, moved(p, (0, 0, distance))) for f, i, p in rows]), truth_table(rows)
    )
    assert scores.motp_m == pytest.approx(distance, abs=1e-12)
    assert scores.position_rmse_m == pytest.approx(distance)


def test_the_match_distance_is_the_threshold():
    near, far = (track_table(still(1, moved(NORTH, (by, 0, 0)), range(3))) for by in (0.39, 0.41))
    truth = truth_table(still(1, NORTH, range(3)))
    assert evaluate(near, truth, match_distance_m=0.4).mota == 1
    beyond = evaluate(far, truth, match_distance_m=0.4)
    assert beyond.mota == -1
    assert beyond.misses == beyond.false_positives == 3


def test_rmse_and_azimuth_of_unequal_errors():
    tracks = [(0, 1, moved(NORTH, (0.3, 0, 0))), (1, 1, (2 * np.cos(0.2), 2 * np.sin(0.2), 0))]
    scores = evaluate(track_table(tracks), truth_table(still(1, NORTH, range(2))))
    assert scores.position_rmse_m == pytest.approx(np.sqrt((0.3**2 + (4 * np.sin(0.1)) ** 2) / 2))
    assert (
        scores.azimuth_error_deg
        == pytest.approx(np.degrees(0.2) / 2)
        == scores.azimuth_error_median_deg
    )


def test_azimuth_error_over_the_back_is_small():
    at = np.radians([179, -179])
    behind = [(2 * np.cos(a), 2 * np.sin(a), 0) for a in at]
    scores = evaluate(
        track_table(still(1, behind[0], range(3))), truth_table(still(1, behind[1], range(3)))
    )
    assert scores.azimuth_error_deg == pytest.approx(2)


def test_seen_and_only_heard_people_apart():
    truth = still(1, NORTH, range(10), False, True) + still(2, WEST, range(10), False, False)
    tracks = still(1, moved(NORTH, (0.1, 0, 0)), range(10)) + still(
        2, moved(WEST, (0, 0.3, 0)), range(6)
    )
    tracks += still(3, moved(WEST, (0.7, 0, 0)), range(2))
    scores = evaluate(track_table(tracks), truth_table(truth))
    assert scores.seen.mota == 1 and scores.seen.position_rmse_m == pytest.approx(0.1)
    assert scores.heard_only.truth_rows == 10
    assert scores.heard_only.misses == 4
    assert scores.heard_only.false_positives == 2
    assert scores.heard_only.position_rmse_m == pytest.approx(0.3)
    assert scores.misses == 4 and scores.false_positives == 2


def test_a_match_goes_with_its_person_though_another_is_nearer_in_direction():
    """A seen person stands before an unseen one, whose estimate is on the line to the first."""
    far = (4 * np.cos(0.1), 4 * np.sin(0.1), 0)
    truth = still(1, NORTH, range(5), False, True) + still(2, far, range(5), False, False)
    scores = evaluate(
        track_table(still(1, NORTH, range(5)) + still(2, (4.0, 0.0, 0.0), range(5))),
        truth_table(truth),
    )
    assert scores.heard_only.mota == 1 and scores.seen.mota == 1


def test_azimuth_error_while_speaking():
    truth = still(1, NORTH, range(5), True) + still(1, NORTH, range(5, 10), False)
    aside = (2 * np.cos(0.1), 2 * np.sin(0.1), 0)
    scores = evaluate(
        track_table(still(1, NORTH, range(5)) + still(1, aside, range(5, 10))), truth_table(truth)
    )
    assert scores.azimuth_error_speaking_deg == 0
    assert scores.azimuth_error_deg == pytest.approx(np.degrees(0.05))


def test_right_direction_at_the_wrong_range_is_matched_by_direction():
    scores = evaluate(
        track_table(still(1, (1.0, 0.0, 0.0), range(5), True)),
        truth_table(still(1, NORTH, range(5), True, False)),
    )
    assert scores.heard_only.mota == -1 and scores.heard_only.azimuth_error_deg is None
    section = scores.by_direction['heard_only']
    assert section.mota == 1
    assert section.azimuth_error_deg == 0
    assert section.motp_m is None
    assert section.position_rmse_m == pytest.approx(1)


@pytest.mark.parametrize('offset', [0.0, 0.019, -0.019, 0.02])
def test_stamps_off_by_up_to_half_a_frame_match(offset):
    scores = evaluate(track_table(two_people(), offset), truth_table(two_people()))
    assert scores.mota == 1 and scores.unscored_rows == 0


def test_rows_outside_of_the_truth_are_not_scored():
    tracks = track_table(still(1, NORTH, range(-5, 15)))
    scores = evaluate(tracks, truth_table(still(1, NORTH, range(10))))
    assert scores.mota == 1 and scores.unscored_rows == 10


@pytest.mark.parametrize('offset, scored', [(0.5, 1), (0.6, 0), (-0.5, 1), (-0.6, 0)])
def test_a_row_may_be_half_a_frame_off_the_last_frame(offset, scored):
    at = (0 if offset < 0 else 9) + offset
    assert (
        evaluate(track_table([(at, 1, NORTH)]), truth_table(still(1, NORTH, range(10)))).matches
        == scored
    )


def test_the_nearest_of_several_rows_of_a_frame_counts():
    truth = truth_table(still(1, NORTH, range(5)))
    fine = track_table([(f, 1, NORTH) for f in range(5)] + [(f + 0.3, 1, EAST) for f in range(5)])
    scores = evaluate(fine, truth)
    assert scores.mota == 1 and scores.unscored_rows == 5


def test_a_truth_without_rows_is_an_empty_room_in_which_ghosts_count():
    """Regression: only frames with a ghost were frames of an empty room."""
    asleep = track_table(still(1, NORTH, range(10)), status='sleeping')
    ghost = track_table(still(2, WEST, range(4), True))
    tracks = TrackTable(
        **{
            name: np.concatenate([getattr(asleep, name), getattr(ghost, name)])
            for name in vars(asleep)
        }
    )
    scores = evaluate(tracks, truth_table([]))
    assert scores.num_frames == 10
    assert scores.duration_s == pytest.approx(0.4)
    assert scores.false_positives == scores.seen.false_positives == 4
    assert scores.unscored_rows == 10
    assert scores.ospa_m == 1
    assert scores.diarization.false_alarm_s == pytest.approx(4 * 0.04)
    assert scores.mota is None
    assert scores.lost_images == 0


def test_images_of_an_empty_room_are_those_that_were_answered():
    ghost = track_table(still(2, WEST, range(4)))
    scores = evaluate(ghost, truth_table([]), answered_s=np.arange(25) * 0.04)
    assert scores.num_frames == 25
    assert scores.false_positives == 4


def test_images_without_a_track_row_are_held_for_a_fifth_of_a_second_and_then_lost():
    truth = truth_table(still(1, NORTH, range(25)))
    scores = evaluate(track_table(still(1, NORTH, [*range(10), 20, 21])), truth)
    assert scores.held_images == 5 + 3
    assert scores.lost_images == 5
    assert scores.misses == 13, 'a place that was not said is missed, held or not'


def test_images_in_which_nobody_was_found_are_not_lost():
    """A frame without anybody writes no row: its time alone says that there was one."""
    truth = truth_table(still(1, NORTH, range(25)))
    tracks = track_table(still(1, NORTH, range(5, 10)))
    times = np.arange(25) * 0.04
    assert evaluate(tracks, truth, answered_s=times).lost_images == 0
    assert evaluate(tracks, truth, answered_s=times[:20]).held_images == 5
    assert evaluate(tracks, truth, answered_s=times[2:15]).lost_images == 2 + 5
    assert evaluate(tracks, truth).lost_images == 10, 'before the first row nobody was found yet'


def test_images_whose_tracks_all_sleep_are_not_lost():
    truth = truth_table(still(1, NORTH, range(25)))
    scores = evaluate(track_table(still(1, NORTH, range(25)), status='sleeping'), truth)
    assert scores.lost_images == scores.held_images == 0


def test_ghosts_while_nobody_is_there_are_counted():
    truth = truth_table(still(1, NORTH, range(5)) + still(1, NORTH, range(15, 20)))
    scores = evaluate(track_table(still(1, NORTH, range(20))), truth)
    assert scores.false_positives == 10 and scores.num_frames == 20


@pytest.mark.parametrize('status', ['tentative', 'sleeping'])
def test_only_active_tracks_are_output(status):
    scores = evaluate(track_table(two_people(), status=status), truth_table(two_people()))
    assert scores.misses == 20
    assert scores.false_positives == 0
    assert scores.unscored_rows == 20


def test_nan_rows_of_tracks_are_not_scored():
    rows = two_people()
    rows[3] = (rows[3][0], rows[3][1], (np.nan, 0, 0))
    scores = evaluate(track_table(rows), truth_table(two_people()))
    assert scores.misses == 1 and scores.unscored_rows == 1


def test_bad_truth_and_bad_options_are_refused():
    twice = truth_table(two_people() + [(3, 1, EAST)])
    with pytest.raises(UserError, match='person 1 twice at 0.120 s'):
        evaluate(track_table([]), twice)
    with pytest.raises(UserError, match='not finite'):
        evaluate(track_table([]), truth_table([(0, 1, (np.inf, 0, 0))]))
    with pytest.raises(UserError, match='hole'):
        align(track_table([]), truth_table(still(1, NORTH, [0, 1, 2, 3e8])))
    for options in (
        {'match_distance_m': 0},
        {'match_distance_m': np.nan},
        {'match_angle_deg': -1},
        {'ospa_cutoff_m': 0},
        {'collar_s': -1},
    ):
        with pytest.raises(ValueError):
            evaluate(track_table([]), truth_table(two_people()), **options)


def random_scene(seed, frames=60, people=4):
    random = np.random.default_rng(seed)
    truth = [
        (f, p, random.uniform(-1, 1, 3))
        for f in range(frames)
        for p in range(people)
        if random.random() < 0.9
    ]
    tracks = [
        (f, (p + (f > 30)) % people + 10, pos + random.normal(0, 0.25, 3))
        for f, p, pos in truth
        if random.random() < 0.9
    ]
    tracks += [(f, 50, random.uniform(-1, 1, 3)) for f in range(0, frames, 3)]
    return align(track_table(tracks), truth_table(truth))


@pytest.mark.parametrize('seed', range(5))
def test_own_matching_is_trackevals(seed):
    """The pairs behind RMSE and azimuth are those behind MOTA.

    Their number is the same, the mean distance and the switches.
    """
    frames = random_scene(seed)
    pairs, counts = (
        match(frames, frames.distances_m, 0.5),
        clear_and_identity(similarities(frames, frames.distances_m, 0.5)),
    )
    assert len(pairs.distance) == counts['matches']
    assert pairs.distance.mean() == pytest.approx(1 - counts['mean_similarity'])
    switches = 0
    for person in np.unique(frames.truth.id):
        switches += np.count_nonzero(
            np.diff(frames.tracks.id[pairs.track_row[frames.truth.id[pairs.truth_row] == person]])
        )
    assert switches == counts['id_switches'] > 0


def ospa_by_permutations(distance, cutoff, order):
    small, large = (
        (distance, distance.shape[1])
        if distance.shape[0] <= distance.shape[1]
        else (distance.T, distance.shape[0])
    )
    best = min(
        sum(min(cutoff, small[i, j]) ** order for i, j in enumerate(chosen))
        for chosen in itertools.permutations(range(large), small.shape[0])
    )
    return ((best + cutoff**order * (large - small.shape[0])) / large) ** (1 / order)


@pytest.mark.parametrize('shape', [(1, 1), (3, 3), (2, 5), (5, 2), (0, 3), (4, 0)])
@pytest.mark.parametrize('order', [1, 2])
def test_ospa_is_its_definition(shape, order):
    random = np.random.default_rng(sum(shape))
    for _ in range(5):
        distance = random.uniform(0, 1.6, shape)
        assert ospa(distance, 1.0, order) == pytest.approx(
            ospa_by_permutations(distance, 1.0, order)
        )


def test_ospa_of_two_empty_sets_is_zero():
    assert ospa(np.zeros((0, 0)), 1.0) == 0


@pytest.mark.parametrize(
    'tracks, truth',
    [(two_people(), two_people()), ([], two_people()), (two_people(), []), ([], [])],
)
def test_json_is_safe_and_complete(tracks, truth):
    content = evaluate(track_table(tracks), truth_table(truth)).to_dict()
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again == content
    keys = {
        'mota',
        'motp_m',
        'idf1',
        'id_switches',
        'ospa_m',
        'position_rmse_m',
        'azimuth_error_deg',
        'der',
    }
    for section in (
        content,
        content['seen'],
        content['heard_only'],
        content['by_direction']['all'],
    ):
        assert keys <= set(section)


def test_order_of_rows_does_not_matter():
    frames = random_scene(3)
    shuffled = np.random.default_rng(1).permutation
    tracks = select_rows(frames.tracks, shuffled(len(frames.tracks)))
    truth = select_rows(frames.truth, shuffled(len(frames.truth)))
    assert evaluate(tracks, truth) == evaluate(frames.tracks, frames.truth)


def test_nothing_is_printed(capfd):
    evaluate(track_table(two_people()), truth_table(two_people()))
    assert capfd.readouterr() == ('', '')
