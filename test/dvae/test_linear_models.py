# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Models whose exact answers are known: linear Gaussian ones, against Kalman filters."""

from __future__ import annotations

import numpy as np
import pytest
from small_dvae import data_of, small_model

from av_perception.dvae.backend import NUMPY
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import MODELS
from av_perception.dvae.gradient_backend import GRADIENT, gradients, traced
from av_perception.dvae.kvae import FIRST_VARIANCE, STATE_NOISE, SYSTEM_NOISE
from av_perception.dvae.objective import bound
from av_perception.dvae.start import random_parameters
from av_perception.numerics.gaussian import LOG_2PI
from av_perception.numerics.kalman import Dynamics, kalman_filter, rts_smoother

DECAY = 0.9
STEP_VARIANCE = 0.19
NOISE_VARIANCE = 0.3
SEEN_AS = np.array([[1.0], [-0.5]])
LINEAR = DvaeConfig(
    data_dim=2,
    latent_dim=1,
    hidden_dim=3,
    memory_dim=4,
    output='mean',
    noise_variance=NOISE_VARIANCE,
    activation='linear',
)
ENCODER = MODELS['dkf'].encoder_layers


def planted_dkf() -> dict[str, np.ndarray]:
    """Prior and decoder of a linear Gaussian system, and an encoder at random."""
    found = random_parameters(MODELS['dkf'], LINEAR, seed=0)
    found = {name: values.astype(float) for name, values in found.items()}
    found['decoder.weight'] = np.array([[1.0], [0.0], [0.0]])
    found['decoder.bias'][:] = 0
    found['output.weight'] = SEEN_AS @ np.array([[1.0, 0.0, 0.0]])
    found['output.bias'][:] = 0
    for name in ('gate', 'proposal', 'prior_log_variance'):
        found[f'{name}.weight'][:] = 0
        found[f'{name}.bias'][:] = 0
    found['gate.bias'][:] = -50.0
    found['linear.weight'][:] = DECAY
    found['linear.bias'][:] = 0
    found['prior_log_variance.bias'][:] = np.log(STEP_VARIANCE)
    return found


def draw_linear(rng: np.random.Generator, steps: int, count: int) -> np.ndarray:
    """(T, N, 2) data of the system."""
    z = np.zeros(count)
    rows = []
    for _ in range(steps):
        z = DECAY * z + np.sqrt(STEP_VARIANCE) * rng.standard_normal(count)
        noise = np.sqrt(NOISE_VARIANCE) * rng.standard_normal((count, 2))
        rows.append(z[:, None] * SEEN_AS[:, 0] + noise)
    return np.array(rows)


def log_likelihood(x: np.ndarray) -> float:
    """Mean over sequences (T, N, 2), by the Kalman filter."""
    step = np.array([[STEP_VARIANCE]])
    dynamics = Dynamics(np.zeros(1), step, np.array([[DECAY]]), step)
    filtered = kalman_filter(dynamics, x, SEEN_AS, NOISE_VARIANCE * np.eye(2))
    return float(filtered.log_likelihoods.sum(axis=0).mean())


def fit_encoder(parameters: dict[str, np.ndarray], steps: int = 500) -> None:
    """Raise the bound by Adam on fresh sequences, in place."""
    rng = np.random.default_rng(1)
    names = [name for name in parameters if name.split('.')[0] in ENCODER]
    moments = {name: [np.zeros_like(parameters[name])] * 2 for name in names}
    for step in range(1, steps + 1):
        x = draw_linear(rng, 8, 64)
        known = {name: traced(values) for name, values in parameters.items()}
        found = bound(
            MODELS['dkf'](LINEAR, known, GRADIENT), traced(x), rng.standard_normal((8, 64, 1))
        )
        loss = found.misfit + found.divergence
        slopes = gradients(loss, np.full(loss.shape, 1 / 64), [known[name] for name in names])
        rate = 0.02 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step) * (1 - step / (steps + 1))
        for name, slope in zip(names, slopes):
            first, second = moments[name]
            moments[name] = [0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2]
            parameters[name] -= rate * moments[name][0] / (np.sqrt(moments[name][1]) + 1e-8)


