# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces that cannot be true are dropped and counted one by one; the others pass unchanged."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from av_perception.interfaces import APPEARANCE_SIZE, Face, VisualFeatures
from av_perception.synchronization.detected_faces import usable_faces

GOOD = Face(
    np.array([10.0, 20.0, 30.0, 40.0]),
    0.9,
    np.zeros((5, 2)),
    np.array([0.1, -0.2, 2.0]),
    np.diag([0.01, 0.02, 0.3]),
)


def seen(*faces, size=0, **options):
    counters = Counter()
    return usable_faces(VisualFeatures(0, faces), size, counters, **options), counters


def changed(**fields):
    return dataclasses.replace(GOOD, **fields)


def test_good_faces_pass_in_their_order():
    second = changed(box=np.array([5.0, 6.0, 7.0, 8.0]), position=np.array([1.0, 0.0, 3.0]))
    faces, counters = seen(GOOD, second)
    assert len(faces) == 2 and counters['bad_faces'] == 0
    np.testing.assert_array_equal(faces.boxes, [GOOD.box, second.box])
    np.testing.assert_array_equal(faces.positions, [GOOD.position, second.position])
    np.testing.assert_array_equal(faces.covariances, [GOOD.covariance] * 2)
    assert faces.embeddings.shape == (2, 0)


def test_a_thousand_faces_at_once_halted_the_tracker_for_a_minute():
    sure = changed(score=0.95)
    many = [changed(score=np.nan), *[GOOD] * 998, sure]
    faces, counters = seen(*many)
    assert len(faces) == 100 and counters['faces_too_many'] == 900 and counters['bad_faces'] == 0
    faces, counters = seen(*many, needs_positions=False)
    assert len(faces) == 1000 and not counters['faces_too_many'], 'of a crowd in a film'


def test_no_faces_are_empty_arrays_of_the_right_shape():
    faces, _ = seen(size=128)
    shapes = [array.shape for array in vars(faces).values()]
    assert shapes == [(0, 4), (0, 3), (0, 3, 3), (0, 128), (0, APPEARANCE_SIZE)]


@pytest.mark.parametrize(
    'fields',
    [
        {'box': np.array([np.nan, 20.0, 30.0, 40.0])},
        {'box': np.zeros(3)},
        {'position': np.array([0.0, np.inf, 2.0])},
        {'position': np.array([0.0, 0.0, 0.0])},
        {'position': np.array([0.0, 0.0, -2.0])},
        {'position': np.array([2e9, 0.0, 2.0])},
        {'position': np.zeros(2)},
        {'covariance': np.full((3, 3), np.nan)},
        {'covariance': np.zeros((3, 3))},
        {'covariance': np.diag([0.01, -0.02, 0.3])},
        {'covariance': np.ones((3, 3))},
        {'covariance': 1e4 * np.eye(3)},
        {'covariance': np.eye(2)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_face_that_cannot_be_true_goes_and_its_neighbors_stay(fields):
    faces, counters = seen(GOOD, changed(**fields), GOOD)
    assert len(faces) == 2 and counters['bad_faces'] == 1
    np.testing.assert_array_equal(faces.positions, [GOOD.position] * 2)


@pytest.mark.parametrize(
    'size_px, kept', [((0.2, 0.2), True), ((0.1, 50.0), False), ((50.0, -1.0), False)]
)
def test_where_only_boxes_count_they_need_an_area_and_no_position(size_px, kept):
    nowhere = changed(
        box=np.array([0.0, 0.0, *size_px]),
        position=np.full(3, np.nan),
        covariance=np.full((3, 3), np.nan),
    )
    faces, counters = seen(nowhere, needs_positions=False)
    assert len(faces) == kept and counters['bad_faces'] == (not kept)
    assert len(seen(nowhere)[0]) == 0
    huge = changed(box=np.array([0.0, 0.0, 2e9, 1.0]))
    assert len(seen(huge, needs_positions=False)[0]) == 0


def test_a_covariance_is_made_symmetric():
    skewed = GOOD.covariance + np.array([[0, 2e-3, 0], [0, 0, 0], [0, 0, 0]])
    faces, _ = seen(changed(covariance=skewed))
    np.testing.assert_allclose(faces.covariances, faces.covariances.swapaxes(1, 2))
    assert faces.covariances[0, 0, 1] == pytest.approx(1e-3)


@pytest.mark.parametrize('seed', range(4))
def test_of_random_faces_exactly_the_proper_covariances_pass(seed):
    random = np.random.default_rng(seed)
    roots = random.normal(size=(40, 3, 3))
    matrices = roots + roots.swapaxes(1, 2) + 2 * np.eye(3)
    faces, counters = seen(*(changed(covariance=matrix) for matrix in matrices))
    proper = np.linalg.eigvalsh(matrices)[:, 0] > 1e-10
    assert 0 < proper.sum() < 40
    np.testing.assert_allclose(faces.covariances, matrices[proper])
    assert counters['bad_faces'] == 40 - proper.sum()


def test_embeddings_get_unit_norm_and_faces_without_one_zeros():
    faces, counters = seen(
        changed(embedding=np.array([3.0, 4.0])), GOOD, changed(embedding=np.array([0.0, -0.5]))
    )
    np.testing.assert_allclose(faces.embeddings, [[0.6, 0.8], [0, 0], [0, -1]])
    assert counters['bad_embeddings'] == 0, 'to have none is no fault'


@pytest.mark.parametrize(
    'embedding', [[np.nan, 1.0], [np.inf, 0.0], [0.0, 0.0], [1.0, 0.0, 0.0], [1e-9, 0.0]]
)
def test_broken_embeddings_are_counted_and_the_face_stays(embedding):
    faces, counters = seen(changed(embedding=np.array(embedding)), size=2)
    assert len(faces) == 1 and counters['bad_embeddings'] == 1 and counters['bad_faces'] == 0
    np.testing.assert_array_equal(faces.embeddings, [[0, 0]])


def test_the_first_embedding_sets_the_size_that_others_must_have():
    faces, counters = seen(
        GOOD, changed(embedding=np.ones(4)), changed(embedding=np.ones(3)), size=0
    )
    assert faces.embeddings.shape == (3, 4) and counters['bad_embeddings'] == 1
    np.testing.assert_allclose(faces.embeddings[1], 0.5)
