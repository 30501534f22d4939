# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Skeletons: clips and windows, the mirror, and when the network is not believed."""

from __future__ import annotations

import numpy as np
import pytest
from skeleton_networks import random_network

from av_perception.errors import UserError
from av_perception.motion_forecast.hit_dvae import HitDvae
from av_perception.motion_forecast.skeleton_forecaster import (
    UNLIKE,
    WORSE_THAN_STILL,
    SkeletonConfig,
    SkeletonForecaster,
)
from av_perception.motion_forecast.skeletons import (
    LEFT,
    RIGHT,
    Clip,
    load_clips,
    mirrored,
    windows,
)

POSE = 6


def poses(count=12, speed=0.0, seed=0):
    steps = np.random.default_rng(seed).normal(0, speed, (count, POSE))
    return np.cumsum(steps, 0)


def forecaster(**config):
    return SkeletonForecaster(HitDvae(random_network(POSE, seed=1)), SkeletonConfig(**config))


def test_windows_are_cut_at_the_rate_of_the_networks():
    joints = np.arange(600.0).repeat(6).reshape(600, 2, 3)
    cut = windows(Clip('walking', 'one', joints), 10, 20, 15)
    assert cut.shape == (7, 30, 6)
    np.testing.assert_array_equal(cut[0, :, 0], 5 * np.arange(30))
    np.testing.assert_array_equal(cut[1, 0], 75)


def test_a_clip_that_is_too_short_gives_no_window():
    assert windows(Clip('running', 'one', np.zeros((100, 2, 3))), 12, 48, 12).shape == (0, 60, 6)


def test_the_mirror_exchanges_sides_and_twice_is_nothing():
    joints = np.random.default_rng(0).normal(size=(4, 21, 3))
    other = mirrored(joints)
    np.testing.assert_array_equal(other[:, LEFT, 1:], joints[:, RIGHT, 1:])
    np.testing.assert_array_equal(other[:, LEFT, 0], -joints[:, RIGHT, 0])
    np.testing.assert_array_equal(mirrored(other), joints)


def test_clips_of_a_file(tmp_path):
    path = tmp_path / 'clips.npz'
    np.savez(path, walking_extra__walking_3=np.zeros((5, 2, 3), np.float16), parents=np.arange(2))
    (clip,) = load_clips(path)
    assert (clip.action, clip.name, clip.joints.shape) == ('walking', 'walking_3', (5, 2, 3))


@pytest.mark.parametrize(
    'arrays',
    [{'parents': np.arange(2)}, {'a__b': np.zeros((5, 2))}, {'a__b': np.full((5, 2, 3), np.nan)}],
)
def test_files_of_something_else_are_refused(tmp_path, arrays):
    path = tmp_path / 'clips.npz'
    np.savez(path, **arrays)
    with pytest.raises(UserError, match='clips'):
        load_clips(path)


def test_a_file_cut_short_is_refused(tmp_path):
    path = tmp_path / 'clips.npz'
    path.write_bytes(b'PK\x03\x04 half')
    with pytest.raises(UserError, match='cannot read skeletons'):
        load_clips(path)


def test_the_first_draw_holds_the_last_pose():
    seen = poses(speed=0.05)
    made = forecaster(max_ratio=1e9).forecast(seen, 7, 4)
    assert made.fallback_reason == ''
    np.testing.assert_allclose(made.poses[0], np.tile(seen[-1], (7, 1)), rtol=1e-6)
    assert np.abs(made.poses[1] - made.poses[2]).max() > 1e-3


def test_a_network_that_was_worse_than_standing_still_falls_back():
    made = forecaster(max_ratio=0.0).forecast(poses(speed=0.0), 7, 4)
    assert made.fallback_reason == WORSE_THAN_STILL
    np.testing.assert_array_equal(made.poses, np.zeros((4, 7, POSE)))


def test_poses_unlike_all_seen_in_training_fall_back():
    made = forecaster().forecast(poses(speed=0.01) + 100.0, 7, 4)
    assert made.fallback_reason == UNLIKE
    np.testing.assert_allclose(made.poses[0], np.tile(poses(speed=0.01)[-1] + 100.0, (7, 1)))
    assert made.poses[1:].std(0).max() > 0


def test_the_same_poses_give_the_same_draws():
    seen = poses(speed=0.05)
    first, again = (forecaster().forecast(seen, 5, 3).poses for _ in range(2))
    np.testing.assert_array_equal(first, again)
