# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What every model keeps: steps equal sequences, batches, one step is a VAE, bounds hold."""

from __future__ import annotations

import numpy as np
import pytest
from small_dvae import CONFIG, data_of, small_model

from av_perception.dvae.backend import NUMPY
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import MODELS, model_named
from av_perception.dvae.model import Gaussian, gaussian_divergence
from av_perception.dvae.objective import bound
from av_perception.dvae.start import parameters_from_vae, random_parameters
from av_perception.errors import UserError

AUTOREGRESSIVE = [name for name, model in MODELS.items() if model.is_autoregressive]


@pytest.mark.parametrize('name', MODELS)
def test_steps_give_what_whole_sequences_give(name):
    model = small_model(name)
    x, noise = data_of(model)
    encoded = model.encode(x, noise)
    decoded = model.decode(encoded.sample, x)
    prior = model.prior(encoded.sample, x)
    state = model.start(x[0])
    for t, z in enumerate(encoded.sample):
        step = model.prior_step(state, x[0])
        assert np.allclose(step.mean, prior.mean[t])
        assert np.allclose(step.log_variance, prior.log_variance[t])
        if name != 'rvae_noncausal':
            assert np.allclose(model.decode_step(state, z), decoded[t])
        state = model.advance(state, z, x[t])


def test_a_non_causal_model_says_that_it_has_no_steps():
    model = small_model('rvae_noncausal')
    with pytest.raises(TypeError, match='whole sequences'):
        model.decode_step(model.start(np.zeros(7)), np.zeros(3))


@pytest.mark.parametrize('name', MODELS)
def test_a_batch_is_its_sequences_one_by_one(name):
    model = small_model(name)
    x, noise = data_of(model, batch=(2, 3))
    together = bound(model, x, noise)
    alone = bound(model, x[:, 1, 2], noise[:, 1, 2])
    assert together.decoded.shape == x.shape
    assert np.allclose(together.misfit[:, 1, 2], alone.misfit)
    assert np.allclose(together.divergence[:, 1, 2], alone.divergence)


@pytest.mark.parametrize('name', [name for name in MODELS if name != 'kvae'])
def test_without_its_additions_every_model_is_the_vae(name):
    vae = small_model('vae', dtype=np.float32)
    parameters = parameters_from_vae(MODELS[name], CONFIG, vae.parameters, seed=3)
    model = MODELS[name](CONFIG, parameters)
    x, noise = data_of(model, batch=(2,))
    found = bound(model, x, noise)
    plain = bound(vae, x, noise[..., : CONFIG.latent_dim])
    assert np.allclose(found.decoded, plain.decoded, atol=1e-6)
    assert np.allclose(found.misfit, plain.misfit, rtol=1e-5)
    assert np.allclose(found.divergence, plain.divergence, rtol=1e-5)


def test_latents_that_a_vae_does_not_have_begin_with_little_effect():
    vae = small_model('vae', dtype=np.float32)
    wide = DvaeConfig(**{**vars(CONFIG), 'latent_dim': 5})
    model = MODELS['rvae'](wide, parameters_from_vae(MODELS['rvae'], wide, vae.parameters, 3))
    x, _ = data_of(vae)
    plain = vae.encode(x).posterior
    found = model.encode(x).posterior
    assert np.allclose(found.mean[:, :3], plain.mean, atol=1e-6)
    assert np.allclose(found.log_variance[:, :3], plain.log_variance, atol=1e-6)
    assert np.allclose(found.log_variance[:, 3:], -2)
    z = found.mean.copy()
    z[:, 3:] = 0
    assert np.allclose(model.decode(z), vae.decode(plain.mean), atol=1e-5)
    z[:, 3:] = 1
    change = np.abs(model.decode(z) - vae.decode(plain.mean)).max()
    assert 0 < change < 1
    with pytest.raises(UserError, match='fewer latents'):
        parameters_from_vae(MODELS['vae'], CONFIG, model.parameters, 3)


@pytest.mark.parametrize('name', MODELS)
def test_one_step_is_a_vae(name):
    """A posterior of x_1, a decoder of z_1, and a prior that knows nothing."""
    model = small_model(name)
    first, noise = data_of(model, 1)
    other, _ = data_of(model, 1, seed=9)
    prior = model.prior(noise, first)
    unmoved = model.prior(noise + 1, other)
    assert np.allclose(prior.mean, unmoved.mean)
    assert np.allclose(prior.log_variance, unmoved.log_variance)
    assert np.allclose(model.decode(noise, first), model.decode(noise, other))
    assert not np.allclose(model.encode(first).posterior.mean, model.encode(other).posterior.mean)


