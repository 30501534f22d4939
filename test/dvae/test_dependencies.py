# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who depends on whom: the table of the review, model by model, by perturbation.

A row of `x[s]` or `z[s]` is changed; the outputs that change at time t must be those that the
factorization of the model names, and no others.
"""

from __future__ import annotations

import numpy as np
import pytest
from small_dvae import data_of, small_model

STEPS = 6
BEFORE = np.tril(np.ones((STEPS, STEPS), bool), -1)  # s < t, in row t
NOW = np.eye(STEPS, dtype=bool)
PREVIOUS = np.eye(STEPS, k=-1, dtype=bool)
NEVER = np.zeros((STEPS, STEPS), bool)
ALWAYS = np.ones((STEPS, STEPS), bool)
UP_TO_NOW = BEFORE | NOW
FROM_NOW = UP_TO_NOW.T

# Per model: p(x_t) on z and on x, p(z_t) on z and on x, q(z_t) on earlier z and on x.
TABLE = {
    'vae': (NOW, NEVER, NEVER, NEVER, NEVER, NOW),
    'dkf': (NOW, NEVER, PREVIOUS, NEVER, PREVIOUS, FROM_NOW),
    'kvae': (NOW, NEVER, BEFORE, NEVER, NEVER, NOW),  # in a_t, which the systems move
    'storn': (UP_TO_NOW, BEFORE, NEVER, NEVER, NEVER, UP_TO_NOW),
    'vrnn': (UP_TO_NOW, BEFORE, BEFORE, BEFORE, BEFORE, UP_TO_NOW),
    'srnn': (NOW, BEFORE, PREVIOUS, BEFORE, PREVIOUS, ALWAYS),
    'rvae': (UP_TO_NOW, NEVER, NEVER, NEVER, BEFORE, FROM_NOW),
    'rvae_noncausal': (ALWAYS, NEVER, NEVER, NEVER, BEFORE, ALWAYS),
    'dsae': (NOW, NEVER, BEFORE, NEVER, NEVER, ALWAYS),
}


def changes(function, rows: np.ndarray, width: int | None = None) -> np.ndarray:
    """(T, T) whether row t of the result changes with row s of the input."""
    plain = function(rows)
    found = np.zeros((len(plain), len(rows)), bool)
    for s in range(len(rows)):
        moved = rows.copy()
        moved[s, :width] += 0.5
        found[:, s] = np.abs(function(moved) - plain).max(axis=-1) > 1e-9
    return found


def prior_numbers(model, z, x) -> np.ndarray:
    prior = model.prior(z, x)
    return np.concatenate([prior.mean, prior.log_variance], axis=-1)


def posterior_along(model, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """(T, 2 L) posterior given that the latents before were z, by the model's steps."""
    evidence = model.evidence(x)
    state = model.start(evidence[0])
    rows = []
    for t in range(len(x)):
        found = model.encode_step(state, evidence[t])
        rows.append(np.concatenate([found.mean, found.log_variance]))
        state = model.advance(state, z[t], x[t])
    return np.array(rows)


@pytest.mark.parametrize('name', TABLE)
def test_data_and_latents_depend_on_what_the_factorization_names(name):
    model = small_model(name)
    x, z = data_of(model, STEPS)
    moving = model.config.latent_dim if name == 'dsae' else None
    decoded_z, decoded_x, prior_z, prior_x, _, _ = TABLE[name]
    assert (changes(lambda rows: model.decode(rows, x), z, moving) == decoded_z).all()
    assert (changes(lambda rows: model.decode(z, rows), x) == decoded_x).all()
    assert (changes(lambda rows: prior_numbers(model, rows, x), z, moving) == prior_z).all()
    assert (changes(lambda rows: prior_numbers(model, z, rows), x) == prior_x).all()


@pytest.mark.parametrize('name', TABLE)
def test_posteriors_depend_on_what_the_factorization_names(name):
    model = small_model(name)
    x, z = data_of(model, STEPS)
    on_z, on_x = TABLE[name][4:]
    moving = model.config.latent_dim if name == 'dsae' else None
    assert (changes(lambda rows: posterior_along(model, x, rows), z, moving) == on_z).all()
    assert (changes(lambda rows: posterior_along(model, rows, z), x) == on_x).all()


def test_the_static_latent_is_the_same_at_all_times_and_depends_on_all_data():
    model = small_model('dsae')
    x, noise = data_of(model, STEPS)
    static = model.encode(x, noise).sample[:, model.config.latent_dim :]
    assert (static == static[0]).all()
    whole = changes(lambda rows: model.encode(rows).sample[:, model.config.latent_dim :], x)
    assert whole.all()
    decoded = changes(
        lambda rows: model.decode(np.repeat(rows, STEPS, axis=0)), data_of(model, 1)[1]
    )
    assert decoded.all()


def test_the_table_names_every_model():
    from av_perception.dvae.families import MODELS

    assert set(TABLE) == set(MODELS)
