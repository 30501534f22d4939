# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The EM loop: its iterates, its stop rules and its guards."""

import numpy as np
import pytest

from av_perception.numerics.em import (
    gain_below,
    gain_per_point,
    gain_since_first,
    never,
    relative_change,
    relative_gain,
    run_em,
)


def two_coins(heads, tosses):
    """EM for which of two coins was tossed, even odds; a state is the two chances of heads."""

    def expect(chances):
        log = heads[:, None] * np.log(chances) + (tosses - heads)[:, None] * np.log1p(-chances)
        joint = 0.5 * np.exp(log)
        total = joint.sum(axis=1, keepdims=True)
        return float(np.log(total).sum()), joint / total

    def maximize(owner, chances):
        return heads @ owner / (tosses * owner.sum(axis=0))

    return expect, maximize


def test_finds_the_coins_of_do_and_batzoglou():
    """The worked example of Do and Batzoglou, Nature Biotechnology 26, 2008."""
    expect, maximize = two_coins(np.array([5.0, 9, 8, 4, 7]), 10)
    start = np.array([0.6, 0.5])
    once = run_em(start, expect, maximize, never, 1)
    np.testing.assert_allclose(once.state, [0.71, 0.58], atol=0.005)
    run = run_em(start, expect, maximize, gain_below(1e-9), 500, fall_tolerance=1e-12)
    assert run.converged
    np.testing.assert_allclose(run.state, [0.80, 0.52], atol=0.005)


def test_expectation_and_objective_belong_to_the_state():
    expect, maximize = two_coins(np.array([5.0, 9, 8, 4, 7]), 10)
    start = np.array([0.6, 0.5])
    for run in (
        run_em(start, expect, maximize, relative_gain(1e-3), 500),
        run_em(start, expect, maximize, never, 3, evaluate_last=True),
    ):
        objective, owner = expect(run.state)
        assert run.history[-1] == objective
        np.testing.assert_array_equal(run.expectation, owner)
    assert len(run.history) == 4 and not run.converged


def scripted(objectives):
    """A state is how many steps were taken; its objective is looked up."""
    return lambda step: (objectives[step], None), lambda _, step: step + 1


@pytest.mark.parametrize(
    ('stop', 'objectives', 'expected'),
    [
        (gain_below(0.5), [0.0, 1.0, 1.5, 1.75], 3),
        (gain_per_point(0.1, 5), [0.0, 1.0, 1.5, 1.75], 2),
        (relative_gain(0.01), [-500.0, -100.0, -99.0, -98.5], 3),
        (relative_gain(0.01), [0.0, 0.5, 0.509], 2),
        (relative_gain(0.01), [100.0, 90.0], 1),
        (relative_change(0.01), [100.0, 90.0, 90.5], 2),
        (gain_since_first(0.1), [0.0, 0.0, 1.0, 1.5, 1.6], 4),
        (never, [0.0, 0.0, 0.0], None),
    ],
)
def test_stop_rules(stop, objectives, expected):
    run = run_em(0, *scripted(objectives), stop, len(objectives))
    assert run.state == (len(objectives) if expected is None else expected)
    assert run.converged == (expected is not None)
    assert list(run.history) == objectives[: run.state + 1]


def test_an_objective_that_is_not_finite_is_an_error_that_says_where():
    with pytest.raises(FloatingPointError, match='nan in iteration 3, after 1'):
        run_em(0, *scripted([0.0, 1.0, np.nan]), never, 5)


def test_a_falling_objective_is_seen_where_it_is_asked_for():
    objectives = [0.0, 1.0, 0.999]
    assert len(run_em(0, *scripted(objectives), never, 3).history) == 3
    assert len(run_em(0, *scripted(objectives), never, 3, fall_tolerance=0.01).history) == 3
    with pytest.raises(AssertionError, match=r'fell from 1.0 to 0.999 in iteration 3'):
        run_em(0, *scripted(objectives), never, 3, fall_tolerance=1e-6)


def test_at_least_one_iteration():
    with pytest.raises(ValueError, match='at least 1'):
        run_em(0, *scripted([0.0]), never, 0)
