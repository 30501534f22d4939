# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sums of exponentials against SciPy's, and what rows of nothing mean."""

import numpy as np
import pytest
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp

from av_perception.numerics.softmax import log_softmax, log_sum_exp, normalize_log, softmax

VALUES = 300 * np.random.default_rng(0).standard_normal((4, 3, 5))
VALUES[0, 0, :3] = -np.inf


@pytest.mark.parametrize('axis', [0, 1, -1])
@pytest.mark.parametrize('keepdims', [False, True])
def test_log_sum_exp_is_that_of_scipy(axis, keepdims):
    np.testing.assert_allclose(
        log_sum_exp(VALUES, axis, keepdims),
        logsumexp(VALUES, axis=axis, keepdims=keepdims),
        rtol=1e-14,
    )


def test_softmax_is_that_of_scipy():
    np.testing.assert_allclose(log_softmax(VALUES), scipy_log_softmax(VALUES, axis=-1), rtol=1e-13)
    np.testing.assert_allclose(softmax(VALUES), np.exp(scipy_log_softmax(VALUES, axis=-1)))


@pytest.mark.parametrize('shift', [-1e5, 1e5])
def test_neither_overflow_nor_underflow(shift):
    with np.errstate(all='raise'):
        assert log_sum_exp(np.array([shift, shift])) == shift + np.log(2)
        np.testing.assert_array_equal(softmax(np.array([shift, shift])), [0.5, 0.5])
        posterior, evidence = normalize_log(np.array([shift, shift]))
    np.testing.assert_array_equal(posterior, [0.5, 0.5])
    assert evidence == shift + np.log(2)


def test_a_sum_of_nothing_is_minus_infinity_without_a_warning():
    with np.errstate(all='raise'):
        assert log_sum_exp(np.full(3, -np.inf)) == -np.inf


def test_what_no_class_explains_belongs_to_none():
    log_joint = np.array([[-np.inf, -np.inf], [-np.inf, -2.0]])
    posterior, evidence = normalize_log(log_joint)
    np.testing.assert_array_equal(posterior, [[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(evidence, [-np.inf, -2.0])


def test_integers_are_numbers_too():
    assert log_sum_exp([0, 0]) == np.log(2)
    np.testing.assert_array_equal(softmax(np.array([3, 3])), [0.5, 0.5])


def test_single_precision_stays():
    values = VALUES.astype(np.float32)
    assert log_sum_exp(values).dtype == softmax(values).dtype == np.float32


def test_no_rows_give_no_rows():
    posterior, evidence = normalize_log(np.zeros((0, 3)))
    assert posterior.shape == (0, 3) and evidence.shape == (0,)