@pytest.mark.slow
def test_a_linear_deep_kalman_filter_reaches_the_likelihood_of_kalman_and_no_more():
    parameters = planted_dkf()
    model = MODELS['dkf'](LINEAR, parameters)
    rng = np.random.default_rng(2)
    x = draw_linear(rng, 8, 4000)
    noise = rng.standard_normal((8, 4000, 1))
    constant = -8 * 2 / 2 * np.log(2 * np.pi * NOISE_VARIANCE)

    def evidence_bounds() -> np.ndarray:
        found = bound(model, x, noise)
        return constant - (found.misfit + found.divergence).sum(axis=0)

    exact = log_likelihood(x)
    untrained = evidence_bounds().mean()
    fit_encoder(parameters)
    values = evidence_bounds()
    slack = 2 * values.std() / np.sqrt(len(values))
    assert untrained < exact - 0.5
    assert values.mean() <= exact + slack
    assert exact - values.mean() < 0.01 * abs(exact)


def oracle_of(model, a: np.ndarray):
    """Filter and smoother of `numerics`: what the control does is taken off before."""
    systems = model.systems(a)
    shift = np.zeros((len(a), model.config.latent_dim))
    for t in range(1, len(a)):
        shift[t] = systems.transition[t] @ shift[t - 1] + systems.control[t] @ a[t - 1]
    eye = np.eye(model.config.latent_dim)
    dynamics = Dynamics(
        np.zeros(len(eye)), FIRST_VARIANCE * eye, systems.transition[1:], STATE_NOISE * eye
    )
    rest = a - np.einsum('tad,td->ta', systems.observation, shift)
    noise = SYSTEM_NOISE * np.eye(a.shape[1])
    filtered = kalman_filter(dynamics, rest, systems.observation, noise)
    return filtered, rts_smoother(dynamics, filtered), shift


def test_the_kalman_vae_filters_and_smooths_as_kalman_does():
    model = small_model('kvae')
    _, a = data_of(model, 9)
    filtered, smoothed, shift = oracle_of(model, a)
    own = model.filter(a)
    assert np.allclose(own.log_likelihood, filtered.log_likelihoods)
    assert np.allclose(own.means[..., 0], filtered.means + shift)
    assert np.allclose(own.covariances, filtered.covariances)
    again = model.smooth(a)
    assert np.allclose(again.means[..., 0], smoothed.means + shift)
    assert np.allclose(again.covariances, smoothed.covariances)
    assert not np.allclose(again.means[:-1], own.means[:-1])


def test_the_systems_of_a_kalman_vae_are_mixed_by_the_past_alone():
    model = small_model('kvae')
    _, a = data_of(model, 5)
    changed = a.copy()
    changed[2] += 1
    plain = model.systems(a).transition
    moved = model.systems(changed).transition
    assert np.allclose(plain[:3], moved[:3])
    assert not np.allclose(plain[3:], moved[3:])


def test_the_prediction_of_a_kalman_vae_is_that_of_its_filter():
    model = small_model('kvae')
    _, a = data_of(model, 6)
    prior = model.prior(a)
    filtered, _, shift = oracle_of(model, a)
    observation = model.systems(a).observation
    mean = np.einsum('tad,td->ta', observation, filtered.predicted_means + shift)
    assert np.allclose(prior.mean, mean)
    through = observation @ filtered.predicted_covariances @ observation.swapaxes(-1, -2)
    spread = np.diagonal(through, axis1=-2, axis2=-1) + SYSTEM_NOISE
    assert np.allclose(np.exp(prior.log_variance), spread)


def test_the_bound_of_a_kalman_vae_needs_no_sample_of_its_states():
    """Its divergence is `log q(a) - log p(a)` of the sample, by densities written out."""
    model = small_model('kvae')
    x, noise = data_of(model, 5)
    encoded = model.encode(x, noise)
    q = encoded.posterior
    scaled = (encoded.sample - q.mean) ** 2 / np.exp(q.log_variance)
    log_q = -0.5 * (scaled + q.log_variance + LOG_2PI).sum(axis=-1)
    filtered, _, _ = oracle_of(model, encoded.sample)
    expected = log_q - filtered.log_likelihoods
    assert np.allclose(model.divergence(encoded), expected)
    assert model.ops is NUMPY
