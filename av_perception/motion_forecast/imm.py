# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stops and turns: forecasts by the interacting multiple models of `motion_modes`, and a gate.

The places of the last seconds are filtered, which tells how somebody moves now; the chain of modes
then runs on without places. The gate blends its mean with lines and scales its deviations. Height
is apart: it stays what it was, more and more loosely.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.motion_modes import (
    MODES,
    ModesConfig,
    ModeStates,
    MotionModes,
    update,
)
from av_perception.motion_forecast.path_gate import (
    Gate,
    expert_weights,
    features,
    gaussian_radii,
    line_experts,
    region_radii,
)
from av_perception.motion_forecast.path_gaussian import PathGaussian
from av_perception.numerics.gaussian import matvec

STEP_S = 0.1  # longest of the chain ahead


@dataclass(frozen=True)
class ImmConfig:
    """The modes, and what is known of heights."""

    #: how people move
    modes: ModesConfig = ModesConfig()
    #: [m] standard deviation of the height after a second
    height: float = 0.05


class ImmForecast:
    """The forecast of everybody: moments and draws of the same chain.

    Attributes
    ----------
    now : ModeStates
        How people move now.
    chain : PathGaussian
        What the chain of modes says.
    paths : PathGaussian
        The forecast: the same, by the gate. Its covariances are such that a Gaussian's region of
        95 % holds the truth in 95 % of cases.
    radii : np.ndarray
        (N, H, 2) standard deviations within which the truth lies in 68 and 95 % of cases.
    """

    def __init__(
        self,
        histories: Histories,
        horizons_s: np.ndarray,
        config: ImmConfig,
        gate: Gate | None = None,
    ):
        """Forecast N people, each with one place at least.

        Parameters
        ----------
        histories
            Their places.
        horizons_s
            (H,) [s], growing.
        config
            The modes.
        gate
            None believes the chain alone.
        """
        self._config = config
        self._modes = _modes_of(config.modes)
        self._horizons_s = horizons_s
        self.now = filtered(histories, self._modes, config.modes)
        self._heights, self._height_variances = _heights(histories)
        self.chain = self._run()
        shape = self.chain.means.shape[:2]
        self._factors = np.ones(shape)  # of draws
        self.radii = np.broadcast_to(gaussian_radii(), (*shape, 2))
        self.paths = self.chain
        if gate is not None:
            self.paths = self._gated(histories, gate)

    def _run(self) -> PathGaussian:
        states = self.now
        shape = (len(states.means), len(self._horizons_s), 3)
        means = np.empty(shape)
        covariances = np.zeros((*shape, 3))
        for k, steps_s in enumerate(self._steps()):
            for step_s in steps_s:
                states = self._modes.predict_all(states, float(step_s))
            means[:, k, :2], covariances[:, k, :2, :2] = _moments(states)
        means[..., 2] = self._heights[:, None]
        growth = (self._config.height * self._horizons_s) ** 2
        covariances[..., 2, 2] = self._height_variances[:, None] + growth
        return PathGaussian(means, covariances)

    def _gated(self, histories: Histories, gate: Gate) -> PathGaussian:
        outputs = gate(features(histories, self.now))
        inner, outer = np.moveaxis(region_radii(outputs, self._horizons_s), 2, 0)
        # The chain stops, turns and goes on by itself: wider, its walks would run away.
        self._factors = np.minimum(np.sqrt(inner * outer), 1.0)
        self.radii = gaussian_radii() * np.stack([inner / outer, np.ones_like(outer)], 2)
        means = self.chain.means.copy()
        lines = line_experts(histories, self._horizons_s)
        experts = np.concatenate([lines, means[:, None, :, :2]], 1)
        means[..., :2] = np.einsum('ne,nehi->nhi', expert_weights(outputs), experts)
        covariances = self.chain.covariances.copy()
        covariances[..., :2, :2] *= outer[..., None, None] ** 2
        return PathGaussian(means, covariances)

    def draw(self, num_samples: int, random: np.random.Generator) -> np.ndarray:
        """Draw (N, S, H, 3) walks [m]: each changes its modes by itself, so stops are stops."""
        count = len(self.now.means)
        rows = np.arange(count)[:, None]
        modes = _choose(self.now.probabilities[:, None].repeat(num_samples, 1), random)
        roots = np.linalg.cholesky(self.now.covariances + 1e-9 * np.eye(4))
        noise = random.standard_normal((count, num_samples, 4))
        states = self.now.means[rows, modes] + matvec(roots[rows, modes], noise)
        walks = np.empty((count, num_samples, len(self._horizons_s), 3))
        for k, steps_s in enumerate(self._steps()):
            for step_s in steps_s:
                modes, states = self._step(modes, states, step_s, random)
            walks[:, :, k, :2] = states[..., :2]
        chain = self.chain.means[:, None]
        means = self.paths.means[:, None]
        sigma = np.sqrt(self.paths.covariances[..., 2, 2])[:, None]
        walks[..., 2] = means[..., 2] + sigma * random.standard_normal((count, num_samples, 1))
        factors = self._factors[:, None, :, None]
        walks[..., :2] = means[..., :2] + factors * (walks[..., :2] - chain[..., :2])
        return walks

    def _step(self, modes, states, step_s: float, random):
        """Let every walk change its mode, and move."""
        step = self._modes.step(float(step_s))
        modes = _choose(step.transitions[0][modes], random)
        push = matvec(step.noise_roots[modes], random.standard_normal(states.shape))
        return modes, matvec(step.motion[0][modes], states) + push

    def _steps(self) -> list[np.ndarray]:
        """Give the steps [s] that lead from horizon to horizon."""
        gaps = np.diff(self._horizons_s, prepend=0.0)
        counts = np.maximum(np.ceil(gaps / STEP_S - 1e-6).astype(int), 1)
        return [np.full(count, gap / count) for gap, count in zip(gaps, counts)]


