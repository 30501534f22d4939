# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The switch between ears alone and ears with eyes."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal, planted_prior, planted_speech

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.modes import first_transition
from av_perception.audio_visual.seen_prior import seen_prior
from av_perception.audio_visual.switch import (
    ModeBelief,
    SwitchConfig,
    enhance_by_switch,
    see_by_switch,
)
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.enhancement.noise_model import start_noise
from av_perception.enhancement.posterior import Posterior

BINS = 60
LATENTS = 8
FRAMES = 90
LIES = (np.arange(FRAMES) >= 30) & (np.arange(FRAMES) < 60)


def scene(r2=0.95, lies=LIES, seed=0):
    """Power of a noisy voice, its prior, and the same with vision that lies in some frames."""
    random = np.random.default_rng(seed)
    prior = planted_prior(BINS, LATENTS)
    speech, latents = planted_speech(prior, FRAMES, random)
    level = 0.3 * np.mean(np.abs(speech) ** 2)
    noise = complex_normal(np.full(speech.shape, level), random)
    shown = np.where(lies[:, None], random.permutation(latents), latents)
    values = np.sqrt(r2) * shown + np.sqrt(1 - r2) * random.standard_normal(latents.shape)
    visual = LinearVisualPrior(
        np.sqrt(r2) * np.eye(LATENTS), np.zeros(LATENTS), np.full(LATENTS, 1 - r2)
    )
    seen = seen_prior(prior, visual, VisualFeatures(values, np.ones(FRAMES)))
    return np.abs(speech + noise) ** 2, prior, seen


@pytest.mark.parametrize('seed', range(3))
def test_lying_eyes_are_disbelieved_and_honest_ones_believed(seed):
    power, prior, seen = scene(seed=seed)
    config = SwitchConfig(evidence_weight=1.0)  # (these bins are independent)
    guess = np.full(power.shape, 0.2 * power.mean())
    seeing = enhance_by_switch(power, [prior, seen], config, guess).modes[:, 1]
    assert seeing[LIES].mean() < 0.1
    is_pause = (np.arange(FRAMES) // 12) % 3 == 0  # in which eyes see what nobody says
    assert seeing[~LIES & ~is_pause].mean() > 0.7


def test_noise_for_eyes_is_not_believed_where_noise_covers_the_voice():
    random = np.random.default_rng(4)
    prior = planted_prior(BINS, LATENTS)
    speech, _ = planted_speech(prior, FRAMES, random)
    noise = complex_normal(np.full(speech.shape, 30 * np.mean(np.abs(speech) ** 2)), random)
    visual = LinearVisualPrior(
        np.sqrt(0.9) * np.eye(LATENTS), np.zeros(LATENTS), np.full(LATENTS, 0.1)
    )
    shown = VisualFeatures(random.standard_normal((FRAMES, LATENTS)), np.ones(FRAMES))
    found = see_by_switch(np.abs(speech + noise) ** 2, prior, visual, shown)
    assert found.modes.shape[1] == 3 and found.modes[:, -1].mean() < 0.1


@pytest.mark.parametrize('stay_frames', [0.0, 400.0])
def test_no_step_lowers_the_bound(stay_frames):
    power, prior, seen = scene()
    config = SwitchConfig(iterations=8, samples=4, stay_frames=stay_frames)
    bounds = enhance_by_switch(power, [prior, seen], config).bounds
    assert np.all(np.diff(bounds) >= -1e-5 * np.abs(bounds[:-1]))
    assert bounds[-1] > bounds[0]


def test_decoders_that_are_alike_leave_the_chain_as_it_is_believed():
    power, prior, _ = scene()
    found = enhance_by_switch(power, [prior, prior], SwitchConfig(stay=0.97, doubt=0.0))
    np.testing.assert_allclose(found.modes, 0.5, atol=1e-6)
    np.testing.assert_allclose(found.transition, first_transition(2, 0.97), atol=0.02)


def test_eyes_that_nothing_speaks_against_are_doubted():
    power, prior, _ = scene()
    found = enhance_by_switch(power, [prior, prior], SwitchConfig(doubt=0.4))
    assert found.modes[10:-10, 1].max() < 0.1


def test_one_mode_is_a_voice_without_a_switch():
    power, prior, _ = scene()
    one = enhance_by_switch(power, [prior])
    two = enhance_by_switch(power, [prior, prior])
    np.testing.assert_array_equal(one.modes, 1.0)
    np.testing.assert_allclose(one.gain, two.gain, rtol=1e-4, atol=1e-5)


def test_the_loss_of_a_frame_is_its_evidence():
    """-F, of many draws, against the log of the integral of the joint on a grid."""
    random = np.random.default_rng(2)
    prior = planted_prior(BINS, 1)
    speech, _ = planted_speech(prior, 12, random)
    power = (np.abs(speech) ** 2 + 0.5).astype(np.float32)
    model = start_noise(np.full_like(power, 0.5), 0, random)
    posterior = Posterior(prior, power, model)
    half = random.standard_normal((200, 12, 1))
    belief = ModeBelief(prior, power, np.concatenate([half, -half]).astype(np.float32))
    for _ in range(6):
        belief.improve(posterior)
    grid = np.linspace(-5, 5, 1001)
    joint = [-posterior.misfit(np.full((12, 1), z)) - 0.5 * np.log(2 * np.pi) for z in grid]
    exact = np.log(np.sum(np.exp(joint), axis=0) * (grid[1] - grid[0]))
    # (fixed draws that are chosen among are a little too good)
    np.testing.assert_allclose(-belief.loss, exact, atol=0.3)
    assert np.mean(np.abs(-belief.loss - exact)) < 0.08
    np.testing.assert_allclose(belief.weights.sum(axis=0), 1.0, rtol=1e-5)


def test_modes_sum_to_one_and_gains_lie_between_zero_and_one():
    power, prior, seen = scene()
    found = enhance_by_switch(power, [prior, seen])
    np.testing.assert_allclose(found.modes.sum(axis=1), 1.0)
    assert found.gain.min() >= 0 and found.gain.max() <= 1 + 1e-6


@pytest.mark.parametrize('kind', ['silence', 'one frame', 'a click'])
def test_odd_recordings_are_answered(kind):
    prior = planted_prior(BINS, LATENTS)
    power = np.zeros((1 if kind == 'one frame' else 20, BINS))
    power[0] = {'silence': 0.0, 'one frame': 1.0, 'a click': 1e6}[kind]
    found = enhance_by_switch(power, [prior, prior], SwitchConfig(iterations=2))
    assert np.isfinite(found.gain).all() and np.isfinite(found.bounds).all()


@pytest.mark.parametrize(
    'change',
    [{'iterations': 0}, {'samples': 3}, {'stay': 1.0}, {'rank': -1}, {'evidence_weight': 0.0}],
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SwitchConfig(**change)


def test_priors_with_a_memory_are_refused():
    with pytest.raises(ValueError, match='on their own'):
        enhance_by_switch(np.ones((5, BINS)), [planted_prior(BINS, LATENTS, 0.9)])
