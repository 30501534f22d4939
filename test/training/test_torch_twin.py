# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""NumPy and PyTorch agree on every model: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from small_dvae import CONFIG, data_of, small_model

from av_perception.dvae.families import MODELS
from av_perception.dvae.gradient_backend import GRADIENT, gradients, traced
from av_perception.dvae.objective import bound

torch = pytest.importorskip('torch', reason='PyTorch is not installed (extra train)')

AUTOREGRESSIVE = [name for name, model in MODELS.items() if model.is_autoregressive]


def twin_of(model):
    from av_perception.training.torch_backend import TORCH

    parameters = {
        name: torch.from_numpy(values.copy()).requires_grad_()
        for name, values in model.parameters.items()
    }
    return type(model)(model.config, parameters, TORCH)


def own_steps(model, x: np.ndarray) -> np.ndarray | None:
    if not model.is_autoregressive:
        return None
    return np.broadcast_to(np.arange(len(x))[:, None, None] % 2, (*x.shape[:-1], 1)).astype(
        x.dtype
    )


@pytest.mark.parametrize('name', MODELS)
def test_values_agree(name):
    # a Kalman filter in single precision loses digits to its wide first state, in any library
    dtype = np.float64 if name == 'kvae' else np.float32
    model = small_model(name, dtype=dtype)
    x, noise = (values.astype(dtype) for values in data_of(model, batch=(4,)))
    own = own_steps(model, x)
    ours = bound(model, x, noise, own)
    inputs = [None if one is None else torch.from_numpy(one) for one in (x, noise, own)]
    theirs = bound(twin_of(model), *inputs)
    for mine, other in ((ours.decoded, theirs.decoded), (ours.misfit, theirs.misfit)):
        assert np.allclose(mine, other.detach().numpy(), rtol=1e-5, atol=1e-5)
    other = theirs.divergence.detach().numpy()
    assert np.allclose(ours.divergence, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', MODELS)
def test_gradients_agree(name):
    model = small_model(name)
    x, noise = data_of(model, batch=(4,))
    own = own_steps(model, x)
    known = {key: traced(values) for key, values in model.parameters.items()}
    found = bound(type(model)(CONFIG, known, GRADIENT), traced(x), noise, own)
    loss = found.misfit + found.divergence
    ours = gradients(loss, np.ones(loss.shape), list(known.values()))
    twin = twin_of(model)
    inputs = [None if one is None else torch.from_numpy(one) for one in (x, noise, own)]
    parts = bound(twin, *inputs)
    (parts.misfit + parts.divergence).sum().backward()
    for key, mine in zip(known, ours):
        other = twin.parameters[key].grad
        expected = np.zeros_like(mine) if other is None else other.numpy()
        assert np.allclose(mine, expected, rtol=1e-6, atol=1e-8), key


def test_models_of_many_steps_do_not_exhaust_the_stack():
    model = small_model('srnn')
    x, noise = data_of(model, 300)
    z = traced(noise)
    known = {key: traced(values) for key, values in model.parameters.items()}
    decoded = type(model)(CONFIG, known, GRADIENT).decode(z)
    assert np.isfinite(gradients(decoded, np.ones(decoded.shape), [z])[0]).all()
