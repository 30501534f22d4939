# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learning of piecewise-linear dynamical systems: pieces by GLLiM, dynamics by variational EM.

The static set is learned off line from labeled pairs, and the number of pieces with it: by BIC, or
by what helps with people or rooms that were left out. The dynamic set follows from sequences of
observations: the smoother's cycle is the E-step, and the M-step regresses every state on the one
before. The bound never falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.numerics.em import relative_gain, run_em
from av_perception.numerics.gaussian import LOG_2PI, symmetrize
from av_perception.numerics.gllim import Gllim, GllimConfig, fit_gllim
from av_perception.numerics.plds import PieceDynamics, Plds, evidence_of, gate_of, gated_chain
from av_perception.numerics.plds_filter import filter_plds
from av_perception.numerics.plds_steps import SmoothedPlds, motion_moments, smoothing_cycle
from av_perception.numerics.softmax import log_softmax, log_sum_exp


@dataclass(frozen=True)
class PldsLearningConfig:
    """How the dynamic set is learned."""

    #: Largest number of iterations.
    iterations: int = 100
    #: The EM ends when an iteration gains at most this share of the bound.
    tolerance: float = 1e-6
    #: Pseudo-counts of every change from piece to piece.
    switching_counts: float = 0.0
    #: Whether tau and pi are learned; with a gate they stay, since it is a part of them.
    learn_switching: bool = True
    #: Columns of [C d] that stay, L for d: components of the state that the motion does not
    #: depend on.
    kept_columns: tuple[int, ...] = ()

    def __post_init__(self):
        if self.iterations < 1 or min(self.tolerance, self.switching_counts) < 0:
            raise ValueError(
                'iterations must be at least 1, tolerance and switching_counts at least 0'
            )


@dataclass(frozen=True)
class LearnedPlds:
    """A model with the bound (and log prior of tau) after every iteration."""

    model: Plds
    history: tuple[float, ...]


def bayesian_information(gllim: Gllim, num_pairs: int) -> float:
    """BIC = P log N - 2 log L of a learned regression; the least is the best."""
    pieces, outputs, inputs = gllim.slope.shape
    latent = gllim.loading.shape[2]
    mixture = 1 + inputs + inputs * (inputs + 1) // 2
    affine = outputs * (inputs + latent + 2)
    parameters = pieces * (mixture + affine) - 1
    return parameters * float(np.log(num_pairs)) - 2 * gllim.objective[-1]


def fit_by_information(
    inputs: np.ndarray,
    outputs: np.ndarray,
    candidates: Sequence[int],
    config: GllimConfig,
    output_noise: float | np.ndarray = 1e-3,
) -> Gllim:
    """Learn a regression with the number of pieces that has the least BIC.

    Parameters
    ----------
    inputs, outputs, config, output_noise
        See `fit_gllim`; the number of pieces of the configuration does not count.
    candidates
        Numbers of pieces to try.
    """
    models = [
        fit_gllim(inputs, outputs, replace(config, num_pieces=count), output_noise)
        for count in candidates
    ]
    return min(models, key=lambda model: bayesian_information(model, len(inputs)))


def fit_across_groups(
    groups: Sequence[tuple[np.ndarray, np.ndarray]],
    candidates: Sequence[int],
    config: GllimConfig,
    output_noise: float | np.ndarray = 1e-3,
) -> Gllim:
    """Learn a regression with as many pieces as help with a group left out.

    Where observations of a group (a person, a room) have something in common, BIC counts them as
    more than they are and asks for too many pieces. Here every group is left out once, and its
    log density is taken under what is learned from the others. Of the numbers of pieces that are
    no worse than the best by more than one standard error, the least is taken (Breiman et al.,
    Classification and Regression Trees, 1984).

    Parameters
    ----------
    groups
        Inputs (N, L) and outputs (N, D) of each; two groups at least.
    candidates
        Numbers of pieces to try, growing.
    config, output_noise
        See `fit_gllim`; the number of pieces of the configuration does not count.
    """
    if len(groups) < 2:
        raise ValueError(f'two groups are needed to leave one out, not {len(groups)}')

    def learn(chosen: Sequence[tuple[np.ndarray, np.ndarray]], count: int) -> Gllim:
        inputs, outputs = (np.concatenate(part) for part in zip(*chosen))
        return fit_gllim(inputs, outputs, replace(config, num_pieces=count), output_noise)

    def left_out(count: int, k: int) -> float:
        model = learn([*groups[:k], *groups[k + 1 :]], count)
        return float(conditional_log_density(model, *groups[k]).mean())

    scores = np.array([[left_out(c, k) for k in range(len(groups))] for c in candidates])
    return learn(groups, candidates[_simplest(scores)])


