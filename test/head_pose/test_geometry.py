# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Angles, rays, Procrustes and discs against independent solutions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from av_perception.head_pose.face_mesh import FaceSquare, facing_points
from av_perception.head_pose.facing import disc_probability, offsets_to, place_spread
from av_perception.head_pose.mean_mesh import build_mean_mesh, measure, mirror_pairs
from av_perception.head_pose.model import load_head_pose_model
from av_perception.head_pose.procrustes import fit_similarity
from av_perception.head_pose.rotations import (
    angle_axes,
    angles_from_rotation,
    optical_from_facing,
    rotation_from_angles,
)

RANDOM = np.random.default_rng(0)


def test_angles_there_and_back_and_as_scipy_has_them():
    angles = RANDOM.uniform(-1.4, 1.4, (50, 3))
    rotation = rotation_from_angles(angles)
    np.testing.assert_allclose(rotation, Rotation.from_euler('ZYX', angles).as_matrix())
    np.testing.assert_allclose(angles_from_rotation(rotation), angles, atol=1e-12)


def test_axes_of_the_angles_are_derivatives():
    angles = np.array([0.7, -0.4, 0.3])
    for axis in range(3):
        step = 1e-6 * np.eye(3)[axis]
        turn = rotation_from_angles(angles + step) @ rotation_from_angles(angles).T
        np.testing.assert_allclose(
            Rotation.from_matrix(turn).as_rotvec() / 1e-6, angle_axes(angles)[:, axis], atol=1e-5
        )


@pytest.mark.parametrize('direction', [(0, 0, 1), (0.5, -0.3, 1), (-2, 1, 1), (0.1, 0.1, -1)])
def test_the_facing_frame_looks_back_along_the_ray(direction):
    direction = np.array(direction, float)
    rotation = optical_from_facing(direction)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)
    np.testing.assert_allclose(rotation[:, 0], -direction / np.linalg.norm(direction), atol=1e-9)


def test_straight_ahead_left_of_the_person_is_right_in_the_image_and_up_is_up():
    forward, left, up = optical_from_facing(np.array([0.0, 0.0, 2.0])).T
    np.testing.assert_allclose([forward, left, up], [[0, 0, -1], [1, 0, 0], [0, -1, 0]])


def test_procrustes_finds_a_planted_similarity_and_never_mirrors():
    source = RANDOM.standard_normal((30, 3))
    rotation = Rotation.random(random_state=1).as_matrix()
    target = 3.0 * source @ rotation.T + [1, 2, 3]
    found = fit_similarity(source, target, RANDOM.uniform(0.1, 1, 30))
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-9)
    np.testing.assert_allclose(found.apply(source), target, atol=1e-9)
    assert found.residual == pytest.approx(0, abs=1e-6)
    mirrored = fit_similarity(source, source * [1, 1, -1], np.ones(30))
    assert np.linalg.det(mirrored.rotation) == pytest.approx(1) and mirrored.residual > 0.3


def test_procrustes_is_the_least_of_the_weighted_squares():
    source = RANDOM.standard_normal((12, 3))
    target = source + 0.3 * RANDOM.standard_normal((12, 3))
    weights = RANDOM.uniform(0.1, 1, 12)
    best = fit_similarity(source, target, weights)

    def cost(rotation, scale, translation):
        return weights @ ((target - scale * source @ rotation.T - translation) ** 2).sum(axis=1)

    least = cost(best.rotation, best.scale, best.translation)
    middle = weights @ target / weights.sum()
    radius = weights @ ((target - middle) ** 2).sum(axis=1)
    assert best.residual == pytest.approx(np.sqrt(least / radius))
    for axis in np.eye(3):
        for step in (-1e-3, 1e-3):
            turned = Rotation.from_rotvec(step * axis).as_matrix() @ best.rotation
            assert cost(turned, best.scale, best.translation) > least
            assert cost(best.rotation, best.scale, best.translation + step * axis) > least
    assert cost(best.rotation, best.scale * 1.001, best.translation) > least


def test_the_shipped_mean_face_is_symmetric_and_upright():
    mesh = load_head_pose_model().mesh
    pairs = mirror_pairs(mesh.points)
    np.testing.assert_array_equal(pairs[pairs], np.arange(468))
    np.testing.assert_allclose(mesh.points * [1, -1, 1], mesh.points[pairs], atol=1e-9)
    nose, chin, brow = mesh.points[1], mesh.points[152], mesh.points[10]
    assert nose[0] == mesh.points[:, 0].max() or nose[0] > 0.9 * mesh.points[:, 0].max()
    assert chin[2] < nose[2] < brow[2]
    assert mesh.points[263, 1] > 0 > mesh.points[33, 1]  # left eye, right eye
    assert mesh.weights.sum() == pytest.approx(1) and mesh.weights.min() > 0


def as_image_points(points, angles, width=80.0, middle=(100.0, 90.0)):
    turned = points @ rotation_from_angles(np.array(angles, float)).T * width
    return np.column_stack([turned[:, 1], -turned[:, 2], -turned[:, 0]]) + [*middle, 5.0]


