# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Variational smoother of a piecewise-linear dynamical system: q(x_1..x_T) q(z_1..z_T).

Both factors keep their chain, and every cycle improves one after the other (`plds_steps`): the
bound of the log-likelihood never falls. With one piece it is Kalman's smoother, and the bound is
the log-likelihood.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from av_perception.numerics.em import gain_below, run_em
from av_perception.numerics.plds import Plds, evidence_of, gate_of, gated_chain
from av_perception.numerics.plds_filter import filter_plds
from av_perception.numerics.plds_steps import SmoothedPlds, smoothing_cycle


def smooth_plds(
    model: Plds,
    values: np.ndarray,
    noise_scale: np.ndarray | float = 1.0,
    start: np.ndarray | None = None,
    iterations: int = 50,
    tolerance: float = 1e-6,
) -> SmoothedPlds:
    """Smooth a sequence.

    Parameters
    ----------
    model
        The model. A gate is evaluated where the filter predicts the state, and kept.
    values
        (T, D) observations, NaN where nothing was measured.
    noise_scale
        See `evidence_of`.
    start
        (T, K) first q(z); None takes the filter's.
    iterations, tolerance
        Largest number of cycles; a gain of less than this [nat] ends them.
    """
    evidence = evidence_of(model.observation, values, noise_scale)
    filtered = filter_plds(model, values, noise_scale)
    log_gate = gate_of(model, filtered.predicted_means, filtered.predicted_covariances)
    chain = gated_chain(model, log_gate)
    if start is None:
        start = filtered.pieces

    run = run_em(
        start,
        lambda weights: _with_bound(smoothing_cycle(model.dynamics, evidence, chain, weights)),
        lambda cycle, _: cycle.pieces.states,
        gain_below(tolerance),
        iterations,
    )
    return replace(run.expectation, history=run.history)


def _with_bound(cycle: SmoothedPlds) -> tuple[float, SmoothedPlds]:
    return cycle.bound, cycle
