# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of VAEs that see: the twin agrees with NumPy, and planted vision is learnt."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio_visual.features import VisualFeatures, nothing_seen
from av_perception.audio_visual.seeing_objective import branch_losses, conditional_losses
from av_perception.audio_visual.seeing_vae import (
    SEEING_MODELS,
    ConditionalVae,
    MinVae,
    SeeingConfig,
)
from av_perception.audio_visual.visual_files import NetworkVisualPrior
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.spectra import FLOOR, log_powers
from av_perception.dvae.start import random_parameters

torch = pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')

SIZES = DvaeConfig(data_dim=12, latent_dim=2, hidden_dim=8)


def planted_vae():
    """A VAE whose encoder undoes its decoder, nearly: both are linear about the mean."""
    random = np.random.default_rng(0)
    basis = random.standard_normal((12, 2))
    parameters = random_parameters(DynamicalVae, SIZES, 0)
    through = np.linalg.qr(random.standard_normal((8, 8)))[0][:, :2]
    parameters['decoder.weight'] = 0.3 * through
    parameters['decoder.bias'] = np.zeros(8)
    parameters['output.weight'] = basis @ through.T / 0.3
    parameters['output.bias'] = np.ones(12)
    parameters['data.mean'] = np.ones(12)
    inverse = np.linalg.pinv(basis)
    parameters['features.weight'] = 0.3 * through @ inverse
    parameters['features.bias'] = np.zeros(8)
    parameters['posterior.weight'] = np.concatenate([through.T / 0.3, np.zeros((2, 8))])
    parameters['posterior.bias'] = np.array([0, 0, -2.0, -2.0])
    return DynamicalVae(SIZES, {k: v.astype(np.float32) for k, v in parameters.items()})


def talkers(count, r2, seed=0, frames=250):
    from av_perception.training.audio_visual import SeenTalker

    random = np.random.default_rng(seed)
    vae = planted_vae()
    made = []
    for _ in range(count):
        z = random.standard_normal((frames, 2)).astype(np.float32)
        power = np.exp(vae.decode(z)) * random.standard_exponential((frames, 12))
        values = np.sqrt(r2) * z + np.sqrt(1 - r2) * random.standard_normal(z.shape)
        made.append(SeenTalker(power, VisualFeatures(values, np.ones(frames))))
    return made


def config_of(**changes):
    from av_perception.training.audio_visual import SeeingTrainingConfig

    return SeeingTrainingConfig(
        **{'epochs': 6, 'batch': 64, 'visual_hidden': 16, 'learning_rate': 3e-3, **changes}
    )


@pytest.mark.parametrize('kind', SEEING_MODELS.values())
def test_the_twin_agrees(kind):
    from av_perception.training.torch_backend import TORCH

    random = np.random.default_rng(1)
    sizes = SeeingConfig(**vars(SIZES), visual_dim=3, visual_hidden=5)
    ours = kind(sizes, random_parameters(kind, sizes, 0))
    values, belief = random.standard_normal((9, 3)), random.uniform(size=(9, 1))
    x, noises = random.standard_normal((9, 12)), random.standard_normal((2, 9, 2))
    losses = conditional_losses if kind is ConditionalVae else branch_losses
    mine = losses(ours.seeing(values, belief), x, *noises)
    parameters = {name: torch.from_numpy(one).double() for name, one in ours.parameters.items()}
    twin = kind(sizes, parameters, TORCH).seeing(*map(torch.from_numpy, (values, belief)))
    other = losses(twin, torch.from_numpy(x), *torch.from_numpy(noises))
    for one, two in zip(mine, other):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-5)


def test_planted_vision_becomes_a_prior_and_blind_frames_stay():
    from av_perception.training.audio_visual import train_conditional

    config = config_of(epochs=15)
    found = train_conditional(planted_vae(), talkers(6, 0.8), talkers(2, 0.8, 5), config)
    assert found.losses.min() < found.losses[0]
    other = talkers(2, 0.8, 9)
    prior = NetworkVisualPrior(found.model)
    for one in other:
        latents = found.model.encode(log_powers(one.power)).posterior.mean
        mean, variance = prior.prior(one.features)
        explained = 1 - np.mean((latents - mean) ** 2) / np.var(latents)
        assert explained > 0.4
        assert variance.mean() < 0.8
    mean, variance = prior.prior(nothing_seen(4, 2))
    np.testing.assert_array_equal(mean, 0)
    np.testing.assert_array_equal(variance, 1)


def test_vision_that_is_noise_is_hardly_believed():
    from av_perception.training.audio_visual import train_conditional

    found = train_conditional(planted_vae(), talkers(6, 0.0), talkers(2, 0.0, 5), config_of())
    mean, _ = NetworkVisualPrior(found.model).prior(talkers(1, 0.0, 9)[0].features)
    assert np.mean(mean**2) < 0.15


def test_an_encoder_of_mixtures_hears_through_them():
    """What it says of a mixture is nearer to the talker than what the VAE says."""
    from av_perception.training.audio_visual import train_conditional

    vae = planted_vae()
    config = config_of(hears_mixtures=True, epochs=10)
    found = train_conditional(vae, talkers(6, 0.8), talkers(2, 0.8, 5), config)
    one, two = talkers(2, 0.8, 9)
    clean = vae.encode(log_powers(one.power)).posterior.mean
    heard = log_powers(one.power + two.power)
    without = vae.encode(heard).posterior.mean
    seeing = found.model.looking_at(one.features).encode(heard).posterior.mean
    assert np.mean((seeing - clean) ** 2) < 0.8 * np.mean((without - clean) ** 2)


def test_a_mixture_of_encoders_learns_to_look_where_it_hears_noise():
    from av_perception.audio_visual.seeing_objective import hearing_posterior
    from av_perception.training.audio_visual import train_min_vae

    config = config_of(epochs=12)
    found = train_min_vae(planted_vae(), talkers(6, 0.9), talkers(2, 0.9, 5), config)
    assert isinstance(found.model, MinVae)
    assert found.losses[-1] < found.losses[0]
    one = talkers(1, 0.9, 9)[0]
    model = found.model.looking_at(one.features)
    x = log_powers(one.power)
    zeros = np.zeros((2, len(x), 2))
    noise = 50 * np.random.default_rng(3).random(x.shape)
    weight = float(found.model.parameters['branch.weight'][0])
    chosen = []
    for heard in (x, log_powers(one.power + noise)):
        ears, eyes = branch_losses(model, x, *zeros, heard=heard)
        chosen.append(hearing_posterior(ears - eyes, weight).mean())
    assert chosen[1] < 0.6 * chosen[0]
    assert 0.05 < weight < 0.95


def test_training_is_the_same_every_time():
    from av_perception.training.audio_visual import train_conditional

    runs = [
        train_conditional(planted_vae(), talkers(2, 0.5), talkers(1, 0.5, 5), config_of(epochs=1))
        for _ in range(2)
    ]
    for name, one in runs[0].model.parameters.items():
        np.testing.assert_array_equal(one, runs[1].model.parameters[name])


@pytest.mark.parametrize(
    'change',
    [{'epochs': 0}, {'learning_rate': 0.0}, {'bound_share': 2.0}, {'beta': -1.0}, {'floor': 0.0}],
)
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        config_of(**change)


def test_the_floor_is_that_of_the_prior():
    assert config_of().floor == FLOOR
