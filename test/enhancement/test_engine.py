# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The whole of EM on planted voices in planted noise."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal, planted_prior, planted_speech

from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.latent_steps import METHODS

FRAMES = 90
BINS = 80


def scene(snr_db=0.0, memory=0.0, tunable=False, seed=0):
    """Prior, spectra of speech, of noise."""
    random = np.random.default_rng(seed)
    prior = planted_prior(BINS, 4, memory, tunable)
    speech, _ = planted_speech(prior, FRAMES, random)
    shape = 1 + np.sin(np.linspace(0, 6, BINS)) ** 2
    noise = complex_normal(np.tile(shape, (FRAMES, 1)), random)
    noise *= np.sqrt(np.mean(np.abs(speech) ** 2) / np.mean(np.abs(noise) ** 2))
    return prior, speech, 10 ** (-snr_db / 20) * noise


def snr_db(found, speech):
    error = np.sum(np.abs(found - speech) ** 2)
    return 10 * np.log10(np.sum(np.abs(speech) ** 2) / error)


def enhanced(method, prior, mixture, **changes):
    config = EngineConfig(method=method, **changes)
    return enhance_power(np.abs(mixture) ** 2, prior, config)


@pytest.mark.parametrize('method', METHODS)
def test_with_the_true_decoder_noise_at_0_db_falls_by_5_db(method):
    prior, speech, noise = scene()
    found = enhanced(method, prior, speech + noise)
    assert snr_db(found.gain * (speech + noise), speech) > 5


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('memory', [0.0, 0.9])
def test_no_m_step_raises_the_cost(method, memory):
    prior, speech, noise = scene(memory=memory)
    costs = enhanced(method, prior, speech + noise).costs
    assert np.all(costs[:, 1] <= costs[:, 0] + 1e-6 * np.abs(costs[:, 0]))


def test_point_estimates_never_raise_the_misfit_from_round_to_round():
    prior, speech, noise = scene()
    costs = []
    for rounds in range(1, 6):
        found = enhanced('peem', prior, speech + noise, iterations=rounds)
        penalty = 0.5 * np.sum(found.latents.astype(float) ** 2)
        costs.append(found.costs[-1, 1] + penalty)
    assert np.all(np.diff(costs) <= 1e-5 * np.abs(costs[:-1]))


def test_gains_lie_between_zero_and_one():
    prior, speech, noise = scene()
    gain = enhanced('peem', prior, speech + noise).gain
    assert gain.min() >= 0 and gain.max() <= 1


def test_without_noise_speech_comes_back():
    prior, speech, noise = scene()
    found = enhanced('peem', prior, speech + 1e-3 * noise)
    assert snr_db(found.gain * speech, speech) > 15


def test_a_guess_that_is_given_is_what_noise_starts_from():
    prior, speech, noise = scene(snr_db=-5.0)
    config = EngineConfig(iterations=1, rank=0)
    known = np.tile(np.mean(np.abs(noise) ** 2, axis=0), (FRAMES, 1))
    power = np.abs(speech + noise) ** 2
    told = enhance_power(power, prior, config, known)
    wrong = enhance_power(power, prior, config, 100 * known)
    mixture = speech + noise
    assert snr_db(told.gain * mixture, speech) > snr_db(wrong.gain * mixture, speech) + 2


@pytest.mark.parametrize('factor', [0.5, 2.0])
def test_a_louder_or_quieter_recording_gets_about_as_clear(factor):
    """Gains of the frames take up what the prior does not expect."""
    prior, speech, noise = scene()
    mixture = speech + noise
    one = enhanced('peem', prior, mixture)
    other = enhanced('peem', prior, factor * mixture)
    difference = snr_db(other.gain * mixture, speech) - snr_db(one.gain * mixture, speech)
    assert abs(difference) < 2.0


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('kind', ['silence', 'one frame', 'constant', 'a click'])
def test_odd_recordings_are_answered(method, kind):
    prior = planted_prior(BINS, 4)
    power = np.zeros((1 if kind == 'one frame' else 20, BINS))
    power[0] = {'silence': 0.0, 'one frame': 1.0, 'constant': 3.0, 'a click': 1e6}[kind]
    if kind == 'constant':
        power[:] = 3.0
    found = enhance_power(power, prior, EngineConfig(method=method, iterations=2))
    assert found.gain.shape == power.shape
    assert np.isfinite(found.gain).all() and np.isfinite(found.costs).all()


def test_the_same_seed_gives_the_same_and_progress_ends_at_one():
    prior, speech, noise = scene()
    power = np.abs(speech + noise) ** 2
    config = EngineConfig(method='mala', iterations=3)
    told = []
    one = enhance_power(power, prior, config, progress=told.append)
    two = enhance_power(power, prior, config)
    np.testing.assert_array_equal(one.gain, two.gain)
    assert told[-1] == 1.0 and np.all(np.diff(told) > 0)


@pytest.mark.parametrize(
    'change', [{'method': 'magic'}, {'iterations': -1}, {'rank': -1}, {'evidence_weight': -1}]
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        EngineConfig(**change)
