# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Hidden Markov chains in the log domain: filter, forward-backward, Viterbi.

    p(z_0) p(x_0 | z_0) prod_t p(z_t | z_t-1) p(x_t | z_t),   z_t in 0..K-1

All arrays may have batch axes between time and states. Transition factors need not be normalized
(expected log factors of a variational EM are not); evidences are then the logarithms of the sum
over all paths. Source: Rabiner, "A tutorial on hidden Markov models and selected applications in
speech recognition", Proc. IEEE 77(2), 1989.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.softmax import log_sum_exp


@dataclass(frozen=True)
class ChainPosterior:
    """What the whole sequence says of the states.

    states: (T, ..., K) p(z_t | x); pairs: (T - 1, ..., K, K) p(z_t, z_t+1 | x), row z_t;
    log_evidence: (...) log p(x). All zeros, and -inf, for a sequence that the model excludes.
    """

    states: np.ndarray
    pairs: np.ndarray
    log_evidence: np.ndarray


def forward_step(log_belief, log_transition, log_likelihood) -> tuple[np.ndarray, np.ndarray]:
    """One step of the filter.

    Parameters
    ----------
    log_belief
        (..., K) log p(z_t-1 | x_0..x_t-1).
    log_transition
        (..., K, K) log p(z_t | z_t-1), row z_t-1, column z_t.
    log_likelihood
        (..., K) log p(x_t | z_t); zeros where nothing was observed.

    Returns
    -------
    log_belief
        (..., K) log p(z_t | x_0..x_t).
    log_evidence
        (...) log p(x_t | x_0..x_t-1).
    """
    predicted = log_sum_exp(log_belief[..., :, None] + log_transition, axis=-2)
    return _normalized(predicted + log_likelihood)


def forward_backward(log_initial, log_transition, log_likelihood) -> ChainPosterior:
    """Posteriors of all states and of all pairs of neighbors, given the whole sequence.

    Parameters
    ----------
    log_initial
        (..., K) log p(z_0), which may be shared by the batch.
    log_transition
        (K, K) at all times, or (T - 1, ..., K, K), entry t leading from z_t to z_t+1.
    log_likelihood
        (T, ..., K) log p(x_t | z_t).

    Returns
    -------
    ChainPosterior
        Posteriors and log evidence.
    """
    log_likelihood = np.asarray(log_likelihood)
    transitions = _over_time(log_transition, len(log_likelihood) - 1)
    belief, evidence = _normalized(log_initial + log_likelihood[0])
    beliefs, evidences = [belief], [evidence]
    for transition, likelihood in zip(transitions, log_likelihood[1:]):
        belief, evidence = forward_step(belief, transition, likelihood)
        beliefs.append(belief)
        evidences.append(evidence)
    states, pairs = _smoothed(beliefs, transitions, log_likelihood)
    shape = (len(transitions), *belief.shape, belief.shape[-1])
    total = np.sum(evidences, axis=0)
    possible = np.isfinite(total)[..., None]  # an excluded sequence has no posterior anywhere
    return ChainPosterior(
        np.array(states) * possible,
        np.array(pairs).reshape(shape) * possible[..., None],
        total,
    )


def _smoothed(beliefs, transitions, log_likelihood) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Run backwards: posteriors of the states and of the pairs of neighbors, in order of time.

    message_t(z_t) = log p(x_t+1.. | z_t), up to a constant.
    """
    message = np.zeros_like(beliefs[-1])
    states = [np.exp(beliefs[-1])]
    pairs = []
    for t in range(len(transitions) - 1, -1, -1):
        ahead = transitions[t] + (log_likelihood[t + 1] + message)[..., None, :]
        joint = beliefs[t][..., :, None] + ahead
        flat, _ = _normalized(joint.reshape(*joint.shape[:-2], -1))
        pair = np.exp(flat).reshape(joint.shape)
        pairs.append(pair)
        states.append(pair.sum(axis=-1))
        message, _ = _normalized(log_sum_exp(ahead))
    return states[::-1], pairs[::-1]


def viterbi(log_initial, log_transition, log_likelihood) -> tuple[np.ndarray, np.ndarray]:
    """Find the likeliest path.

    Parameters
    ----------
    log_initial, log_transition, log_likelihood
        As for `forward_backward`.

    Returns
    -------
    path
        (T, ...) states; of equally likely ones the first.
    log_probability
        (...) log p(path, x).
    """
    log_likelihood = np.asarray(log_likelihood)
    transitions = _over_time(log_transition, len(log_likelihood) - 1)
    best = log_initial + log_likelihood[0]
    origins = []
    for transition, likelihood in zip(transitions, log_likelihood[1:]):
        arriving = best[..., :, None] + transition
        origins.append(arriving.argmax(axis=-2))
        best = arriving.max(axis=-2) + likelihood
    path = [best.argmax(axis=-1)]
    for origin in origins[::-1]:
        path.append(np.take_along_axis(origin, path[-1][..., None], axis=-1)[..., 0])
    return np.array(path[::-1]), best.max(axis=-1)


def _normalized(log_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(..., K) minus the logarithm of its sum, and that (...); what sums to zero stays -inf."""
    total = log_sum_exp(log_values, keepdims=True)
    return log_values - np.where(np.isfinite(total), total, 0.0), total[..., 0]


def _over_time(log_transition: np.ndarray, count: int) -> np.ndarray:
    """(count, ..., K, K)."""
    log_transition = np.asarray(log_transition)
    if log_transition.ndim == 2:
        return np.broadcast_to(log_transition, (count, *log_transition.shape))
    return log_transition
