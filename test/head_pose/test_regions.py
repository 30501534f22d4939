# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Regions of pose: what the mesh is wrong by is learned from known turns of talkers."""

import numpy as np
import pytest

from av_perception.head_pose import learning
from av_perception.head_pose.learning import TurnedViews, fit_regions
from av_perception.head_pose.model import load_head_pose_model
from av_perception.head_pose.rotations import rotation_from_angles
from av_perception.numerics.gllim import GllimConfig
from av_perception.numerics.plds_learning import fit_across_groups

MESH = load_head_pose_model().mesh
FLAT = 0.8  # of the true yaw that the planted network measures


def views(seed, count=80):
    """A talker whose measured yaw is FLAT of the true one."""
    random = np.random.default_rng(seed)
    truth = random.uniform(-0.5, 0.5, (count, 3))
    measured = truth * [FLAT, 1, 1] + 0.01 * random.standard_normal(truth.shape)
    turned = np.array([MESH.points @ rotation_from_angles(one).T for one in measured])
    return TurnedViews(truth, np.stack([turned[..., 1], -turned[..., 2], -turned[..., 0]], -1))


@pytest.mark.parametrize('talkers', [1, 2, 3])
def test_a_planted_flattening_is_found_and_one_region_does(talkers, monkeypatch):
    """Regression: with one talker to learn from, none could be left out."""
    monkeypatch.setattr(learning, 'CANDIDATES', (1, 4))
    regions = fit_regions(MESH, [views(seed) for seed in range(talkers)])
    assert len(regions.slope) == 1
    np.testing.assert_allclose(regions.slope[0], np.diag([FLAT, 1, 1]), atol=0.03)


def test_one_group_cannot_be_left_out():
    group = (np.zeros((5, 1)), np.zeros((5, 1)))
    with pytest.raises(ValueError, match='two groups are needed'):
        fit_across_groups([group], (1, 2), GllimConfig())
