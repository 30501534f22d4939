# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Planted voices out of one channel, told apart by planted faces."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal, planted_prior, planted_speech

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seen_prior import seen_prior
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.audio_visual.voices import Mixture, VoicesConfig, separate_power
from av_perception.enhancement.engine import EngineConfig, enhance_power
from av_perception.enhancement.latent_steps import METHODS, LatentStepConfig
from av_perception.enhancement.noise_model import start_noise

BINS = 120
LATENTS = 6
FRAMES = 70
SEPARATING = [name for name in METHODS if name != 'vem']


def scene(count=2, r2=0.95, seed=0):
    """Spectra of voices (J, T, F) and of the mixture, priors that see each."""
    random = np.random.default_rng(seed)
    prior = planted_prior(BINS, LATENTS)
    visual = LinearVisualPrior(
        np.sqrt(r2) * np.eye(LATENTS), np.zeros(LATENTS), np.full(LATENTS, 1 - r2)
    )
    voices = []
    seen = []
    for _ in range(count):
        speech, latents = planted_speech(prior, FRAMES, random)
        noise = random.standard_normal(latents.shape)
        values = np.sqrt(r2) * latents + np.sqrt(1 - r2) * noise
        voices.append(speech)
        seen.append(seen_prior(prior, visual, VisualFeatures(values, np.ones(FRAMES))))
    level = np.mean(np.abs(voices) ** 2)
    noise = complex_normal(np.full((FRAMES, BINS), 0.02 * level), random)
    return np.array(voices), np.sum(voices, axis=0) + noise, seen


def separated(mixture, seen, **changes):
    power = np.abs(mixture) ** 2
    guess = np.full(power.shape, 0.02 * power.mean())
    return separate_power(power, seen, VoicesConfig(**changes), guess)


def snr_db(found, voice):
    return 10 * np.log10(np.sum(np.abs(voice) ** 2) / np.sum(np.abs(found - voice) ** 2))


@pytest.mark.parametrize('method', SEPARATING)
def test_faces_tell_two_voices_apart(method):
    voices, mixture, seen = scene()
    latents = LatentStepConfig(samples=2)  # (as many steps as chains need)
    found = separated(mixture, seen, method=method, latents=latents)
    for j in range(2):
        own = found.gains[j] * mixture
        assert snr_db(own, voices[j]) > 4
        assert snr_db(own, voices[j]) > snr_db(own, voices[1 - j]) + 6


def test_with_the_true_decoder_voices_come_out_8_db_clear():
    voices, mixture, seen = scene(r2=0.98)
    gains = separated(mixture, seen).gains
    assert np.mean([snr_db(gain * mixture, voice) for gain, voice in zip(gains, voices)]) > 8


@pytest.mark.parametrize('method', ['peem', 'mala'])
@pytest.mark.parametrize('count', [1, 3])
def test_no_m_step_raises_the_cost(method, count):
    _, mixture, seen = scene(count)
    costs = separated(mixture, seen, method=method).costs
    assert np.all(costs[:, 1] <= costs[:, 0] + 1e-6 * np.abs(costs[:, 0]))


def test_no_m_step_raises_the_cost_where_gains_are_limited():
    _, mixture, seen = scene()
    speaking = np.random.default_rng(0).uniform(size=(2, FRAMES))
    found = separate_power(np.abs(mixture) ** 2, seen, speaking=speaking)
    assert np.all(found.costs[:, 1] <= found.costs[:, 0] + 1e-6 * np.abs(found.costs[:, 0]))


@pytest.mark.parametrize('start', ['vision', 'encoder'])
@pytest.mark.parametrize('method', ['amortized', 'peem'])
def test_one_person_is_a_voice_in_noise(start, method):
    _, mixture, seen = scene(1)
    power = np.abs(mixture) ** 2
    alone = enhance_power(power, seen[0], EngineConfig(method=method, iterations=4))
    config = VoicesConfig(method=method, start=start, latents=LatentStepConfig())
    found = separate_power(power, seen, config)
    np.testing.assert_allclose(found.gains[0], alone.gain, rtol=1e-4, atol=1e-5)


def test_faces_that_change_places_change_the_voices():
    _, mixture, seen = scene()
    found = separated(mixture, seen).gains
    swapped = separated(mixture, seen[::-1]).gains
    np.testing.assert_allclose(found, swapped[::-1], atol=1e-4)
    assert np.abs(found - swapped).mean() > 0.1


def test_faces_that_are_alike_share_the_sound():
    _, mixture, seen = scene()
    found = separated(mixture, [seen[0], seen[0]], method='amortized')
    np.testing.assert_allclose(found.gains[0], found.gains[1], atol=1e-5)


def test_voices_and_noise_add_up_to_the_mixture():
    _, mixture, seen = scene()
    found = separated(mixture, seen)
    assert found.gains.min() >= 0
    power = np.abs(mixture) ** 2
    shares = found.gains.sum(axis=0)
    assert shares.max() <= 1 + 1e-5
    total = found.noise.noise / (1 - shares)
    # what is left is the noise's part of the same V that the costs are of
    cost = np.sum(power / total + np.log(total))
    assert cost == pytest.approx(found.costs[-1, 1], rel=1e-3)


def test_what_is_kept_of_the_others_is_what_they_are():
    _, mixture, seen = scene(3)
    power = (np.abs(mixture) ** 2).astype(np.float32)
    random = np.random.default_rng(0)
    starts = [prior.encode(power)[0] for prior in seen]
    most = np.full((3, FRAMES), np.inf, np.float32)
    voices = Mixture(power, seen, starts, most, VoicesConfig(), random)
    noise = start_noise(np.full_like(power, 0.1), 2, random)
    voices.improve_latents(noise)
    voices.improve_loudness(noise)
    for person in range(3):
        own = voices.loudness[person][:, None] * voices.variance[0, person]
        whole = voices.speech()[0] + noise.noise
        np.testing.assert_allclose(
            voices.rest(0, person, noise, voices.variance) + own, whole, rtol=1e-5
        )


def test_somebody_who_does_not_speak_gets_nothing():
    voices, mixture, seen = scene()
    speaking = np.ones((2, FRAMES))
    speaking[1, :40] = 0.0
    mixture = mixture - (np.arange(FRAMES) < 40)[:, None] * voices[1]
    power = np.abs(mixture) ** 2
    found = separate_power(power, seen, VoicesConfig(), 0.02 * power.mean() + 0 * power, speaking)
    assert found.gains[1, :40].mean() < 1e-4
    assert found.gains[1, 40:].mean() > 0.2


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'method': 'vem'}, 'method'),
        ({'start': 'magic'}, 'start'),
        ({'iterations': 0}, 'iterations'),
        ({'rank': -1}, 'rank'),
        ({'evidence_weight': 0.0}, 'evidence_weight'),
    ],
)
def test_senseless_settings_are_refused(change, told):
    with pytest.raises(ValueError, match=told):
        VoicesConfig(**change)


@pytest.mark.parametrize('kind', ['silence', 'one frame', 'a click'])
def test_odd_recordings_are_answered(kind):
    prior = planted_prior(BINS, LATENTS)
    power = np.zeros((1 if kind == 'one frame' else 20, BINS))
    power[0] = {'silence': 0.0, 'one frame': 1.0, 'a click': 1e6}[kind]
    found = separate_power(power, [prior, prior], VoicesConfig(iterations=2))
    assert np.isfinite(found.gains).all() and np.isfinite(found.costs).all()
