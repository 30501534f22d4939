# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The bound that training raises: how well data are described, and what the latents cost.

    log p(x) >= E_q[sum_t log p(x_t | .)] - E_q[sum_t KL(q(z_t | .) || p(z_t | .))]

For spectra the first part is, but for terms of the data alone, minus the Itakura-Saito divergence
`sum_f P / v - log(P / v) - 1` of powers P from variances v (Fevotte, Bertin and Durrieu 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

from av_perception.dvae.backend import Array, Backend
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.model import DynamicalVae, Encoded


@dataclass(frozen=True)
class Bound:
    """Per frame, (T, ...): misfit of the data, divergence of the latents, and decoded (T, ..., X).

    `-misfit - divergence` is the bound but for a constant of the data.
    """

    misfit: Array
    divergence: Array
    decoded: Array
    encoded: Encoded


def misfit(ops: Backend, config: DvaeConfig, x: Array, decoded: Array) -> Array:
    """(...) minus log likelihood of data (..., X), up to terms that no parameter changes.

    Zero where the data are described perfectly. Spectra: Itakura-Saito divergence of log powers
    from log variances; means: half the squared error in units of the noise.
    """
    difference = x - decoded
    if config.output == 'log_variance':
        return ops.sum_last(ops.exp(difference) - difference - 1.0)
    return ops.sum_last(difference * difference) * (0.5 / config.noise_variance)


def bound(
    model: DynamicalVae, x: Array, noise: Array | None = None, own: Array | None = None
) -> Bound:
    """Evaluate the bound along one sample of the latents.

    Parameters
    ----------
    model
        The model.
    x
        (T, ..., X) data.
    noise
        (T, ..., L) standard normal that draws the sample; without it, the means.
    own
        (T, ..., 1) 1 where the past of a step is the model's own output, 0 where it is the data
        (scheduled sampling); None: data everywhere.

    Returns
    -------
    Bound
        Its two parts per frame.
    """
    encoded = model.encode(x, noise)
    decoded = model.decode(encoded.sample, x, own)
    seen = x if own is None else own * decoded + (1 - own) * x
    return Bound(
        misfit(model.ops, model.config, x, decoded),
        model.divergence(encoded, seen),
        decoded,
        encoded,
    )
