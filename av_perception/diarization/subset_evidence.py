# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well each subset of the people explains the bins of a block.

Under subset e the log ratios l_rn of row r and person n come from a mixture of its members and of
diffuse sound (n = 0, l_r0 = 0): S_e = max over w of sum_r log sum_n w_n exp(l_rn), by EM.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

ITERATIONS = 5


@lru_cache(maxsize=16)
def subset_table(count: int) -> np.ndarray:
    """(2^J, J) bool, read-only: row e names the members of subset e; bit n of e is person n."""
    table = (np.arange(2**count)[:, None] >> np.arange(count)) & 1 == 1
    table.flags.writeable = False
    return table


def subset_evidence(
    ratios: np.ndarray, members: np.ndarray, iterations: int = ITERATIONS
) -> tuple[np.ndarray, np.ndarray]:
    """Log evidence of subsets relative to diffuse sound alone, and the shares of their members.

    Parameters
    ----------
    ratios
        (R, J) log ratio of every row and person to diffuse sound.
    members
        (E, J) bool.
    iterations
        Of the EM.

    Returns
    -------
    (E,) array
        Evidence.
    (E, J) array
        Weights of the mixtures (the rest of one is diffuse).
    """
    possible = np.concatenate([np.ones((len(members), 1), bool), members], axis=1).astype(float)
    weight = possible / possible.sum(axis=1, keepdims=True)
    if not len(ratios):
        return np.zeros(len(members)), weight[:, 1:] * 0.0
    # Relative to the largest term of each row, which may be far beyond a float's range.
    peak = np.maximum(ratios.max(axis=1, initial=0.0), 0.0).astype(float)
    below_peak = np.concatenate([-peak[:, None], ratios - peak[:, None]], axis=1)
    density = np.exp(below_peak)  # (R, 1 + J)
    for _ in range(iterations):
        mixture = np.maximum(density @ weight.T, 1e-300)  # (R, E)
        weight *= ((1 / mixture).T @ density) / len(ratios)  # EM
    mixture = np.maximum(density @ weight.T, 1e-300)
    return np.log(mixture).sum(axis=0) + peak.sum(), weight[:, 1:]
