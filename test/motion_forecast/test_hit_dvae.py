# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""HiT-DVAE with weights drawn at random: causality, the cache, any lengths, and wrong input."""

from __future__ import annotations

import numpy as np
import pytest
from skeleton_networks import random_network

from av_perception.errors import UserError
from av_perception.motion_forecast.hit_dvae import HitDvae, divergence
from av_perception.motion_forecast.transformer import DecoderCache

POSE = 6
FRAMES = 9


@pytest.fixture(scope='module')
def net():
    return HitDvae(random_network(POSE, seed=2))


@pytest.fixture()
def inputs(net):
    random = np.random.default_rng(5)
    poses = np.cumsum(random.normal(0, 0.1, (2, FRAMES, POSE)), 1).astype(np.float32)
    z = random.standard_normal((2, FRAMES, net.shape.latent)).astype(np.float32)
    w = random.standard_normal((2, net.shape.sequence)).astype(np.float32)
    return poses, z, w


def changed_frames(before, after):
    return np.flatnonzero(np.abs(after - before).max((0, 2)) > 1e-6)


@pytest.mark.parametrize('at', [0, 3, 7])
def test_a_pose_changes_only_what_comes_after_it(net, inputs, at):
    poses, z, w = inputs
    other = poses.copy()
    other[:, at] += 0.5
    made = changed_frames(net.generate(poses, z, w), net.generate(other, z, w))
    prior = changed_frames(net.prior_moments(poses, z, w)[0], net.prior_moments(other, z, w)[0])
    np.testing.assert_array_equal(made, np.arange(at + 1, FRAMES))
    np.testing.assert_array_equal(prior, np.arange(at + 1, FRAMES))


@pytest.mark.parametrize('at', [0, 3, 7])
def test_a_latent_changes_its_own_pose_and_the_prior_after_it(net, inputs, at):
    poses, z, w = inputs
    other = z.copy()
    other[:, at] += 1.0
    made = changed_frames(net.generate(poses, z, w), net.generate(poses, other, w))
    prior = changed_frames(
        net.prior_moments(poses, z, w)[0], net.prior_moments(poses, other, w)[0]
    )
    np.testing.assert_array_equal(made, np.arange(at, FRAMES))
    np.testing.assert_array_equal(prior, np.arange(at + 1, FRAMES))


def test_the_latent_of_the_sequence_changes_everything(net, inputs):
    poses, z, w = inputs
    assert len(changed_frames(net.generate(poses, z, w), net.generate(poses, z, w + 1))) == FRAMES


def test_the_posterior_sees_the_whole_sequence(net, inputs):
    poses, _, w = inputs
    other = poses.copy()
    other[:, -1] += 0.5
    changed = changed_frames(net.infer_z(poses, w)[0], net.infer_z(other, w)[0])
    assert len(changed) == FRAMES


def test_frame_by_frame_with_kept_keys_is_the_whole_at_once(net, inputs):
    poses, z, w = inputs
    whole = net.generate(poses, z, w)
    priors = net.prior_moments(poses, z, w)[0]
    last, before = net.shifted(poses)
    cache, prior_cache = DecoderCache(), DecoderCache()
    latest = net._none(2)
    for t in range(FRAMES):
        token = net._tokens(last[:, t : t + 1], before[:, t : t + 1], t + 1, w)
        hidden = net._prior(token, latest, prior_cache)
        mean = np.split(net._moments['prior'](hidden), 2, -1)[0]
        np.testing.assert_allclose(mean[:, 0], priors[:, t], atol=1e-5)
        latent = net._latents(z[:, t : t + 1], t + 1)
        memory = np.concatenate([net._none(2), latent], 1) if t == 0 else latent
        made = net._made(last[:, t : t + 1], before[:, t : t + 1], token, memory, cache)
        np.testing.assert_allclose(made[:, 0], whole[:, t], atol=1e-5)
        latest = latent


def test_continuing_is_generating_again_and_again(net, inputs):
    """With all recomputed for each new frame, by the functions that keep nothing."""
    poses, _, w = inputs
    seen = poses[:, :4]
    noise = np.random.default_rng(1).standard_normal((2, 9, net.shape.latent)).astype(np.float32)
    made = net.continued(seen, 5, w, noise)
    mean, spread = net.infer_z(seen, w)
    z = mean + np.exp(0.5 * spread) * noise[:, :4]
    path = seen
    for t in range(4, 9):
        # The last pose and latent are place holders: by causality they change nothing before.
        longer = np.concatenate([path, path[:, -1:]], 1)
        mean, spread = net.prior_moments(longer, np.concatenate([z, z[:, -1:]], 1), w)
        z = np.concatenate([z, (mean + np.exp(0.5 * spread) * noise[:, : t + 1])[:, t:]], 1)
        path = np.concatenate([path, net.generate(longer, z, w)[:, t:]], 1)
    np.testing.assert_allclose(made, path[:, 4:], atol=1e-4)


@pytest.mark.parametrize('observed, ahead', [(2, 1), (3, 20), (12, 48), (40, 7), (12, 0)])
def test_any_lengths_run(net, observed, ahead):
    seen = np.random.default_rng(0).normal(0, 0.1, (observed, POSE))
    futures = net.sample(seen, ahead, 3, np.random.default_rng(1))
    assert futures.shape == (3, ahead, POSE) and np.isfinite(futures).all()


def test_draws_differ_and_repeat_with_their_seed(net):
    seen = np.random.default_rng(0).normal(0, 0.1, (5, POSE))
    first, again = (net.sample(seen, 6, 2, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 1e-3


@pytest.mark.parametrize(
    'seen', [np.zeros((1, POSE)), np.zeros((5, POSE + 1)), np.full((5, POSE), np.nan)]
)
def test_wrong_poses_are_refused(net, seen):
    with pytest.raises(ValueError, match='poses'):
        net.sample(seen, 3, 2, np.random.default_rng(0))


def test_weights_that_are_none_are_refused():
    arrays = random_network(POSE, seed=0)
    with pytest.raises(UserError, match='no weights of a HiT-DVAE'):
        HitDvae({name: array for name, array in arrays.items() if name != 'shape'})
    with pytest.raises(UserError, match=r'embed\.weight'):
        HitDvae({**arrays, 'embed.weight': np.zeros((3, 3))})
    with pytest.raises(UserError, match='no weights of a HiT-DVAE'):
        HitDvae({**arrays, 'shape': np.full(len(arrays['shape']), np.inf)})


def test_divergence_of_gaussians_by_hand():
    zero = (np.zeros(1), np.zeros(1))
    assert divergence(zero, zero)[0] == 0.0
    assert divergence((np.array([2.0]), np.zeros(1)), zero)[0] == pytest.approx(2.0)
    wide = (np.zeros(1), np.array([np.log(4.0)]))
    assert divergence(wide, zero)[0] == pytest.approx(0.5 * (4 - 1 - np.log(4)))
