# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""When tracks are confirmed, sleep, wake and die, to the very nanosecond; and sets of tracks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from av_perception.interfaces import LifeState
from av_perception.tracking.state_space.interface import View
from av_perception.tracking.track_management.life_cycle import LifeConfig, LifeCycle
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth

SECOND = 10**9
START = 1000 * SECOND
TENTATIVE, ACTIVE, SLEEPING = (
    int(state) for state in (LifeState.TENTATIVE, LifeState.ACTIVE, LifeState.SLEEPING)
)


def seen_tracks(count=1, state=ACTIVE, stamp_ns=START):
    """Tracks of people who were seen at a moment."""
    tracks = TrackSet.from_faces(
        range(1, count + 1),
        np.arange(6.0 * count).reshape(count, 6),
        np.tile(np.eye(6), (count, 1, 1)),
        np.zeros((count, 0)),
        np.ones((count, 4)),
        stamp_ns,
    )
    tracks.state[:] = state
    return tracks


def heard_tracks(count=1, stamp_ns=START):
    return TrackSet.from_voices(
        range(1, count + 1), np.zeros((count, 6)), np.tile(np.eye(6), (count, 1, 1)), stamp_ns
    )


def forward(visible, masses, stay, rate):
    """Probability of being in view by Bayes' rule on the two states, written out."""
    belief = np.array([visible, 1 - visible])
    transition = np.array([[stay, 1 - stay], [1 - stay, stay]])
    for mass in masses:
        likelihood = np.array([1 - math.exp(-rate * mass) + 0.05, math.exp(-rate * mass)])
        belief = likelihood * (transition.T @ belief)
        belief /= belief.sum()
    return belief[0]


@pytest.mark.parametrize('masses', [[0.0], [1.0], [0.0, 0.0, 1.0, 0.3], [0.02] * 10, [5.0, 0.0]])
def test_visibility_is_the_filter_of_two_states(masses):
    life = LifeCycle(LifeConfig(visible_persistence=0.8, visible_rate=2.0))
    tracks = seen_tracks()
    tracks.visibility[:] = 0.6
    for image, mass in enumerate(masses):
        life.update_visibility(tracks, np.array([mass]), START + image)
    assert tracks.visibility[0] == pytest.approx(forward(0.6, masses, 0.8, 2.0))


def test_who_has_more_than_half_of_a_face_is_seen():
    life = LifeCycle(LifeConfig())
    tracks = seen_tracks(3)
    seen = life.update_visibility(tracks, np.array([0.5, 0.51, 0.0]), START + 7)
    assert seen.tolist() == [False, True, False]
    assert tracks.last_seen.tolist() == [START, START + 7, START]
    assert tracks.hits.tolist() == [0, 1, 0] and tracks.age.tolist() == [1, 1, 1]


def test_frames_in_which_somebody_is_heard_are_counted_while_they_follow_each_other():
    life = LifeCycle(LifeConfig(heard_share=0.3))
    tracks = seen_tracks(2)
    runs = []
    for frame, share in enumerate((0.3, 0.9, 0.29, 0.5)):
        heard = life.update_heard(tracks, np.array([share, 0.0]), START + frame)
        assert heard.tolist() == [share >= 0.3, False]
        runs.append(int(tracks.heard_run[0]))
    assert runs == [1, 2, 0, 1]
    assert tracks.last_heard.tolist() == [START + 3, 0]


@pytest.mark.parametrize(
    'faces, state, dead',
    [
        ((1, 1), ACTIVE, [False, False]),
        ((1, 0, 1), ACTIVE, [False, False, False]),
        ((0, 1, 0), TENTATIVE, [False, False, True]),
        ((0, 0, 0), TENTATIVE, [False, False, True]),
    ],
)
def test_two_faces_in_three_images_make_a_person(faces, state, dead):
    life = LifeCycle(LifeConfig(confirm_hits=2, confirm_images=3))
    tracks = seen_tracks(state=TENTATIVE)
    fates = []
    for image, mass in enumerate(faces):
        life.update_visibility(tracks, np.array([float(mass)]), START + image)
        fates.append(bool(life.advance(tracks, START + image)[0]))
    assert tracks.state.tolist() == [state] and fates == dead


@pytest.mark.parametrize('over_ns, state', [(0, ACTIVE), (1, SLEEPING)])
def test_a_person_sleeps_when_the_silence_is_longer_than_allowed(over_ns, state):
    life = LifeCycle(LifeConfig(sleep_after_s=1.0))
    tracks = seen_tracks(2)
    tracks.last_heard[1] = START + SECOND  # heard later than seen
    dead = life.advance(tracks, START + SECOND + over_ns)
    assert tracks.state.tolist() == [state, ACTIVE] and not dead.any()
    if state == SLEEPING:
        assert tracks.asleep_since.tolist() == [START + SECOND + 1, 0]


