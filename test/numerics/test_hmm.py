# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Markov chains against the enumeration of all paths."""

import itertools

import numpy as np
import pytest
from scipy.special import logsumexp

from av_perception.numerics.hmm import forward_backward, forward_step, viterbi

STEPS, STATES, BATCH = 5, 3, 2


def chain(seed=0, forbidden=True):
    """Logarithms: initial (K,), transitions (T - 1, 1, K, K), likelihoods (T, B, K)."""
    random = np.random.default_rng(seed)
    initial = np.log(random.dirichlet(np.ones(STATES)))
    transition = np.log(random.dirichlet(np.ones(STATES), (STEPS - 1, 1, STATES)))
    likelihood = 3 * random.standard_normal((STEPS, BATCH, STATES))
    if forbidden:
        transition[:, :, 0, 2] = -np.inf
        likelihood[2, 0, 1] = -np.inf
    return initial, transition, likelihood


def paths(initial, transition, likelihood, entry, steps=STEPS):
    """All paths (N, T) and log joint probabilities (N,) of one batch entry."""
    every = np.array(list(itertools.product(range(STATES), repeat=steps)))
    log = initial[every[:, 0]] + likelihood[0, entry, every[:, 0]]
    for t in range(1, steps):
        log = log + transition[t - 1, 0, every[:, t - 1], every[:, t]]
        log = log + likelihood[t, entry, every[:, t]]
    return every, log


def test_posteriors_and_evidence_are_sums_over_paths():
    model = chain()
    found = forward_backward(*model)
    for entry in range(BATCH):
        every, log = paths(*model, entry)
        assert found.log_evidence[entry] == pytest.approx(logsumexp(log))
        weight = np.exp(log - logsumexp(log))
        for t, k in np.ndindex(STEPS, STATES):
            expected = weight[every[:, t] == k].sum()
            assert found.states[t, entry, k] == pytest.approx(expected, abs=1e-12)
        for t, k, j in np.ndindex(STEPS - 1, STATES, STATES):
            both = (every[:, t] == k) & (every[:, t + 1] == j)
            assert found.pairs[t, entry, k, j] == pytest.approx(weight[both].sum(), abs=1e-12)


def test_viterbi_finds_the_likeliest_path():
    model = chain(1)
    path, log_probability = viterbi(*model)
    for entry in range(BATCH):
        every, log = paths(*model, entry)
        assert log_probability[entry] == pytest.approx(log.max())
        np.testing.assert_array_equal(path[:, entry], every[log.argmax()])


def test_filter_knows_the_past_only():
    model = chain(2)
    belief, total = model[0] + model[2][0], 0.0
    total = logsumexp(belief, axis=-1)
    belief = belief - total[:, None]
    for t in range(1, STEPS):
        belief, evidence = forward_step(belief, model[1][t - 1], model[2][t])
        total = total + evidence
        for entry in range(BATCH):
            every, log = paths(*model, entry, t + 1)
            assert total[entry] == pytest.approx(logsumexp(log))
            for k in range(STATES):
                ending = log[every[:, -1] == k]
                assert belief[entry, k] == pytest.approx(logsumexp(ending) - logsumexp(log))


def test_one_transition_matrix_for_all_times_and_no_batch():
    initial, transition, likelihood = chain(3)
    fixed = transition[0, 0]
    repeated = np.tile(fixed, (STEPS - 1, BATCH, 1, 1))
    alone = forward_backward(initial, fixed, likelihood[:, 1])
    together = forward_backward(initial, repeated, likelihood)
    np.testing.assert_allclose(alone.states, together.states[:, 1])
    np.testing.assert_allclose(alone.pairs, together.pairs[:, 1])
    path, _ = viterbi(initial, fixed, likelihood[:, 1])
    np.testing.assert_array_equal(path, viterbi(initial, repeated, likelihood)[0][:, 1])


def test_a_thousand_steps_of_tiny_likelihoods():
    initial, transition, _ = chain(4, forbidden=False)
    likelihood = np.full((1000, STATES), -800.0)
    found = forward_backward(initial, transition[0, 0], likelihood)
    assert found.log_evidence == pytest.approx(-800000.0)
    np.testing.assert_allclose(found.states.sum(axis=-1), 1.0)


def test_an_impossible_sequence_has_no_posterior():
    initial, transition, likelihood = chain(5)
    likelihood[3, 0] = -np.inf
    found = forward_backward(initial, transition, likelihood)
    assert found.log_evidence[0] == -np.inf
    assert (found.states[:, 0] == 0).all() and (found.pairs[:, 0] == 0).all()
    np.testing.assert_allclose(found.states[:, 1].sum(axis=-1), 1.0)


def test_a_single_observation():
    initial, transition, likelihood = chain(6, forbidden=False)
    found = forward_backward(initial, transition[:0], likelihood[:1])
    joint = initial + likelihood[0]
    np.testing.assert_allclose(found.log_evidence, logsumexp(joint, axis=-1))
    assert found.pairs.shape == (0, BATCH, STATES, STATES)
