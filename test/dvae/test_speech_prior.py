# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Priors of speech: gradients against finite differences, files, the weights that ship."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from small_dvae import CONFIG, small_model

from av_perception.dvae.families import MODELS
from av_perception.dvae.model_file import model_of, save_model
from av_perception.dvae.spectra import FLOOR, PRIOR_TRANSFORM, log_powers, variances
from av_perception.dvae.speech_prior import PRIORS, SpeechPrior, load_prior
from av_perception.errors import UserError
from av_perception.networks.weights import PACKAGE_DATA, REGISTRY, read_arrays

STEP = 1e-2  # in single precision
DEEP = CONFIG.__class__(**{**vars(CONFIG), 'deep_dim': 8})


def prior_named(name: str) -> SpeechPrior:
    return SpeechPrior(small_model(name, DEEP, dtype=np.float32))


def latents_of(prior: SpeechPrior, steps: int = 5) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((steps, prior.num_latents)).astype(np.float32)


@pytest.mark.parametrize('name', MODELS)
def test_gradients_in_latents_are_those_of_finite_differences(name):
    prior = prior_named(name)
    z = latents_of(prior)
    weights = np.random.default_rng(4).standard_normal((5, 7)).astype(np.float32)
    found = prior.decode_gradient(z, weights)
    expected = np.zeros_like(found)
    for index in np.ndindex(*z.shape):
        change = np.zeros_like(z)
        change[index] = STEP
        above, below = (np.log(prior.decode(z + sign * change)) for sign in (1, -1))
        expected[index] = (weights * (above - below)).sum() / (2 * STEP)
    assert np.allclose(found, expected, atol=3e-3)


@pytest.mark.parametrize('name', ['vae', 'dkf', 'rvae', 'srnn', 'vrnn', 'storn', 'kvae'])
def test_derivatives_within_a_frame_are_those_of_finite_differences(name):
    prior = prior_named(name)
    z = latents_of(prior)
    found = prior.decode_jacobian(z)
    for frame in range(len(z)):
        for latent in range(prior.num_latents):
            change = np.zeros_like(z)
            change[frame, latent] = STEP
            above, below = (np.log(prior.decode(z + sign * change))[frame] for sign in (1, -1))
            expected = (above - below) / (2 * STEP)
            assert np.allclose(found[frame, :, latent], expected, atol=3e-3)


@pytest.mark.parametrize('name', MODELS)
def test_gradients_in_the_encoder_are_those_of_finite_differences(name):
    prior = prior_named(name)
    rng = np.random.default_rng(5)
    power = rng.exponential(size=(4, 7)).astype(np.float32)
    size = prior.model.encode(log_powers(power)).posterior.mean.shape[-1]
    slopes = rng.standard_normal((2, 4, size)).astype(np.float32)
    found = prior.encoder_gradient(power, *slopes)

    def value(parameters) -> float:
        mean, variance = prior.with_encoder(parameters).encode(power)
        return float((slopes[0] * mean + slopes[1] * np.log(variance)).sum())

    for layer, values in prior.encoder_parameters().items():
        direction = rng.standard_normal(values.shape).astype(np.float32)
        direction *= STEP / np.linalg.norm(direction)
        known = prior.encoder_parameters()
        above = value({**known, layer: values + direction})
        below = value({**known, layer: values - direction})
        # single precision leaves about 1e-5 of sums near 10
        assert (found[layer] * direction).sum() == pytest.approx((above - below) / 2, abs=2e-4)


@pytest.mark.parametrize('name', MODELS)
def test_another_encoder_leaves_the_decoder_as_it_is(name):
    prior = prior_named(name)
    z = latents_of(prior)
    doubled = {key: 2 * values for key, values in prior.encoder_parameters().items()}
    tuned = prior.with_encoder(doubled)
    power = np.ones((5, 7), np.float32)
    assert (tuned.decode(z) == prior.decode(z)).all()
    assert not np.allclose(tuned.encode(power)[0], prior.encode(power)[0])