@pytest.mark.parametrize('name', [name for name in MODELS if name != 'kvae'])
def test_the_divergence_is_never_negative(name):
    model = small_model(name)
    x, noise = data_of(model, batch=(50,))
    assert (bound(model, x, noise).divergence >= 0).all()


def test_the_divergence_of_gaussians_is_that_of_samples():
    rng = np.random.default_rng(0)
    q = Gaussian(rng.standard_normal(3), 0.5 * rng.standard_normal(3))
    p = Gaussian(rng.standard_normal(3), 0.5 * rng.standard_normal(3))
    z = q.mean + np.exp(q.log_variance / 2) * rng.standard_normal((200_000, 3))
    log_q, log_p = (
        -0.5 * ((z - one.mean) ** 2 / np.exp(one.log_variance) + one.log_variance).sum(axis=1)
        for one in (q, p)
    )
    sampled = log_q - log_p
    error = 5 * sampled.std() / np.sqrt(len(z))
    assert abs(gaussian_divergence(NUMPY, q, p) - sampled.mean()) < error


@pytest.mark.parametrize('name', ['vae', 'dkf', 'vrnn'])
def test_the_bound_of_one_sample_is_unbiased(name):
    """Means over disjoint samples agree within their standard errors."""
    model = small_model(name)
    x, _ = data_of(model)
    noise = np.random.default_rng(5).standard_normal((len(x), 512, model.num_latents))
    found = bound(model, np.repeat(x[:, None], 512, axis=1), noise)
    values = (found.misfit + found.divergence).sum(axis=0)
    halves = values[:256], values[256:]
    spread = np.sqrt(sum(half.var() / 256 for half in halves))
    assert abs(halves[0].mean() - halves[1].mean()) < 4 * spread


@pytest.mark.parametrize('name', AUTOREGRESSIVE)
def test_generation_sees_no_data(name):
    """What is decoded on the own past is finite where the data are not, and differs from them."""
    model = small_model(name)
    x, z = data_of(model)
    own = model.decode(z)
    everywhere = model.decode(z, x, np.ones((len(x), 1)))
    assert np.allclose(own, everywhere)
    assert np.allclose(own[0], model.decode(z, x)[0])
    assert not np.allclose(own[1:], model.decode(z, x)[1:])
    assert np.isfinite(own).all()


@pytest.mark.parametrize('name', AUTOREGRESSIVE)
def test_scheduled_sampling_mixes_data_and_own_output_step_by_step(name):
    model = small_model(name)
    x, z = data_of(model)
    own = np.zeros((len(x), 1))
    own[2] = 1
    mixed = model.decode(z, x, own)
    given = model.decode(z, x)
    assert np.allclose(mixed[:3], given[:3])
    seen = x.copy()
    seen[2] = given[2]
    assert np.allclose(mixed, model.decode(z, seen))
    assert np.allclose(model.decode(z, x, np.zeros((len(x), 1))), given)


def test_means_are_an_output_too():
    config = DvaeConfig(data_dim=2, latent_dim=2, hidden_dim=4, output='mean', noise_variance=0.5)
    model = small_model('srnn', config)
    x, noise = data_of(model)
    found = bound(model, x, noise)
    expected = ((x - found.decoded) ** 2).sum(axis=-1) / (2 * 0.5)
    assert np.allclose(found.misfit, expected)


def test_names_that_do_not_exist_are_answered_with_those_that_do():
    with pytest.raises(UserError, match='known: vae, dkf'):
        model_named('gan')


@pytest.mark.parametrize(
    'wrong',
    [{'latent_dim': 0}, {'output': 'median'}, {'activation': 'x'}, {'noise_variance': 0.0}],
)
def test_sizes_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DvaeConfig(**wrong)


def test_random_parameters_repeat_with_their_seed():
    first, again, other = (random_parameters(MODELS['rvae'], CONFIG, s) for s in (1, 1, 2))
    assert all((first[name] == again[name]).all() for name in first)
    assert (first['decoder.weight'] != other['decoder.weight']).all()
