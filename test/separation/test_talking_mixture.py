# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Joint separation and diarization: exact likelihoods, planted activity."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from moving_mixtures import any_model, complex_normal, planted_sources

from av_perception.numerics.complex_gaussian import log_complex_normal
from av_perception.separation.source_powers import FixedPowers
from av_perception.separation.talking_mixture import (
    TalkingMixture,
    all_states,
    expect,
    maximize,
    persistent_transition,
    talking_images,
)


def talking(seed=0, frames=30, microphones=3, sources=2, bins=4, **guess) -> TalkingMixture:
    start = any_model(seed, frames, microphones, sources, bins, **guess)
    states = all_states(sources)
    count = len(states)
    return TalkingMixture(
        start.spectra,
        start.powers,
        start.noise,
        start.evolution.mean,
        states,
        np.full(count, 1 / count),
        persistent_transition(states, 0.1),
    )


@pytest.mark.parametrize('sources', [1, 2, 3])
def test_no_round_lowers_the_likelihood(sources):
    model = talking(sources=sources)
    likelihoods = []
    for _ in range(30):
        found = expect(model)
        likelihoods.append(found.log_likelihood)
        model = maximize(model, found)
    steps = np.diff(likelihoods)
    assert steps.min() > -1e-4 and likelihoods[-1] > likelihoods[0] + 10


def test_likelihood_and_activity_equal_a_sum_over_all_paths():
    model = talking(frames=3, bins=2)
    power = model.powers.power
    paths = list(itertools.product(range(4), repeat=3))
    log_probabilities = []
    for path in paths:
        total = np.log(model.initial[path[0]])
        total += sum(np.log(model.transition[a, b]) for a, b in itertools.pairwise(path))
        for frame, state in enumerate(path):
            for f in range(2):
                mixing = model.filters[..., f] * model.states[state]
                covariance = (mixing * power[frame, :, f]) @ mixing.conj().T
                covariance = covariance + model.noise[f] * np.eye(3)
                total += log_complex_normal(model.spectra[frame, :, f], covariance)
        log_probabilities.append(total)
    found = expect(model)
    assert found.log_likelihood == pytest.approx(np.logaddexp.reduce(log_probabilities))
    weights = np.exp(np.array(log_probabilities) - found.log_likelihood)
    for frame, source in itertools.product(range(3), range(2)):
        talks = [model.states[path[frame], source] for path in paths]
        assert found.activity[frame, source] == pytest.approx(weights @ talks)


def test_the_images_of_one_state_are_wiener_estimates():
    model = talking(frames=4, bins=2)
    always = TalkingMixture(
        model.spectra,
        model.powers,
        model.noise,
        model.filters,
        np.ones((1, 2), bool),
        np.ones(1),
        np.ones((1, 1)),
    )
    images = talking_images(always, expect(always))
    power = model.powers.power
    for frame, f in itertools.product(range(4), range(2)):
        mixing = model.filters[..., f]
        covariance = (mixing * power[frame, :, f]) @ mixing.conj().T + model.noise[f] * np.eye(3)
        whitened = np.linalg.solve(covariance, model.spectra[frame, :, f])
        expected = mixing * (power[frame, :, f] * (mixing.conj().T @ whitened))
        np.testing.assert_allclose(images[frame, ..., f], expected, atol=1e-10)


def planted(seed, frames=150, bins=16, sources=3):
    """Who talks when, and their mixture; powers are known but for silence."""
    rng = np.random.default_rng(seed)
    talks = np.repeat(rng.random((frames // 15, sources)) < 0.6, 15, axis=0)
    sounds, power = planted_sources(rng, frames, sources, bins)
    filters = complex_normal(rng, 3, sources, bins)
    clean = np.einsum('ijf,ljf,lj->lif', filters, sounds, talks)
    noise = 0.1 * complex_normal(rng, frames, 3, bins)
    rough = filters + 0.5 * complex_normal(rng, *filters.shape)
    states = all_states(sources)
    count = len(states)
    return talks, TalkingMixture(
        clean + noise,
        FixedPowers(power),
        np.full(bins, 0.1),
        rough,
        states,
        np.full(count, 1 / count),
        persistent_transition(states, 0.05),
    )


@pytest.mark.parametrize('seed', [0, 1])
def test_planted_activity_is_found(seed):
    talks, model = planted(seed)
    for _ in range(15):
        model = maximize(model, expect(model))
    found = expect(model).activity > 0.5
    assert np.mean(found == talks) > 0.95
    assert np.mean(found[talks]) > 0.93 and np.mean(found[~talks]) < 0.07


def test_what_others_say_of_activity_counts():
    model = talking(frames=5)
    silent = np.where(model.states.any(axis=1), -1e6, 0.0)
    assert expect(model, np.tile(silent, (5, 1))).activity.max() < 1e-6


def test_transitions_are_those_of_independent_people():
    states = all_states(2)
    transition = persistent_transition(states, 0.1)
    np.testing.assert_allclose(transition.sum(axis=1), 1.0)
    assert transition[0, 3] == pytest.approx(0.01)
    assert transition[1, 1] == pytest.approx(0.81)


@pytest.mark.parametrize('count', [0, 5])
def test_more_than_four_people_are_too_many(count):
    with pytest.raises(ValueError, match='1 to 4'):
        all_states(count)