@cache
def _modes_of(config: ModesConfig) -> MotionModes:
    """Make the modes once: they keep the matrices of their steps."""
    return MotionModes(config)


def filtered(histories: Histories, modes: MotionModes, config: ModesConfig) -> ModeStates:
    """How N people move now, by their places so far.

    Parameters
    ----------
    histories
        Their places.
    modes
        The models.
    config
        What places are worth: errors of neighbors are alike, and heads sway.
    """
    seen = np.isfinite(histories.ages)
    places = histories.positions[..., :2]
    spreads = np.nan_to_num(histories.covariances[..., :2, :2])
    spreads = spreads * _repetitions(histories.ages, config.correlation_s)[..., None, None]
    spreads += (config.sway**2 + 1e-6) * np.eye(2)
    rows = np.arange(len(seen))
    first = seen.argmax(1)
    states = modes.start(places[rows, first], spreads[rows, first])
    ages = histories.ages[rows, first]
    for t in range(first.min() + 1, seen.shape[1]):
        is_new = seen[:, t] & (t > first)
        steps_s = np.where(is_new, ages - histories.ages[:, t], 0.0)
        ages = ages - steps_s
        states = modes.predict(states, steps_s)
        states = update(states, places[:, t], spreads[:, t], is_new)
    return modes.predict(states, ages)


def _repetitions(ages: np.ndarray, correlation_s: float) -> np.ndarray:
    """(N, T) how often an error shows, by the mean period of each person's places."""
    count = np.isfinite(ages).sum(1)
    span = np.nanmax(ages, 1) - np.nanmin(ages, 1)
    period_s = np.maximum(span, 0.05) / np.maximum(count - 1, 1)
    repetitions = np.maximum(correlation_s / period_s, 1.0)
    return np.broadcast_to(repetitions[:, None], ages.shape)


def _heights(histories: Histories) -> tuple[np.ndarray, np.ndarray]:
    """Mean (N,) and variance (N,) of the newest heights."""
    weights = np.where(
        np.isfinite(histories.ages), np.exp(-np.nan_to_num(histories.ages) / 0.3), 0.0
    )
    weights /= weights.sum(1, keepdims=True)
    heights = (weights * np.nan_to_num(histories.positions[..., 2])).sum(1)
    variances = (weights * np.nan_to_num(histories.covariances[..., 2, 2])).sum(1)
    return heights, variances + 0.015**2


def _moments(states: ModeStates) -> tuple[np.ndarray, np.ndarray]:
    """Mean (N, 2) and covariance (N, 2, 2) of the place over all modes."""
    weights = states.probabilities[..., None]
    places = states.means[..., :2]
    means = (weights * places).sum(1)
    around = places - means[:, None]
    spread = states.covariances[..., :2, :2] + around[..., :, None] * around[..., None, :]
    return means, (weights[..., None] * spread).sum(1)


def _choose(probabilities: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(...) index of the mode, drawn with probabilities (..., M)."""
    bounds = np.cumsum(probabilities, axis=-1)
    drawn = random.random((*probabilities.shape[:-1], 1)) * bounds[..., -1:]
    return np.minimum((drawn > bounds).sum(-1), len(MODES) - 1)