def test_somebody_who_is_not_yet_confirmed_dies_instead_of_sleeping():
    life = LifeCycle(LifeConfig(sleep_after_s=1.0))
    tracks = seen_tracks(state=TENTATIVE)
    assert not life.advance(tracks, START + SECOND)[0]
    assert life.advance(tracks, START + SECOND + 1)[0]


@pytest.mark.parametrize('make, patience_s', [(seen_tracks, 10), (heard_tracks, 30)])
def test_a_sleeper_is_forgotten_sooner_if_it_was_ever_seen(make, patience_s):
    life = LifeCycle(LifeConfig(dead_after_s=10.0, unseen_dead_after_s=30.0))
    tracks = make()
    tracks.state[:] = SLEEPING
    tracks.asleep_since[:] = START
    assert not life.advance(tracks, START + patience_s * SECOND)[0]
    assert life.advance(tracks, START + patience_s * SECOND + 1)[0]


def test_nobody_is_forgotten_where_patience_has_no_end():
    life = LifeCycle(LifeConfig(dead_after_s=math.inf, unseen_dead_after_s=math.inf))
    tracks = seen_tracks()
    tracks.state[:] = SLEEPING
    assert not life.advance(tracks, START + 10**6 * SECOND)[0]


@pytest.mark.parametrize('run, state', [(2, SLEEPING), (3, ACTIVE)])
def test_a_sleeper_wakes_when_it_is_heard_in_enough_frames(run, state):
    life = LifeCycle(LifeConfig(wake_heard_frames=3))
    tracks = seen_tracks(state=SLEEPING)
    tracks.asleep_since[:] = START
    for frame in range(run):
        life.update_heard(tracks, np.array([0.5]), START + frame)
        life.advance(tracks, START + frame)
    assert tracks.state.tolist() == [state]


def test_who_comes_back_has_the_place_of_the_birth_and_the_old_id():
    life = LifeCycle(LifeConfig())
    tracks = seen_tracks(2, state=SLEEPING)
    before = dataclasses.replace(tracks, mean=tracks.mean.copy(), state=tracks.state.copy())
    names = {field.name for field in dataclasses.fields(Birth)}
    values = {
        'mean': np.full(6, 9.0),
        'covariance': 2 * np.eye(6),
        'embedding': np.zeros(0),
        'box': np.full(4, 5.0),
    }
    birth = Birth(**{name: values.get(name, 0) for name in names})
    life.reinstate(tracks, 1, birth, START + 5)
    assert tracks.id.tolist() == [1, 2] and tracks.state.tolist() == [SLEEPING, ACTIVE]
    assert tracks.mean[1].tolist() == [9] * 6 and tracks.box[1].tolist() == [5] * 4
    assert (tracks.visibility[1], tracks.last_seen[1]) == (1, START + 5)
    np.testing.assert_array_equal(tracks.mean[0], before.mean[0])


def test_voices_are_active_and_never_seen():
    tracks = heard_tracks(2)
    assert tracks.state.tolist() == [ACTIVE] * 2 and tracks.never_seen.all()
    assert tracks.last_heard.tolist() == [START] * 2 and not tracks.visibility.any()
    assert not seen_tracks().never_seen.any() and len(TrackSet.empty(6)) == 0


@pytest.mark.parametrize('sizes', [(0, 128), (128, 0), (128, 128), (0, 0)])
def test_sets_are_joined_whatever_their_embeddings(sizes):
    first, second = seen_tracks(2), heard_tracks(3)
    first.embedding, second.embedding = np.ones((2, sizes[0])), np.ones((3, sizes[1]))
    first.append(second)
    assert first.id.tolist() == [1, 2, 1, 2, 3] and len(first) == 5
    assert first.embedding.shape == (5, max(sizes))
    assert first.embedding.sum() == 2 * sizes[0] + 3 * sizes[1]
    assert first.never_seen.tolist() == [False, False, True, True, True]


@pytest.mark.parametrize('index', [[2, 0], [], [1], [0, 1, 2]])
def test_all_that_is_known_of_a_track_stays_together(index):
    random = np.random.default_rng(0)
    tracks = seen_tracks(3)
    for field in dataclasses.fields(tracks):
        array = getattr(tracks, field.name)
        setattr(tracks, field.name, random.integers(0, 99, array.shape).astype(array.dtype))
    before = {name: array.copy() for name, array in vars(tracks).items()}
    tracks.keep(np.array(index, int))
    for name, array in before.items():
        np.testing.assert_array_equal(getattr(tracks, name), array[index], err_msg=name)


IN_SIGHT = View(clear=np.array([False]), hidden=np.array([False]))
IN_CLEAR_VIEW = View(clear=np.array([True]), hidden=np.array([False]))
BEHIND = View(clear=np.array([False]), hidden=np.array([True]))
HIDING_PLACE = np.arange(6.0)
FALSE_PLACE = HIDING_PLACE + 1.0


