# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VESSL against inverse regression, brute force and planted sources."""

import numpy as np
import pytest
from acoustic_maps import random_map
from streaming_regression import InverseRegression

from av_perception.audio.vessl import Observations, Vessl, VesslConfig
from av_perception.interfaces import AudioFeatures

SUBBANDS, SIZE = 6, 2


def planted(seed, num_sources=2, num_frames=8, noise=0.05):
    """Observations of sources at random places of a random map of four pieces.

    Each sub-band of each frame belongs to one of them.
    """
    rng = np.random.default_rng(seed)
    model = random_map(rng, 4, SUBBANDS, SIZE)
    model.variance[:] = noise**2
    model.slope[:] *= 3
    model.log_range[:] = np.log(100.0)  # of features that reach so far
    pieces = rng.permutation(4)[:num_sources]
    places = model.center[0, pieces] + 0.3 * rng.standard_normal((num_sources, 3))
    owner = rng.integers(0, num_sources, (num_frames, SUBBANDS))
    exact = np.einsum('kmgi,mi->mkg', model.slope[:, pieces], places) + model.offset[
        :, pieces
    ].swapaxes(0, 1)
    vectors = exact[owner, np.arange(SUBBANDS)] + noise * rng.standard_normal(
        (num_frames, SUBBANDS, SIZE)
    )
    frames = [
        AudioFeatures(t, 1.0, v, np.ones_like(v, bool), np.ones(SUBBANDS), np.ones(SUBBANDS, bool))
        for t, v in enumerate(vectors)
    ]
    return model, Observations.of(frames), places, owner


def random_start(seen, num_sources, rng):
    """Log likelihoods that give every observation to a random source."""
    return np.log(rng.dirichlet(np.full(num_sources, 0.5), len(seen)) + 1e-3)


def test_observations_are_the_valid_subbands_in_order():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5, SUBBANDS, SIZE))
    present = rng.random((5, SUBBANDS, SIZE)) < 0.5
    valid = rng.random((5, SUBBANDS)) < 0.5
    seen = Observations.of(
        [
            AudioFeatures(0, 1.0, v, p, np.ones(SUBBANDS), u)
            for v, p, u in zip(vectors, present, valid)
        ]
    )
    assert len(seen) == valid.sum() and (np.diff(seen.subband) >= 0).all()
    for t, k, vector, shown in zip(seen.frame, seen.subband, seen.vectors, seen.present):
        assert valid[t, k] and (shown == present[t, k]).all()
        np.testing.assert_array_equal(vector, np.where(present[t, k], vectors[t, k], 0.0))
    np.testing.assert_array_equal(seen.take(np.array([1, 3])).vectors, seen.vectors[[1, 3]])


@pytest.mark.parametrize('novelty', [1.0, 0.2])
def test_one_source_without_clutter_is_inverse_regression(novelty):
    model, seen, _, _ = planted(1, num_sources=1)
    model.log_range[:] = 1e6  # clutter is impossible
    found = Vessl(model, seen, VesslConfig(novelty)).separate(np.zeros((len(seen), 1)))
    regression = InverseRegression(model, novelty)
    for t in range(8):
        rows = seen.frame == t
        regression.add(seen.vectors[rows], np.ones((SUBBANDS, SIZE), bool), np.ones(SUBBANDS))
    (expected,) = found.sources
    posterior = regression.posterior()
    np.testing.assert_allclose(expected.log_weight, posterior.log_weight, atol=1e-9)
    np.testing.assert_allclose(expected.mean, posterior.mean, atol=1e-9)
    np.testing.assert_allclose(expected.log_evidence, posterior.log_evidence, rtol=1e-12)


@pytest.mark.parametrize('seed', range(8))
def test_the_bound_never_falls(seed):
    model, seen, _, _ = planted(seed, num_sources=3, noise=0.3)
    rng = np.random.default_rng(seed)
    vessl = Vessl(model, seen, VesslConfig(tolerance=0.0, novelty=rng.uniform(0.1, 1)))
    bound = vessl.separate(random_start(seen, 3, rng)).bound
    assert len(bound) > 2 and (np.diff(bound) > -1e-8 * np.abs(bound[1:])).all()


def test_expected_error_equals_the_average_over_the_posterior():
    """Against draws from the posterior mixture."""
    model, seen, _, _ = planted(3, noise=0.4)
    rng = np.random.default_rng(3)
    found = Vessl(model, seen, VesslConfig(iterations=3)).separate(random_start(seen, 2, rng))
    source = found.sources[0]
    piece = rng.choice(4, 40000, p=source.weight / source.weight.sum())
    draws = source.mean[piece] + np.einsum(
        'nij,nj->ni',
        np.linalg.cholesky(source.covariance)[piece],
        rng.standard_normal((len(piece), 3)),
    )
    for j in (0, 11, 30):
        k = seen.subband[j]
        predicted = np.einsum('ngi,ni->ng', model.slope[k, piece], draws) + model.offset[k, piece]
        error = ((seen.vectors[j] - predicted) ** 2 / model.variance[k, piece]).mean()
        np.testing.assert_allclose(found.misfit[j, 0], error, rtol=0.05)


def test_planted_sources_and_masks_are_recovered():
    """The best of 20 random starts finds both places and nearly all of the mask.

    In at least 9 of 10 worlds.
    """
    recovered = 0
    for seed in range(10):
        model, seen, places, owner = planted(100 + seed, noise=0.15)
        model.log_range[:] = 1e6
        vessl, rng = Vessl(model, seen, VesslConfig(novelty=1.0)), np.random.default_rng(seed)
        found = max(
            (vessl.separate(random_start(seen, 2, rng)) for _ in range(20)),
            key=lambda f: f.bound[-1],
        )
        directions = np.stack([s.expectation for s in found.sources])
        distance = np.linalg.norm(directions[:, None] - places, axis=2)
        order = [0, 1] if distance.trace() < distance[::-1].trace() else [1, 0]
        right = (
            found.masks[:, 1:].argmax(axis=1) == np.array(order)[owner[seen.frame, seen.subband]]
        )
        recovered += distance[order, [0, 1]].max() < 0.15 and right.mean() > 0.95
    assert recovered >= 9


def test_sources_in_another_order_give_the_same_in_that_order():
    model, seen, _, _ = planted(5, num_sources=3)
    start = random_start(seen, 3, np.random.default_rng(5))
    order = np.array([2, 0, 1])
    one, other = (Vessl(model, seen).separate(s) for s in (start, start[:, order]))
    np.testing.assert_allclose(one.masks[:, 1:][:, order], other.masks[:, 1:], atol=1e-9)
    np.testing.assert_allclose(one.bound, other.bound)


def test_what_nothing_explains_is_clutter():
    model, seen, _, _ = planted(6, num_sources=1)
    seen.vectors[::4] += 50.0
    found = Vessl(model, seen, VesslConfig(novelty=1.0)).separate(np.zeros((len(seen), 1)))
    assert (found.masks[::4, 0] > 0.99).all() and found.shares[0] > 0.2


@pytest.mark.parametrize(
    'bad',
    [
        dict(novelty=0.0),
        dict(novelty=1.5),
        dict(iterations=0),
        dict(tolerance=-1.0),
        dict(least_share=0.0),
    ],
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        VesslConfig(**bad)
