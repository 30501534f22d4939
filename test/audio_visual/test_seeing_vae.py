# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VAEs that see: what they are without eyes, their losses, and gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seeing_objective import (
    branch_losses,
    choice_divergence,
    conditional_losses,
    hearing_posterior,
)
from av_perception.audio_visual.seeing_vae import (
    SEEING_MODELS,
    ConditionalVae,
    MinVae,
    SeeingConfig,
    parameters_from,
)
from av_perception.audio_visual.visual_files import seeing_speech
from av_perception.dvae.gradient_backend import GRADIENT, gradients, traced
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.objective import bound
from av_perception.dvae.speech_prior import SpeechPrior
from av_perception.dvae.start import random_parameters

CONFIG = SeeingConfig(
    data_dim=7, latent_dim=3, hidden_dim=6, deep_dim=5, visual_dim=4, visual_hidden=8
)
FRAMES = 9


def scene(kind=ConditionalVae, seed=0, dtype=np.float64):
    """A model of random weights that looks at somebody, data, and noises."""
    random = np.random.default_rng(seed)
    parameters = random_parameters(kind, CONFIG, seed)
    if kind is MinVae:
        parameters['branch.weight'] = np.array([0.4])
    grown = {key: (1.5 * values).astype(dtype) for key, values in parameters.items()}
    model = kind(CONFIG, grown)
    values = random.standard_normal((FRAMES, CONFIG.visual_dim)).astype(dtype)
    model = model.seeing(values, np.ones((FRAMES, 1), dtype))
    x = random.standard_normal((FRAMES, CONFIG.data_dim)).astype(dtype)
    noises = random.standard_normal((2, FRAMES, CONFIG.latent_dim)).astype(dtype)
    return model, x, noises


def blind_vae(model):
    own = DynamicalVae.shapes(CONFIG)
    return DynamicalVae(CONFIG, {name: model.parameters[name] for name in own})


@pytest.mark.parametrize('kind', SEEING_MODELS.values())
def test_begun_from_a_vae_it_is_the_vae_whatever_it_sees(kind):
    model, x, _ = scene()
    vae = blind_vae(model)
    features = np.random.default_rng(1).standard_normal((50, CONFIG.visual_dim))
    parameters = parameters_from(kind, CONFIG, vae.parameters, features)
    begun = kind(CONFIG, parameters).seeing(features[:FRAMES], np.ones((FRAMES, 1)))
    ours = bound(begun, x)
    theirs = bound(vae, x)
    np.testing.assert_allclose(ours.decoded, theirs.decoded, rtol=1e-5)
    np.testing.assert_allclose(ours.divergence, theirs.divergence, rtol=1e-5)
    assert not np.any(begun.visual_gaussian().mean)


def test_frames_that_are_not_seen_are_those_of_the_vae():
    model, x, _ = scene()
    belief = np.ones((FRAMES, 1))
    belief[3:6] = 0.0
    partly = model.seeing(model._values, belief)
    vae = blind_vae(model)
    z = partly.encode(x).posterior.mean
    same = np.isclose(z, vae.encode(x).posterior.mean).all(axis=1)
    assert same[3:6].all() and not same[:3].any()
    same = np.isclose(partly.decode(z), vae.decode(z)).all(axis=1)
    assert same[3:6].all() and not same[:3].any()
    assert not partly.prior(z).mean[3:6].any() and not partly.prior(z).log_variance[3:6].any()


def test_where_the_encoder_says_what_the_eyes_say_there_is_no_divergence():
    model, x, noises = scene()
    parameters = dict(model.parameters)
    for name in ('posterior', 'visual_latents'):
        parameters[f'{name}.weight'] = np.zeros_like(parameters[f'{name}.weight'])
        parameters[f'{name}.bias'] = np.arange(6.0) / 6
    same = model.with_parameters(parameters, model.ops)
    divergence = conditional_losses(same, x, *noises)[1]
    np.testing.assert_allclose(divergence, 0.0, atol=1e-12)


def test_steps_are_the_sequence():
    model, x, _ = scene()
    z = model.encode(x).posterior.mean
    state = model.start(z[0])
    for t in range(FRAMES):
        np.testing.assert_allclose(model.decode_step(state, z[t]), model.decode(z)[t])
        np.testing.assert_allclose(model.prior_step(state, z[t]).mean, model.prior(z).mean[t])
        state = model.advance(state, z[t])


@pytest.mark.parametrize('kind', SEEING_MODELS.values())
def test_gradients_are_those_of_finite_differences(kind):
    model, x, noises = scene(kind)

    def loss(parameters, ops=None):
        moved = model.with_parameters(parameters, ops or model.ops)
        losses = conditional_losses if kind is ConditionalVae else branch_losses
        parts = losses(moved, x if ops is None else traced(x), *noises)
        total = parts[0]
        for number, part in enumerate(parts[1:]):
            total = total + (0.5 + number) * part
        return total

    known = {name: traced(values) for name, values in model.parameters.items()}
    found = loss(known, GRADIENT)
    slopes = dict(zip(known, gradients(found, np.ones(found.shape), list(known.values()))))
    random = np.random.default_rng(2)
    for name, values in model.parameters.items():
        if name in ('data.mean', 'data.scale', 'branch.weight'):
            continue
        way = random.standard_normal(values.shape)
        ahead, behind = (
            np.sum(loss({**model.parameters, name: values + sign * 1e-6 * way}))
            for sign in (1, -1)
        )
        expected = (ahead - behind) / 2e-6
        assert np.sum(slopes[name] * way) == pytest.approx(expected, rel=1e-4, abs=1e-4), name