def hidden_track(life):
    """Somebody who was seen to go behind somebody else."""
    tracks = seen_tracks()
    life.note_view(tracks, np.array([False]), BEHIND, START + 1)
    return tracks


def found(life, tracks, faces, view=IN_SIGHT):
    """Show the hidden one in some images, first at a false place; who was put back, per image."""
    put_back = []
    for image, face in enumerate(faces):
        if face:
            tracks.mean[0] = FALSE_PLACE
            tracks.covariance[0] = 1e-4 * np.eye(6)
        back = life.note_view(tracks, np.array([bool(face)]), view, START + 2 + image)
        put_back.append(bool(back[0]))
    return put_back


def test_a_false_face_does_not_lead_away_who_is_hidden():
    life = LifeCycle(LifeConfig(young_images=5))
    tracks = hidden_track(life)
    assert found(life, tracks, [1, 0, 0, 0, 0]) == [False] * 5
    assert found(life, tracks, [0]) == [True]
    assert tracks.hidden[0]
    np.testing.assert_array_equal(tracks.hidden_mean[0], HIDING_PLACE)
    np.testing.assert_array_equal(tracks.covariance[0], np.eye(6))


def test_who_is_seen_once_where_somebody_hides_them_was_not_seen():
    life = LifeCycle(LifeConfig())
    tracks = hidden_track(life)
    assert found(life, tracks, [1]) == [False]
    assert found(life, tracks, [0], BEHIND) == [True]
    np.testing.assert_array_equal(tracks.hidden_mean[0], HIDING_PLACE)


@pytest.mark.parametrize('faces', [[1] * 6 + [0] * 20, [1, 0, 1, 1, 0, 1, 1, 1, 0, 1]])
def test_who_came_out_from_behind_somebody_is_not_put_back(faces):
    life = LifeCycle(LifeConfig(young_images=5))
    tracks = hidden_track(life)
    assert not any(found(life, tracks, faces))
    assert not tracks.hidden[0]


def test_who_walks_behind_the_next_one_is_hidden_there():
    life = LifeCycle(LifeConfig())
    tracks = hidden_track(life)
    assert not any(found(life, tracks, [1] * 3) + found(life, tracks, [0] * 9, BEHIND))
    np.testing.assert_array_equal(tracks.hidden_mean[0], FALSE_PLACE)


@pytest.mark.parametrize('was_hidden, missed_s', [(True, 0.2), (False, 0.4)])
def test_who_hid_behind_somebody_who_walked_on_sleeps_sooner(was_hidden, missed_s):
    life = LifeCycle(LifeConfig(clear_sleep_after_s=0.4))
    tracks = hidden_track(life) if was_hidden else seen_tracks()
    life.note_view(tracks, np.array([False]), IN_CLEAR_VIEW, START + 1)
    life.advance(tracks, START + 1 + round(missed_s * SECOND))
    assert tracks.state.tolist() == [ACTIVE]
    life.advance(tracks, START + 2 + round(missed_s * SECOND))
    assert tracks.state.tolist() == [SLEEPING]


def test_who_is_not_seen_for_a_second_is_away_unless_hidden():
    life = LifeCycle(LifeConfig(sleep_after_s=1.0))
    tracks = seen_tracks(2)
    tracks.hidden[1] = True
    tracks.last_heard[:] = START + SECOND  # voices keep awake
    life.advance(tracks, START + SECOND)
    assert not tracks.away.any()
    life.advance(tracks, START + SECOND + 1)
    assert tracks.away.tolist() == [True, False] and tracks.state.tolist() == [ACTIVE] * 2


def test_a_face_that_is_missed_in_a_few_images_was_seen_lately():
    life = LifeCycle(LifeConfig())
    tracks = seen_tracks()
    for image, is_lately in ((6, True), (7, False)):
        life.advance(tracks, START + image * SECOND // 25)
        assert tracks.seen_lately.tolist() == [is_lately]


@pytest.mark.parametrize('missed_ns', [0, SECOND])
def test_where_everybody_is_seen_each_is_what_they_are_beside_a_sleeper(missed_ns):
    """Without the sleeper, whom the rules are applied to, a few lines do for all of them."""
    life = LifeCycle(LifeConfig())
    alone, beside = seen_tracks(3), seen_tracks(4)
    for tracks in (alone, beside):
        tracks.hidden[1] = tracks.away[0] = True
        tracks.missed_since[2] = missed_ns and START - missed_ns
        tracks.age[:3] = 20, 3, 40
        tracks.hits[:3] = 2, 1, 40
    beside.state[3] = SLEEPING
    beside.asleep_since[3] = START
    dead = life.advance(alone, START)
    np.testing.assert_array_equal(dead, life.advance(beside, START)[:3])
    for field in dataclasses.fields(TrackSet):
        found, expected = (getattr(tracks, field.name) for tracks in (alone, beside))
        np.testing.assert_array_equal(found, expected[:3], err_msg=field.name)
