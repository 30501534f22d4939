# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The loop that all EM algorithms share: expectation, stop or not, maximization.

The objective (log-likelihood, or its lower bound) of a state is known after its expectation, so
that is where the loop may end: the state is then the one that the expectation belongs to.
Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm", J. Royal
Statistical Society B 39, 1977.

An objective that is not finite ends the loop with FloatingPointError: an input is not finite, or a
variance is zero. For tests, an objective that falls by more than a tolerance ends it with
AssertionError.

A stop rule is a function of the objectives so far, oldest first, that says whether the last one is
enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

State = TypeVar('State')
Expectation = TypeVar('Expectation')
StopRule = Callable[[Sequence[float]], bool]


@dataclass(frozen=True)
class EmRun(Generic[State, Expectation]):
    """How an EM ended.

    state: the last parameters; expectation: the last one computed, that of `state` when the run
    converged or `evaluate_last` was asked for, else of the state before; history: the objective of
    every expectation; converged: whether the stop rule ended the run.
    """

    state: State
    expectation: Expectation
    history: tuple[float, ...]
    converged: bool


def run_em(
    start: State,
    expect: Callable[[State], tuple[float, Expectation]],
    maximize: Callable[[Expectation, State], State],
    stop: StopRule,
    iterations: int,
    *,
    evaluate_last: bool = False,
    fall_tolerance: float | None = None,
) -> EmRun[State, Expectation]:
    """Alternate expectation and maximization until the stop rule holds, at most so often.

    Parameters
    ----------
    start
        The first parameters.
    expect, maximize
        E-step: objective of a state and what the M-step needs; M-step: the next state from both.
    stop, iterations
        Asked after every expectation, see `gain_below`; largest number of M-steps, at least 1.
    evaluate_last
        Whether a run that used up its iterations ends with the expectation of its last state.
    fall_tolerance
        For tests: how far the objective may fall, in units of its magnitude. None does not look.

    Returns
    -------
    EmRun
        Last state, last expectation, all objectives, and whether the stop rule ended the run.

    Raises
    ------
    ValueError
        When `iterations` is less than 1.
    """
    if iterations < 1:
        raise ValueError(f'an EM needs at least 1 iteration, not {iterations}')
    return _alternate(start, expect, maximize, stop, iterations, evaluate_last, fall_tolerance)


def _alternate(
    start: State,
    expect: Callable[[State], tuple[float, Expectation]],
    maximize: Callable[[Expectation, State], State],
    stop: StopRule,
    iterations: int,
    evaluate_last: bool,
    fall_tolerance: float | None,
) -> EmRun[State, Expectation]:
    """Run the loop of `run_em`, whose arguments these are."""
    state = start
    history: list[float] = []
    for _ in range(iterations):
        objective, expectation = expect(state)
        _note(objective, history, fall_tolerance)
        if stop(history):
            return EmRun(state, expectation, tuple(history), True)
        state = maximize(expectation, state)
    if not evaluate_last:
        return EmRun(state, expectation, tuple(history), False)
    objective, expectation = expect(state)
    _note(objective, history, fall_tolerance)
    return EmRun(state, expectation, tuple(history), stop(history))


def _note(objective: float, history: list[float], fall_tolerance: float | None) -> None:
    """Append to the history what must be finite and, if asked for, no less than before."""
    objective = float(objective)
    if not np.isfinite(objective):
        before = f'{history[-1]:.6g}' if history else 'nothing'
        raise FloatingPointError(
            f'the objective of EM is {objective} in iteration {len(history) + 1}, after {before}: '
            'check that all inputs are finite and no variance is zero'
        )
    if fall_tolerance is not None and history:
        allowed = fall_tolerance * max(abs(history[-1]), 1.0)
        if objective < history[-1] - allowed:
            raise AssertionError(
                f'the objective of EM fell from {history[-1]!r} to {objective!r} '
                f'in iteration {len(history) + 1}'
            )
    history.append(objective)


def gain_below(tolerance: float) -> StopRule:
    """Stop when an iteration gains less than `tolerance` [nat]."""

    def stop(history: Sequence[float]) -> bool:
        return len(history) > 1 and history[-1] - history[-2] < tolerance

    return stop


def gain_per_point(tolerance: float, num_points: int) -> StopRule:
    """Stop when an iteration gains at most `tolerance` [nat] for each of `num_points` points."""

    def stop(history: Sequence[float]) -> bool:
        return len(history) > 1 and history[-1] - history[-2] <= tolerance * num_points

    return stop


def relative_gain(tolerance: float) -> StopRule:
    """Stop when a round gains at most `tolerance` of the objective, or of 1 if that is more."""

    def stop(history: Sequence[float]) -> bool:
        if len(history) < 2:
            return False
        return history[-1] - history[-2] <= tolerance * max(abs(history[-1]), 1.0)

    return stop


def relative_change(tolerance: float) -> StopRule:
    """As `relative_gain`, for an objective that may also fall: a large loss does not stop."""

    def stop(history: Sequence[float]) -> bool:
        if len(history) < 2:
            return False
        return abs(history[-1] - history[-2]) <= tolerance * max(abs(history[-1]), 1.0)

    return stop


def gain_since_first(tolerance: float) -> StopRule:
    """Stop when an iteration gains less than `tolerance` times the gain since the first."""

    def stop(history: Sequence[float]) -> bool:
        if len(history) < 3:  # the first gain is all of the gain
            return False
        return history[-1] - history[-2] < tolerance * (history[-1] - history[0])

    return stop


def never(history: Sequence[float]) -> bool:
    """Use up all iterations."""
    return False
