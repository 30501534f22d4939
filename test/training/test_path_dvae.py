# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Training of the SRNN of paths: sequences, one generation in both libraries, and a small fit."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')

from av_perception.dvae.config import DvaeConfig  # noqa: E402
from av_perception.dvae.families import model_named  # noqa: E402
from av_perception.dvae.start import random_parameters  # noqa: E402
from av_perception.evaluation.forecasts import coverage, squared_deviations  # noqa: E402
from av_perception.motion_forecast.history import Histories  # noqa: E402
from av_perception.motion_forecast.path_dvae import NUM_PAST, PathDvae, generated  # noqa: E402
from av_perception.motion_forecast.path_gate import LEVELS  # noqa: E402
from av_perception.training.path_dvae import (  # noqa: E402
    PathTrainingConfig,
    region_radii_of,
    train_path_dvae,
)
from av_perception.training.torch_backend import TORCH  # noqa: E402

SIZES = DvaeConfig(
    data_dim=2, latent_dim=2, hidden_dim=8, memory_dim=8, output='mean', noise_variance=0.03
)
HORIZONS = 0.2 * np.arange(1, 6)


def walkers(count=64, seed=0):
    """People who walk straight on, and where they are afterwards."""
    random = np.random.default_rng(seed)
    ages = np.tile(0.1 * np.arange(16, -1, -1.0), (count, 1))
    velocity = random.normal(0, 0.8, (count, 1, 3)) * [1, 1, 0]
    now = random.normal(0, 2, (count, 1, 3))
    covariances = np.tile(1e-4 * np.eye(3), (count, 17, 1, 1))
    truth = now + HORIZONS[:, None] * velocity
    return Histories(ages, now - ages[..., None] * velocity, covariances), truth


def test_generation_is_the_same_in_both_libraries():
    kind = model_named('srnn')
    arrays = random_parameters(kind, SIZES, 0)
    random = np.random.default_rng(0)
    past = random.normal(size=(NUM_PAST, 3, 2)).astype(np.float32)
    noise = random.normal(size=(NUM_PAST + 4, 3, 2)).astype(np.float32)
    ours = generated(kind(SIZES, arrays), past, noise, 4)
    tensors = {name: torch.from_numpy(values) for name, values in arrays.items()}
    theirs = generated(
        kind(SIZES, tensors, TORCH), torch.from_numpy(past), torch.from_numpy(noise), 4
    )
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_regions_hold_their_share_of_the_walks_they_were_set_on():
    """Covariances were once scaled twice: regions of 95 % held everybody."""
    known, truth = walkers(200)
    kind = model_named('srnn')
    model = kind(SIZES, random_parameters(kind, SIZES, 0))
    radii = region_radii_of(model, known, truth)
    made = PathDvae(model, {'radii': radii}).forecast(known, HORIZONS)
    squared = squared_deviations(
        made.paths.means[..., :2], made.paths.covariances[..., :2, :2], truth[..., :2]
    )
    for k, level in enumerate(LEVELS):
        held = coverage(squared, made.radii[..., k])
        np.testing.assert_allclose(held, level, atol=0.011)


@pytest.mark.slow
def test_training_learns_that_people_walk_on():
    torch.set_num_threads(1)
    known, truth = walkers()
    unseen, later = walkers(seed=1)
    errors = []
    for steps in (1, 160):
        config = PathTrainingConfig(steps=steps, batch=32, futures=3, sizes=SIZES, rate=1e-2)
        model = train_path_dvae(known, truth, config)
        radii = region_radii_of(model, unseen, later)
        assert radii.shape == (5, 2) and (radii[:, 1] >= radii[:, 0]).all()
        made = PathDvae(model, {'radii': radii}).forecast(unseen, HORIZONS)
        errors.append(np.linalg.norm(made.paths.means - later, axis=-1)[:, -1].mean())
    still = np.linalg.norm(later[:, -1] - unseen.positions[:, -1], axis=-1).mean()
    assert errors[1] < 0.4 * errors[0]
    assert errors[1] < 0.4 * still


@pytest.mark.parametrize('name', ['steps', 'batch', 'futures'])
def test_senseless_training_is_refused(name):
    with pytest.raises(ValueError, match='at least 1'):
        PathTrainingConfig(**{name: 0})
