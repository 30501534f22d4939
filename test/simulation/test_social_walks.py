# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Social walks: people stop, turn, keep apart, and are where a hall has room."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.simulation.social_walks import HALL_M, RATE, SocialConfig, social_walks
from av_perception.simulation.walk_tracks import measured, track_walks


@pytest.fixture(scope='module')
def heads():
    return np.concatenate([social_walks(seed) for seed in range(3)], 1)


def speeds(heads, over=10):
    return np.linalg.norm(heads[over:, :, :2] - heads[:-over, :, :2], axis=2) * RATE / over


def test_people_both_stand_and_walk_at_human_speeds(heads):
    speed = speeds(heads)
    assert 0.2 < (speed < 0.2).mean() < 0.8
    assert 0.2 < (speed > 0.6).mean() < 0.8
    assert speed.max() < 2.5


def test_everybody_turns_and_stops_now_and_then(heads):
    speed = speeds(heads)
    assert ((speed > 0.5).any(0) & (speed < 0.15).any(0)).all()
    step = heads[RATE::RATE, :, :2] - heads[:-RATE:RATE, :, :2]
    cross = step[:-1, :, 0] * step[1:, :, 1] - step[:-1, :, 1] * step[1:, :, 0]
    turn = np.abs(np.arctan2(cross, (step[:-1] * step[1:]).sum(2)))
    walking = (np.linalg.norm(step, axis=2) > 0.4)[:-1] & (np.linalg.norm(step, axis=2) > 0.4)[1:]
    assert (turn[walking] > 0.5).mean() > 0.05


def test_people_stay_in_the_hall_and_apart(heads):
    assert np.abs(heads[..., 1]).max() < HALL_M[1] / 2 + 1.0
    one = social_walks(0)
    between = np.linalg.norm(one[:, :, None, :2] - one[:, None, :, :2], axis=3)
    between[:, np.arange(4), np.arange(4)] = np.inf
    assert np.percentile(between.min(2), 1) > 0.3


def test_passers_by_walk_straight_and_leave():
    heads = social_walks(1, SocialConfig(passing=True))
    away = np.isnan(heads[..., 0])
    assert away.any() and not away.all()
    speed = speeds(heads)
    assert np.nanpercentile(speed, 5) > 0.3


def test_a_seed_gives_the_same_walks_and_another_others():
    config = SocialConfig(duration_s=3.0)
    np.testing.assert_array_equal(social_walks(4, config), social_walks(4, config))
    assert not np.allclose(social_walks(4, config), social_walks(5, config))


@pytest.mark.parametrize('change', [{'people': 0}, {'duration_s': 0.0}])
def test_senseless_scenes_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SocialConfig(**change)


def test_measurements_have_the_covariances_they_claim():
    truth = np.tile([3.0, 1.0, 0.2], (20000, 1))
    places, covariances = measured(truth, np.random.default_rng(0))
    np.testing.assert_allclose(np.cov((places - truth).T), covariances[0], rtol=0.05, atol=2e-5)


def test_tracks_are_nearer_than_measurements_and_know_how_near():
    walks = social_walks(2, SocialConfig(stand_s=60.0, duration_s=20.0))
    tracks = track_walks(walks, RATE, 2)
    error = tracks.positions[50:] - walks[50:]
    raw = measured(walks, np.random.default_rng([2, 11]))[0][50:] - walks[50:]
    assert (error**2).mean() < 0.5 * (raw**2).mean()
    normed = np.einsum('tni,tnij,tnj->tn', error, np.linalg.inv(tracks.covariances[50:]), error)
    assert 1.0 < normed.mean() < 5.0  # three numbers


def test_who_is_away_has_no_track():
    walks = social_walks(1, SocialConfig(passing=True, duration_s=20.0))
    tracks = track_walks(walks, RATE, 1)
    np.testing.assert_array_equal(np.isnan(tracks.positions), np.isnan(walks))