def _simplest(scores: np.ndarray) -> int:
    """First row of (C, G) scores that is as good as the best but for one standard error."""
    behind = scores[scores.mean(axis=1).argmax()] - scores
    error = behind.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return int(np.flatnonzero(behind.mean(axis=1) <= error)[0])


def conditional_log_density(model: Gllim, inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return log p(y | x), (N,), of outputs (N, D) given inputs (N, L)."""
    log_weight = log_softmax(model.pieces.log_joint(inputs))
    mean = np.einsum('kdi,ni->nkd', model.slope, inputs) + model.offset
    variance = model.marginal_variance
    square = (outputs[:, None] - mean) ** 2 / variance
    log_density = -0.5 * (square + np.log(variance) + LOG_2PI).sum(axis=-1)
    return log_sum_exp(log_weight + log_density, axis=1)


def learn_dynamics(
    model: Plds, sequences: Sequence[np.ndarray], config: PldsLearningConfig | None = None
) -> LearnedPlds:
    """Learn the dynamic set; the static set stays.

    Parameters
    ----------
    model
        Where to start; whether its dynamics are shared by the pieces stays. Its gate is evaluated
        where the filter of this model predicts the states, and kept.
    sequences
        (T, D) observations each, NaN where nothing was measured; T at least 2.
    config
        How to learn.
    """
    config = config or PldsLearningConfig()
    if model.gate is not None:
        config = replace(config, learn_switching=False)
    data = [_Sequence(model, values) for values in sequences]

    def expect(state: _State) -> tuple[float, list[SmoothedPlds]]:
        current, weights = state
        cycles = [one.cycle(current, q) for one, q in zip(data, weights)]
        prior = config.switching_counts * current.log_switching.sum() if _counts(config) else 0.0
        return sum(cycle.bound for cycle in cycles) + prior, cycles

    def maximize(cycles: list[SmoothedPlds], state: _State) -> _State:
        return _maximized(state[0], cycles, config), [cycle.pieces.states for cycle in cycles]

    start = model, [one.start for one in data]
    stop = relative_gain(config.tolerance)
    run = run_em(start, expect, maximize, stop, config.iterations)
    return LearnedPlds(run.state[0], run.history)


_State = tuple[Plds, list[np.ndarray]]  # the model, and q(z) of every sequence


def _counts(config: PldsLearningConfig) -> bool:
    return config.learn_switching and config.switching_counts > 0


class _Sequence:
    """One sequence with what does not change while the dynamics are learned."""

    def __init__(self, model: Plds, values: np.ndarray):
        filtered = filter_plds(model, values)
        self._evidence = evidence_of(model.observation, values)
        self._log_gate = gate_of(model, filtered.predicted_means, filtered.predicted_covariances)
        self.start = filtered.pieces

    def cycle(self, model: Plds, weights: np.ndarray) -> SmoothedPlds:
        chain = gated_chain(model, self._log_gate)
        return smoothing_cycle(model.dynamics, self._evidence, chain, weights)


def _maximized(model: Plds, cycles: list[SmoothedPlds], config: PldsLearningConfig) -> Plds:
    """M-step of the dynamic set."""
    dynamics = _fit_motion(model.dynamics, cycles, config.kept_columns)
    if not config.learn_switching:
        return replace(model, dynamics=dynamics)
    first = np.mean([cycle.pieces.states[0] for cycle in cycles], axis=0)
    pairs = sum(cycle.pieces.pairs.sum(axis=0) for cycle in cycles) + config.switching_counts
    with np.errstate(divide='ignore'):  # what never happened has the probability zero
        log_initial = np.log(first)
        log_switching = np.log(pairs / np.maximum(pairs.sum(axis=1, keepdims=True), 1e-300))
    # Rows of pieces that never were stay as they are.
    visited = pairs.sum(axis=1) > 0
    log_switching = np.where(visited[:, None], log_switching, model.log_switching)
    return replace(model, dynamics=dynamics, log_initial=log_initial, log_switching=log_switching)


def _fit_motion(
    dynamics: PieceDynamics, cycles: list[SmoothedPlds], kept: tuple[int, ...]
) -> PieceDynamics:
    """Regress x_t on x_t-1 in every piece: [C d] = [E10 s1] [E00 s0; s0' n]^-1, then G.

    Where columns of [C d] are kept, the others regress what these leave.
    """
    mean = np.mean([cycle.states.means[0] for cycle in cycles], axis=0)
    spread = [
        cycle.states.covariances[0] + np.outer(shift, shift)
        for cycle in cycles
        for shift in [cycle.states.means[0] - mean]
    ]
    weights = [_motion_weights(dynamics, cycle) for cycle in cycles]
    sums = [_regression_sums(cycle, weight) for cycle, weight in zip(cycles, weights)]
    crossed = np.sum([one[0] for one in sums], axis=0)
    squared = np.sum([one[1] for one in sums], axis=0)
    # Pieces that never move keep their dynamics.
    mass = squared[:, -1, -1]
    moves = mass > dynamics.mean.size + 1
    affine = np.concatenate([dynamics.transition, dynamics.drift[..., None]], axis=-1)
    free = np.setdiff1d(np.arange(affine.shape[-1]), kept)
    rest = crossed - affine[..., list(kept)] @ squared[:, list(kept)]
    normal = squared[:, free[:, None], free]
    regular = np.where(moves[:, None, None], normal, np.eye(len(free)))
    slopes = np.linalg.solve(regular, rest[..., free].swapaxes(1, 2)).swapaxes(1, 2)
    affine[..., free] = np.where(moves[:, None, None], slopes, affine[..., free])
    moved = PieceDynamics(
        mean, np.mean(spread, axis=0), affine[..., :-1], affine[..., -1], dynamics.noise
    )
    total = sum(
        np.einsum('tk,tkij->kij', weight, motion_moments(moved, cycle.states))
        for weight, cycle in zip(weights, cycles)
    )
    noise = symmetrize(total / np.maximum(mass, 1e-300)[:, None, None])
    noise[~moves] = dynamics.noise[~moves]
    return replace(moved, noise=noise)


def _motion_weights(dynamics: PieceDynamics, cycle: SmoothedPlds) -> np.ndarray:
    """(T - 1, M) weights of the steps in the regression of every piece."""
    weights = cycle.pieces.states[1:]
    return np.ones((len(weights), 1)) if dynamics.is_shared else weights


def _regression_sums(cycle: SmoothedPlds, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, L, L + 1) sums of x_t [x_t-1; 1]' and (M, L + 1, L + 1) of [x_t-1; 1] [x_t-1; 1]'."""
    states = cycle.states
    ones = np.ones((len(weights), 1))
    before = np.concatenate([states.means[:-1], ones], axis=1)
    after = states.means[1:]
    crossed = after[:, :, None] * before[:, None]
    crossed[..., :-1] += states.lag_one.swapaxes(1, 2)
    squared = before[:, :, None] * before[:, None]
    squared[:, :-1, :-1] += states.covariances[:-1]
    return np.einsum('tk,tij->kij', weights, crossed), np.einsum('tk,tij->kij', weights, squared)
