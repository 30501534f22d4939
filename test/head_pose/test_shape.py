# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Poses from shapes: what features leave out, exact mixtures, planted heads."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from av_perception.head_pose import shape
from av_perception.head_pose.face_mesh import facing_points
from av_perception.head_pose.learning import (
    STATE,
    TurnedViews,
    constant_velocity,
    with_regions,
)
from av_perception.head_pose.model import load_head_pose_model
from av_perception.head_pose.rotations import rotation_from_angles
from av_perception.head_pose.shape import (
    POINTS,
    infer_angles,
    learn_shape_system,
    scaled,
    shape_features,
)
from av_perception.numerics.gaussian_mixture import Pieces
from av_perception.numerics.gllim import Gllim
from av_perception.numerics.plds import AffinePieces, evidence_of
from av_perception.numerics.plds_filter import filter_step


def image_points(heads, angles):
    """Meshes (N, P, 3) in the image of heads (P, 3) or (N, P, 3) that are turned (N, 3)."""
    turned = heads @ rotation_from_angles(angles).swapaxes(-1, -2)
    return np.stack([turned[..., 1], -turned[..., 2], -turned[..., 0]], axis=-1)


def test_features_know_neither_place_nor_size_and_turn_with_the_head():
    rng = np.random.default_rng(0)
    head = rng.standard_normal((468, 3))
    angles = rng.uniform(-0.6, 0.6, (3, 3))
    straight = shape_features(image_points(head, np.zeros((1, 3))))[0].reshape(-1, 3)
    points = image_points(head, angles)
    moved = points * [[[2.0]], [[55.0]], [[0.3]]] + rng.uniform(-400, 400, (3, 1, 3))
    features = shape_features(moved).reshape(3, len(POINTS), 3)
    np.testing.assert_allclose(features, shape_features(points).reshape(features.shape))
    np.testing.assert_allclose(
        features, straight @ rotation_from_angles(angles).swapaxes(1, 2), atol=1e-12
    )
    np.testing.assert_allclose(features.mean(axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose((features**2).sum(axis=2).mean(axis=1), 1.0)
    np.testing.assert_allclose(
        facing_points(image_points(head, angles[:1]))[0] @ (rotation_from_angles(angles[0])),
        head,
        atol=1e-12,
    )


def test_points_are_distinct_and_those_beside_the_middle_come_in_pairs():
    mesh = load_head_pose_model().mesh.points
    assert len(set(POINTS)) == len(POINTS)
    chosen = mesh[list(POINTS)]
    mirrored = chosen * [1, -1, 1]
    apart = np.linalg.norm(chosen[:, None] - mirrored, axis=2)
    assert apart.min(axis=1).max() < 0.02, 'the mean face is symmetric'


def test_no_mesh_has_no_features():
    """Regression: the number of features cannot be told from none."""
    assert shape_features(np.zeros((0, 468, 3))).shape == (0, 3 * len(POINTS))


def a_regression(seed, pieces=3, seen=4, inputs=2):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((pieces, inputs, inputs))
    covariance = root @ root.swapaxes(1, 2) + 0.2 * np.eye(inputs)
    precision = np.linalg.inv(covariance)
    regions = Pieces(
        np.log(rng.dirichlet(np.ones(pieces))),
        rng.standard_normal((pieces, inputs)),
        precision,
        np.linalg.slogdet(precision)[1],
    )
    gllim = Gllim(
        regions,
        rng.standard_normal((pieces, seen, inputs)),
        rng.standard_normal((pieces, seen)),
        rng.uniform(0.2, 0.6, (pieces, seen)),
        0.5 * rng.standard_normal((pieces, seen, 1)),
    )
    return gllim, covariance, rng.standard_normal((5, seen))


@pytest.mark.parametrize('noise_scale', [1.0, 6.5])
def test_inferred_angles_are_the_moments_of_the_mixture_on_a_fine_grid(noise_scale):
    gllim, covariance, values = a_regression(1)
    values[1, 2] = np.nan
    values[2] = np.nan
    axis = np.linspace(-8, 8, 241)
    grid = np.stack(np.meshgrid(axis, axis, indexing='ij'), axis=-1).reshape(-1, 2)
    variance = noise_scale * (gllim.variance + gllim.loading[..., 0] ** 2)
    means, spreads = infer_angles(gllim, values, noise_scale)
    for value, mean, spread in zip(values, means, spreads):
        density = np.zeros(len(grid))
        for k in range(3):
            expected = grid @ gllim.slope[k].T + gllim.offset[k]
            terms = (value - expected) ** 2 / variance[k] + np.log(variance[k])
            prior = multivariate_normal.logpdf(grid, gllim.pieces.center[k], covariance[k])
            density += np.exp(
                gllim.pieces.log_weight[k]
                + prior
                - 0.5 * np.nansum(terms, axis=1)
                - 0.5 * np.isfinite(value).sum() * np.log(2 * np.pi)
            )
        density /= density.sum()
        exact = density @ grid
        apart = grid - exact
        np.testing.assert_allclose(mean, exact, atol=1e-4)
        np.testing.assert_allclose(spread, (apart * density[:, None]).T @ apart, atol=1e-4)


def test_nothing_seen_is_the_mixture_itself():
    gllim, covariance, values = a_regression(2)
    mean, spread = infer_angles(gllim, np.full((1, 4), np.nan))
    weights, center = np.exp(gllim.pieces.log_weight), gllim.pieces.center
    second = weights @ (covariance + center[:, :, None] * center[:, None]).reshape(3, 4)
    np.testing.assert_allclose(mean[0], weights @ center)
    np.testing.assert_allclose(spread[0] + np.outer(mean, mean), second.reshape(2, 2))


def test_scaled_variances_are_a_noise_scale():
    gllim, _, values = a_regression(3, inputs=3)
    slope = np.zeros((3, 4, STATE))
    slope[..., :3] = gllim.slope
    observation = AffinePieces(slope, gllim.offset, gllim.variance)
    system = with_regions(observation, gllim.pieces, constant_velocity())
    wide = scaled(system, 7.0)
    assert wide.dynamics is system.dynamics and wide.gate is system.gate
    ours = filter_step(wide, None, evidence_of(wide.observation, values[:1]))
    exact = filter_step(system, None, evidence_of(observation, values[:1], 7.0))
    np.testing.assert_allclose(ours.mean, exact.mean)
    np.testing.assert_allclose(ours.covariance, exact.covariance)


@pytest.mark.parametrize('seed', range(2))
def test_noise_that_is_independent_is_taken_as_it_is(seed, monkeypatch):
    """One face, small angles, one piece: nothing is left but what the variances say."""
    monkeypatch.setattr(shape, 'CANDIDATES', (1,))
    rng = np.random.default_rng(seed)
    model = load_head_pose_model()
    truth = rng.uniform(-0.15, 0.15, (1500, 3))
    noisy = model.mesh.points + 0.2 * rng.standard_normal((1500, *model.mesh.points.shape))
    views = [TurnedViews(truth, 80 * image_points(noisy, truth))]
    assert learn_shape_system(views, model.system)[1] == pytest.approx(1.0, abs=0.15)


def test_planted_heads_of_many_people_are_inferred_as_surely_as_they_are_right(monkeypatch):
    """Every person's face differs from the mean face in all views alike."""
    monkeypatch.setattr(shape, 'CANDIDATES', (4,))
    rng = np.random.default_rng(4)
    model = load_head_pose_model()
    mean = model.mesh.points
    views = []
    for _ in range(12):
        own = mean + 0.05 * rng.standard_normal(mean.shape)
        truth = rng.uniform(-1, 1, (40, 3)) * [0.8, 0.4, 0.3]
        noisy = own + 0.005 * rng.standard_normal((40, *mean.shape))
        views.append(TurnedViews(truth, 80 * image_points(noisy, truth)))
    learned, unseen = views[:8], views[8:]
    system, noise_scale = learn_shape_system(learned, model.system)
    assert system.dynamics is model.system.dynamics and noise_scale > 2
    wide = scaled(system, noise_scale)
    surprises, errors = [], []
    for one in unseen:
        for truth, value in zip(one.truth, shape_features(one.points)):
            belief = filter_step(wide, None, evidence_of(wide.observation, value[None]))
            error = belief.mean[:3] - truth
            errors.append(error)
            surprises.append(error @ np.linalg.solve(belief.covariance[:3, :3], error) / 3)
    assert np.degrees(np.sqrt(np.mean(np.square(errors)))) < 6
    assert 0.3 < np.median(surprises) / 0.789 < 3
