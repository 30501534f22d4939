# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Visual priors in files come back as they were; anything else is told in a line."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio_visual.features import VisualFeatures
from av_perception.audio_visual.seeing_vae import SEEING_MODELS, SeeingConfig
from av_perception.audio_visual.visual_files import (
    NetworkVisualPrior,
    load_visual_prior,
    save_visual_prior,
)
from av_perception.audio_visual.visual_prior import LinearVisualPrior
from av_perception.dvae.start import random_parameters
from av_perception.errors import UserError

CONFIG = SeeingConfig(data_dim=7, latent_dim=3, hidden_dim=6, visual_dim=4, visual_hidden=8)


def made(kind):
    if kind != 'linear':
        model = SEEING_MODELS[kind]
        return NetworkVisualPrior(model(CONFIG, random_parameters(model, CONFIG, 0)))
    random = np.random.default_rng(0)
    weight = random.standard_normal((3, 4)).astype(np.float32)
    return LinearVisualPrior(
        weight, weight[:, 0], weight[:, 1] ** 2, weight[:, 2], weight[:, 3] ** 2
    )


@pytest.mark.parametrize('kind', ['linear', *SEEING_MODELS])
def test_what_is_written_is_read(kind, tmp_path):
    prior = made(kind)
    path = tmp_path / 'prior.npz'
    save_visual_prior(path, prior, {'speech_prior': 'wide_vae', 'nats': 2.5})
    again, card = load_visual_prior(path)
    assert card['speech_prior'] == 'wide_vae' and card['nats'] == 2.5
    assert (again.num_features, again.num_latents) == (4, 3)
    features = VisualFeatures(np.random.default_rng(1).standard_normal((5, 4)), np.ones(5))
    for one, other in zip(prior.prior(features), again.prior(features)):
        np.testing.assert_allclose(one, other, rtol=1e-6)
    for one, other in zip(prior.blind(), again.blind()):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        ({'variance': np.array([1.0, -1.0, 1.0])}, 'not positive'),
        ({'weight': np.full((3, 4), np.nan)}, 'not finite'),
        ({'bias': np.zeros(2)}, 'not what they should be'),
    ],
)
def test_a_damaged_file_is_told(change, told, tmp_path):
    path = tmp_path / 'prior.npz'
    save_visual_prior(path, made('linear'), {})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    np.savez(path, **{**arrays, **change})
    with pytest.raises(UserError, match=told):
        load_visual_prior(path)


def test_other_files_are_told(tmp_path):
    path = tmp_path / 'prior.npz'
    np.savez(path, x=np.zeros(3))
    with pytest.raises(UserError, match='holds no visual prior'):
        load_visual_prior(path)
    with pytest.raises(UserError, match='cannot read'):
        load_visual_prior(tmp_path / 'nothing.npz')
    with pytest.raises(UserError, match='cannot write'):
        save_visual_prior(tmp_path / 'no' / 'prior.npz', made('linear'), {})