def test_a_prior_of_speech_that_sees_has_the_right_derivatives():
    model, *_ = scene(dtype=np.float32)
    prior = SpeechPrior(model)
    z = np.random.default_rng(3).standard_normal((FRAMES, 3)).astype(np.float32)
    jacobian = prior.decode_jacobian(z)
    for latent in range(3):
        change = np.zeros_like(z)
        change[:, latent] = 1e-2
        ahead, behind = (np.log(prior.decode(z + sign * change)) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[..., latent], (ahead - behind) / 2e-2, atol=3e-3)
    weights = np.ones((FRAMES, 7), np.float32)
    np.testing.assert_allclose(
        prior.decode_gradient(z, weights), jacobian.sum(axis=1), rtol=1e-3, atol=1e-3
    )


def test_a_tuned_encoder_goes_on_seeing():
    model, *_ = scene(dtype=np.float32)
    features = VisualFeatures(model._values, np.ones(FRAMES))
    prior = seeing_speech(model, features)
    power = np.random.default_rng(4).exponential(size=(FRAMES, 7))
    same = prior.with_encoder(prior.encoder_parameters())
    np.testing.assert_array_equal(prior.encode(power)[0], same.encode(power)[0])
    ones = np.ones((FRAMES, 3), np.float32)
    slopes = prior.encoder_gradient(power, ones, ones)
    assert {'visual_encoder.weight', 'seen_features.weight', 'features.weight'} <= set(slopes)
    assert all(np.any(one) for one in slopes.values())


@pytest.mark.parametrize('weight', [0.2, 0.5, 0.9])
def test_the_choice_is_the_posterior_of_two_states(weight):
    random = np.random.default_rng(0)
    ears, eyes = random.exponential(size=(2, 20))
    joint = np.stack([weight * np.exp(-ears), (1 - weight) * np.exp(-eyes)])
    found = hearing_posterior(ears - eyes, weight)
    np.testing.assert_allclose(found, joint[0] / joint.sum(axis=0))
    # and it makes the mixed bound as low as it can be: minus the log of the evidence
    best = found * ears + (1 - found) * eyes + choice_divergence(found, weight)
    np.testing.assert_allclose(best, -np.log(joint.sum(axis=0)))
    for other in (0.05, 0.5, 0.95):
        rate = np.full(20, other)
        mixed = rate * ears + (1 - rate) * eyes + choice_divergence(rate, weight)
        assert np.all(mixed >= best - 1e-12)


def test_a_choice_that_is_sure_is_one_encoder_alone():
    difference = np.linspace(-100, 100, 11)
    np.testing.assert_array_equal(hearing_posterior(difference, 1.0), 1.0)
    np.testing.assert_array_equal(hearing_posterior(difference, 0.0), 0.0)
    assert choice_divergence(np.ones(3), 1.0).tolist() == [0, 0, 0]


def test_ears_that_are_destroyed_are_not_chosen():
    """The audio encoder hears noise 40 dB louder; the eyes know the latents."""
    random = np.random.default_rng(5)
    config = replace(CONFIG, deep_dim=0, data_dim=20)
    vae = random_parameters(DynamicalVae, config, 0)
    for name in ('features', 'posterior'):  # an encoder that is far off when x is
        vae[f'{name}.weight'] = 2 * vae[f'{name}.weight']
    vae['decoder.weight'] = 2 * vae['decoder.weight']
    vae['output.weight'] = 3 * vae['output.weight']
    z = random.standard_normal((200, 3))
    clean = DynamicalVae(config, vae).decode(z)
    parameters = parameters_from(MinVae, config, vae, z @ np.ones((3, 4)))
    parameters.update(_eyes_that_know(config))
    model = MinVae(config, parameters).seeing(np.c_[z, z[:, :1]], np.ones((200, 1)))
    noises = 0.0 * random.standard_normal((2, 200, 3))
    loud = clean + 9.0 * random.choice([-1, 1], size=clean.shape)
    ears, eyes = branch_losses(model, clean, *noises, heard=loud)
    assert np.median(hearing_posterior(ears - eyes, 0.5)) < 0.05


def _eyes_that_know(config):
    """Visual layers that give the first three features, with little variance."""
    hidden = np.zeros((8, 4))
    hidden[:3, :3] = np.eye(3)
    hidden[3:6, :3] = -np.eye(3)
    both = np.zeros((6, 8))
    both[:3, :3] = np.eye(3)
    both[:3, 3:6] = -np.eye(3)
    bias = np.zeros(6)
    bias[3:] = -4.0
    return {
        'visual.mean': np.zeros(4),
        'visual.scale': np.ones(4),
        'visual_prior.weight': hidden,
        'visual_prior.bias': np.zeros(8),
        'visual_deep.weight': np.eye(8),
        'visual_deep.bias': np.zeros(8),
        'visual_latents.weight': both,
        'visual_latents.bias': bias,
    }


@pytest.mark.parametrize('name', ['visual_dim', 'visual_hidden'])
def test_senseless_sizes_are_refused(name):
    with pytest.raises(ValueError, match=name):
        SeeingConfig(**{name: 0})