def test_a_model_is_read_as_it_was_written(tmp_path):
    model = small_model('srnn', dtype=np.float32)
    path = tmp_path / 'model.npz'
    save_model(path, model, {'floor': 0.01, 'data': 'noise'}, half=False)
    again, card = model_of(read_arrays(path), str(path))
    assert again.config == model.config
    assert card['data'] == 'noise'
    assert all((again.parameters[key] == model.parameters[key]).all() for key in model.parameters)
    assert load_prior(str(path)).num_bins == 7


@pytest.mark.parametrize('damage', ['missing', 'shape', 'nan', 'card', 'model'])
def test_files_that_hold_something_else_are_answered(tmp_path, damage):
    path = tmp_path / 'model.npz'
    save_model(path, small_model('dkf', dtype=np.float32), {'floor': 0.01})
    arrays = read_arrays(path)
    if damage == 'missing':
        del arrays['decoder.bias']
    elif damage == 'shape':
        arrays['decoder.bias'] = np.zeros(2)
    elif damage == 'nan':
        arrays['decoder.bias'][0] = np.nan
    elif damage == 'card':
        arrays['card'] = np.zeros(4, np.uint8)
    else:
        text = arrays['card'].tobytes().replace(b'"dkf"', b'"gan"')
        arrays['card'] = np.frombuffer(text, np.uint8)
    with pytest.raises(UserError):
        model_of(arrays, str(path))


def test_names_and_files_that_are_no_prior_are_answered(tmp_path):
    with pytest.raises(UserError, match='vae, wide_vae, rvae, dkf, srnn'):
        load_prior('gan')
    path = tmp_path / 'model.npz'
    save_model(path, small_model('vae', dtype=np.float32), {})
    with pytest.raises(UserError, match='no prior of speech'):
        load_prior(str(path))


def test_the_floor_is_added_and_taken_off():
    power = np.array([[0.0, 1.0, 100.0]])
    assert np.allclose(np.exp(log_powers(power)), power + FLOOR)
    assert np.allclose(variances(log_powers(power)), np.maximum(power, 0.01 * FLOOR), atol=1e-5)


def shipped() -> list[str]:
    return [name for name in PRIORS if f'speech_{name}' in REGISTRY]


@pytest.mark.parametrize('name', shipped())
def test_the_weights_that_ship_are_those_of_the_registry(name):
    entry = REGISTRY[f'speech_{name}']
    path = PACKAGE_DATA / entry.file
    assert hashlib.sha256(path.read_bytes()).hexdigest() == entry.sha256
    assert 'CC BY 4.0' in entry.trained_on
    prior = load_prior(name)
    assert prior.num_bins == PRIOR_TRANSFORM.num_bins
    assert prior.num_latents == (16 if name == 'vae' else 32)
    assert prior.model.name == name.removeprefix('wide_')


@pytest.mark.parametrize('name', shipped())
@pytest.mark.parametrize('sound', ['silence', 'clipped', 'one frame'])
def test_the_weights_that_ship_answer_any_sound(name, sound):
    rng = np.random.default_rng(0)
    samples = {
        'silence': np.zeros(4000),
        'clipped': np.sign(rng.standard_normal(4000)),
        'one frame': rng.standard_normal(10),
    }[sound]
    prior = load_prior(name)
    mean, variance = prior.encode(np.abs(PRIOR_TRANSFORM.forward(samples)) ** 2)
    decoded = prior.decode(mean)
    for values in (mean, variance, decoded, *prior.prior(mean)):
        assert np.isfinite(values).all()
    assert (decoded > 0).all()
    assert decoded.dtype == np.float32


@pytest.mark.parametrize('name', MODELS)
def test_no_frames_give_no_frames(name):
    prior = prior_named(name)
    mean, variance = prior.encode(np.zeros((0, 7), np.float32))
    assert mean.shape == variance.shape == (0, prior.num_latents)
    assert prior.decode(mean).shape == (0, 7)


def test_all_weights_of_priors_are_small():
    files = [PACKAGE_DATA / REGISTRY[f'speech_{name}'].file for name in shipped()]
    assert sum(path.stat().st_size for path in files) < 6e6
