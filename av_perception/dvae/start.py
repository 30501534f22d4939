# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Parameters to begin with: at random, or those of a VAE whose additions are still zero."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.model import DynamicalVae
from av_perception.errors import UserError

#: Layers whose zeros make a model the VAE: what they add is nothing.
ADDITIONS = (
    'future_posterior',
    'past_posterior',
    'heard_posterior',
    'memory_posterior',
    'dynamic_posterior',
    'memory_decoder',
    'later_decoder',
    'static_decoder',
    'deep_output',
    'gate',
    'proposal',
    'linear',
    'prior',
    'prior_log_variance',
    'static',
)
_LITTLE = 0.1  # of the usual effect of a latent that is new
_FIRST_LOG_VARIANCE = -2.0  # of the posterior of a latent that is new
_SYSTEM_SPREAD = 0.05  # of a Kalman VAE's matrices B and C; A begins as the identity


def random_parameters(
    model: type[DynamicalVae], config: DvaeConfig, seed: int
) -> dict[str, np.ndarray]:
    """Draw parameters: uniform within one over the root of a layer's inputs.

    Parameters
    ----------
    model
        Whose shapes they take.
    config
        Sizes.
    seed
        Of the draw.

    Returns
    -------
    dict
        float32 array of every name. Data are taken as they are: mean 0, scale 1.
    """
    rng = np.random.default_rng(seed)
    shapes = model.shapes(config)
    found = {}
    for name, shape in shapes.items():
        layer = name.rsplit('.', 1)[0]
        inputs = shapes.get(f'{layer}.recurrent', shapes.get(f'{layer}.weight', shape))[-1]
        limit = 1 / np.sqrt(inputs)
        found[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
        if layer in ('transition', 'control', 'observation') and name.endswith('.matrices'):
            found[name] = _SYSTEM_SPREAD * rng.standard_normal(shape).astype(np.float32)
    if 'transition.matrices' in found:
        found['transition.matrices'][:] = np.eye(config.latent_dim, dtype=np.float32)
    found['data.mean'] = np.zeros(shapes['data.mean'], np.float32)
    found['data.scale'] = np.ones(shapes['data.scale'], np.float32)
    return found


def parameters_from_vae(
    model: type[DynamicalVae], config: DvaeConfig, vae: Mapping[str, np.ndarray], seed: int
) -> dict[str, np.ndarray]:
    """Begin as a VAE: its layers, memories at random, and zero for all that these add.

    A model may have more latents than the VAE: they begin with little noise and little effect.

    Parameters
    ----------
    model, config
        What is begun.
    vae
        Parameters of a trained VAE of the same hidden layer, with as many latents or fewer.
    seed
        Of the memories.

    Returns
    -------
    dict
        float32 array of every name; the model's encoder, decoder and prior are the VAE's.

    Raises
    ------
    UserError
        When the model has fewer latents.
    """
    found = random_parameters(model, config, seed)
    if len(vae['posterior.bias']) > len(found['posterior.bias']):
        raise UserError('a model of these sizes has fewer latents than the VAE: name another one')
    for name, values in found.items():
        if name in ('posterior.weight', 'posterior.bias'):
            _put_posterior(values, vae[name])
        elif name == 'decoder.weight':
            _put_decoder(values, vae[name])
        elif name in vae:
            found[name] = np.array(vae[name], np.float32)
        elif name.rsplit('.', 1)[0] in ADDITIONS:
            found[name] = np.zeros_like(values)
    return found


def _put_posterior(values: np.ndarray, known: np.ndarray) -> None:
    """Put rows of fewer means and log variances where they belong, in place."""
    size = len(values) // 2
    count = len(known) // 2
    values[:count] = known[:count]
    values[size : size + count] = known[count:]
    values[size + count :] = 0.0 if values.ndim == 2 else _FIRST_LOG_VARIANCE


def _put_decoder(values: np.ndarray, known: np.ndarray) -> None:
    """Put columns of fewer latents in front, in place."""
    count = known.shape[1]
    values[:, :count] = known
    values[:, count:] *= _LITTLE


def fit_data(parameters: dict[str, np.ndarray], x: np.ndarray, center: np.ndarray) -> None:
    """Set what depends on the data alone, in place, before a VAE is trained from scratch.

    Parameters
    ----------
    parameters
        Whose 'data.mean', 'data.scale' and 'output.bias' are set.
    x
        (N, X) examples of the data.
    center
        (X,) the best constant output, in log variances the log of the mean power.
    """
    parameters['data.mean'] = x.mean(axis=0).astype(np.float32)
    spread = float(x.std(axis=0).mean())
    parameters['data.scale'] = np.full(x.shape[1], 1 / max(spread, 1e-6), np.float32)
    parameters['output.bias'] = np.asarray(center, np.float32)
