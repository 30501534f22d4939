# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What training of a VAE that sees lowers, in any library of arrays.

The conditional VAE decodes what its prior says, too, so that its decoder knows latents that only
eyes have chosen:

    a (E_q(z|s,v) misfit + KL(q(z|s,v) || p(z|v))) + (1 - a) E_p(z|v) misfit

The mixture of encoders weighs two bounds with the posterior q_n that the ears chose, which has a
closed form:

    q_n L_a + (1 - q_n) L_v + KL(q_n || pi),   L_m = E_q_m misfit + KL(q_m || N(mu_m, sigma_m I)),
    q_n = pi / (pi + (1 - pi) exp(L_a - L_v))
"""

from __future__ import annotations

import numpy as np

from av_perception.audio_visual.seeing_vae import ConditionalVae, MinVae
from av_perception.dvae.backend import Array
from av_perception.dvae.model import Gaussian, gaussian_divergence
from av_perception.dvae.objective import misfit

_LARGEST = 30.0  # difference of two losses, before it is an exponent


def conditional_losses(
    model: ConditionalVae, x: Array, noise: Array, prior_noise: Array, heard: Array | None = None
) -> tuple[Array, Array, Array]:
    """Parts of the loss of the conditional VAE.

    Parameters
    ----------
    model
        Looking at the features of the frames.
    x
        (T, ..., F) log powers of clean speech.
    noise, prior_noise
        (T, ..., L) standard normal.
    heard
        (T, ..., F) what the encoder hears, perhaps a mixture with others; None: clean speech.

    Returns
    -------
    tuple
        (T, ...) misfit, divergence, and misfit of the prior's own latents.
    """
    encoded = model.encode(x if heard is None else heard, noise)
    prior = model.prior(encoded.sample)
    shown = _drawn(model, prior, prior_noise)
    return (
        misfit(model.ops, model.config, x, model.decode(encoded.sample)),
        gaussian_divergence(model.ops, encoded.posterior, prior),
        misfit(model.ops, model.config, x, model.decode(shown)),
    )


def branch_losses(
    model: MinVae, x: Array, noise: Array, visual_noise: Array, heard: Array | None = None
) -> tuple[Array, Array]:
    """L_a and L_v (T, ...) of the mixture of encoders; parameters as for `conditional_losses`."""
    ears = model.encode(x if heard is None else heard).posterior
    eyes = model.visual_gaussian()
    losses = []
    for row, (found, drawn) in enumerate(((ears, noise), (eyes, visual_noise))):
        sample = _drawn(model, found, drawn)
        fit = misfit(model.ops, model.config, x, model.decode(sample))
        losses.append(fit + gaussian_divergence(model.ops, found, branch_prior(model, row, found)))
    return losses[0], losses[1]


def branch_prior(model: MinVae, row: int, like: Gaussian) -> Gaussian:
    """N(mu_m, sigma_m I) of the ears (row 0) or the eyes (row 1), for latents like others."""
    means = model.parameters['branch.means']
    log_variance = model.parameters['branch.log_variances']
    zeros = 0.0 * like.mean
    return Gaussian(zeros + means[row], zeros + log_variance[row])


def hearing_posterior(difference: np.ndarray, weight: float) -> np.ndarray:
    """q_n that the ears chose: of L_a - L_v (...), and pi in 0..1."""
    return weight / (weight + (1 - weight) * np.exp(np.clip(difference, -_LARGEST, _LARGEST)))


def choice_divergence(hearing: np.ndarray, weight: float) -> np.ndarray:
    """(...) KL(q_n || pi) of two choices."""
    tiny = np.finfo(float).tiny
    pairs = ((hearing, weight), (1 - hearing, 1 - weight))
    return np.sum([q * np.log((q + tiny) / (p + tiny)) for q, p in pairs], axis=0)


def _drawn(model, of: Gaussian, noise: Array) -> Array:
    return of.mean + model.ops.exp(0.5 * of.log_variance) * noise