@pytest.mark.parametrize('angles', [(0, 0, 0), (0.6, 0.2, -0.3), (-0.8, -0.4, 0.1)])
def test_a_turned_mean_face_measures_as_it_was_turned(angles):
    mesh = load_head_pose_model().mesh
    found = measure(mesh, as_image_points(mesh.points, angles))
    np.testing.assert_allclose(found.angles, angles, atol=1e-9)
    assert found.residual < 1e-6
    assert found.size_px == pytest.approx(80 * np.ptp(mesh.points[:, 1]))


def test_a_mean_face_is_found_again_from_talkers_turned_and_askew():
    """Yaw and roll of the talkers do not matter, their mean pitch is zero."""
    mesh = load_head_pose_model().mesh
    talkers = []
    for yaw, pitch, roll in ((0.1, 0.05, 0.05), (-0.2, -0.05, 0.0), (0.05, 0.0, -0.1)):
        shape = mesh.points * RANDOM.uniform(0.98, 1.02, 3)
        frames = [
            as_image_points(shape + 0.01 * RANDOM.standard_normal(shape.shape), (yaw, pitch, roll))
            for _ in range(8)
        ]
        talkers.append(np.array(frames))
    built = build_mean_mesh(talkers)
    fit = fit_similarity(mesh.points, built.points, mesh.weights)
    np.testing.assert_allclose(angles_from_rotation(fit.rotation), 0, atol=0.01)
    assert fit.residual < 0.02


def test_what_moves_while_talking_counts_less():
    mesh = load_head_pose_model().mesh
    frames = []
    for opening in np.linspace(0, 0.4, 8):
        shape = mesh.points.copy()
        shape[[14, 152]] -= [0, 0, opening]  # lower lip and chin
        frames.append(as_image_points(shape, (0, 0, 0)))
    weights = build_mean_mesh([np.array(frames)]).weights
    assert weights[152] < 0.2 * np.median(weights)


def test_points_go_from_image_axes_to_facing_axes():
    right_down_away = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(facing_points(right_down_away), [[-3.0, 1.0, -2.0]])


def test_the_square_of_points_holds_them_and_follows_the_box():
    mesh = load_head_pose_model().mesh
    points = as_image_points(mesh.points, (0, 0, 0.3), 30.0)
    square = FaceSquare.of_points(points)
    matrix = np.vstack([square.image_from_square, [0, 0, 1]])
    inside = (np.column_stack([points[:, :2], np.ones(468)]) @ np.linalg.inv(matrix).T)[:, :2]
    assert inside.min() > 20 and inside.max() < 172
    eyes = inside[263] - inside[33]
    assert abs(eyes[1]) < 1e-6 < eyes[0], 'upright in the square'
    box = np.array([60.0, 50.0, 80.0, 80.0])
    moved = square.moved(box, box + [10, -5, 0, 0])
    np.testing.assert_allclose(moved.center, square.center + [10, -5])
    assert square.moved(box, box * 2).side == pytest.approx(2 * square.side)


@pytest.mark.parametrize('seed', range(4))
def test_the_disc_holds_as_much_as_samples_do(seed):
    random = np.random.default_rng(seed)
    root = random.uniform(-0.3, 0.3, (2, 2))
    covariance = root @ root.T + 0.01 * np.eye(2)
    mean = random.uniform(-0.4, 0.4, 2)
    samples = random.multivariate_normal(mean, covariance, 200_000)
    share = np.mean(np.hypot(*samples.T) < 0.3)
    inside = disc_probability(mean[None], covariance[None], 0.3)[0]
    assert inside == pytest.approx(share, abs=0.005)


def test_the_disc_at_its_limits():
    sharp = np.tile(1e-8 * np.eye(2), (3, 1, 1))
    offsets = np.array([[0.0, 0.0], [0.0, 0.2], [1.5, 0.0]])
    np.testing.assert_allclose(disc_probability(offsets, sharp, 0.26), [1, 1, 0], atol=1e-3)
    vague = disc_probability(np.zeros((1, 2)), np.eye(2)[None] * 4.0, 0.26)
    assert vague[0] == pytest.approx(1 - np.exp(-(0.26**2) / 8), rel=1e-6)  # Rayleigh


def test_offsets_are_to_the_left_and_up_and_errors_turn_them():
    rotation = rotation_from_angles(np.array([0.3, 0.0, 0.0]))
    directions = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    covariance = np.diag([0.0, 0.01, 0.04])  # pitch 0.1, yaw 0.2
    offsets, spread = offsets_to(rotation, directions, covariance)
    np.testing.assert_allclose(offsets[0], [-0.3, 0.0], atol=1e-12)
    np.testing.assert_allclose(spread[0, 0, 0], 0.04)
    assert offsets[1][0] == pytest.approx(np.pi / 4 - 0.3) and offsets[1][1] > 0


def test_a_place_that_is_not_known_spreads_by_its_distance():
    spread = place_spread(np.eye(3), np.array([[2.0, 0, 0]]), np.diag([9.0, 0.04, 0.16])[None])
    np.testing.assert_allclose(spread[0], np.diag([0.01, 0.04]))  # range does not matter
