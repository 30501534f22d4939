# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Nonnegative matrix factorization `V ~ W H` by multiplicative rules that never raise the cost.

W (F, K) is a dictionary of spectra, H (K, T) says how much of each sounds when. The rules minimize
a majorizing function: for KL and Euclidean cost the ratio of the gradient's two parts (Lee and
Seung, NIPS 2001), for Itakura-Saito its square root (Févotte and Idier, "Algorithms for
nonnegative matrix factorization with the beta-divergence", Neural Computation 23(9), 2011, with
gamma(0) = 1/2). A background that is not learnt (the speech of a variational autoencoder, say) may
be added to the model, in several samples that count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BETA = {'itakura-saito': 0, 'kullback-leibler': 1, 'euclidean': 2}
COSTS = tuple(_BETA)
_LEAST_MODEL = 1e-100  # no spectrogram is as quiet: divisors stay positive


@dataclass(frozen=True)
class Factors:
    """dictionary: W (F, K); activations: H (K, T); cost: at first and after every iteration."""

    dictionary: np.ndarray
    activations: np.ndarray
    cost: tuple[float, ...] = ()

    @property
    def model(self) -> np.ndarray:
        """(F, T) `W H`."""
        return self.dictionary @ self.activations

    def normalized(self) -> Factors:
        """Scale to the same model with columns of the dictionary that sum to one."""
        scale = self.dictionary.sum(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        return Factors(self.dictionary / scale, self.activations * scale[:, None], self.cost)


def divergence(observed: np.ndarray, model: np.ndarray, cost: str) -> float:
    """Cost of a model, summed over everything; zero where it fits.

    Parameters
    ----------
    observed
        (..., F, T) not negative; positive for 'itakura-saito'.
    model
        (..., F, T) not negative.
    cost
        One of COSTS.

    Returns
    -------
    float
        'itakura-saito': sum v/m - log(v/m) - 1; 'kullback-leibler': sum v log(v/m) - v + m;
        'euclidean': sum (v - m)^2 / 2.

    Raises
    ------
    ValueError
        When there is no such cost.
    """
    beta = _beta(cost)
    if beta == 2:
        return float(0.5 * ((observed - model) ** 2).sum())
    ratio = observed / np.maximum(model, _LEAST_MODEL)
    if beta == 0:
        return float((ratio - np.log(ratio) - 1).sum())
    logarithm = np.log(np.where(ratio > 0, ratio, 1.0))  # 0 log 0 = 0
    return float((observed * logarithm - observed + model).sum())


def update_dictionary(
    observed, factors: Factors, cost: str, background=0.0, weights=None
) -> Factors:
    """One step for W; parameters as for `update_activations`."""
    model = factors.model + background
    attracted, repelled, power = _gradient_parts(observed, model, cost, weights)
    activations = factors.activations
    ratio = _ratio(attracted @ activations.T, repelled @ activations.T)
    return Factors(factors.dictionary * ratio**power, activations, factors.cost)


def update_activations(
    observed, factors: Factors, cost: str, background=0.0, weights=None
) -> Factors:
    """One step for H, after which the cost is no higher than before.

    Parameters
    ----------
    observed
        (F, T) power (for 'itakura-saito') or magnitudes, not negative.
    factors
        What is known so far; entries of zero stay zero.
    cost
        One of COSTS.
    background
        Fixed part of the model, not negative: a number, (F, T), or R samples (R, F, T) over which
        the cost is summed.
    weights
        (R, T) how much each sample counts in each frame; None: all alike.

    Returns
    -------
    Factors
        With new activations.

    Raises
    ------
    ValueError
        When there is no such cost.
    """
    model = factors.model + background
    attracted, repelled, power = _gradient_parts(observed, model, cost, weights)
    dictionary = factors.dictionary
    ratio = _ratio(dictionary.T @ attracted, dictionary.T @ repelled)
    return Factors(dictionary, factors.activations * ratio**power, factors.cost)


def fit_nmf(
    observed: np.ndarray, start: Factors, cost: str, iterations: int, background=0.0
) -> Factors:
    """Alternate both updates.

    Parameters
    ----------
    observed, cost, background
        As for `update_activations`.
    start
        Positive factors, as from `random_factors`.
    iterations
        How often both are updated.

    Returns
    -------
    Factors
        With columns of W that sum to one, and the cost of the start and after every iteration.

    Raises
    ------
    ValueError
        When a number is negative or not finite, or there is no such cost.
    """
    if not (np.isfinite(observed).all() and (observed >= 0).all()):
        raise ValueError('what is factorized must be finite and not negative')
    factors, history = start, []
    if cost == 'itakura-saito':  # which cannot tell silence from the end of the world
        observed = np.maximum(observed, 1e-10 * observed.mean() or _LEAST_MODEL)
    for _ in range(iterations):
        history.append(divergence(observed, factors.model + background, cost))
        factors = update_dictionary(observed, factors, cost, background)
        factors = update_activations(observed, factors, cost, background).normalized()
    history.append(divergence(observed, factors.model + background, cost))
    return Factors(factors.dictionary, factors.activations, tuple(history))


def random_factors(observed: np.ndarray, rank: int, random: np.random.Generator) -> Factors:
    """Draw a start of `rank` components whose model has the mean of the observations (F, T)."""
    dictionary = random.uniform(0.5, 1.5, (observed.shape[0], rank))
    dictionary /= dictionary.sum(axis=0)
    activations = random.uniform(0.5, 1.5, (rank, observed.shape[1]))
    level = observed.sum() / max((dictionary @ activations).sum(), _LEAST_MODEL)
    return Factors(dictionary, activations * level)


def _gradient_parts(
    observed, model, cost: str, weights=None
) -> tuple[np.ndarray, np.ndarray, float]:
    """(F, T) what raises and what lowers the factors, and the exponent of their ratio."""
    beta = _beta(cost)
    model = np.maximum(model, _LEAST_MODEL)
    attracted = observed * model ** (beta - 2.0)
    repelled = model ** (beta - 1.0)
    if model.ndim == 3:
        if weights is not None:
            attracted = weights[:, None] * attracted
            repelled = weights[:, None] * repelled
        attracted, repelled = attracted.sum(axis=0), repelled.sum(axis=0)
    return attracted, repelled, 0.5 if beta == 0 else 1.0


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """One where nothing pulls either way: a component that never sounds stays."""
    return np.divide(above, below, out=np.ones_like(above), where=below > 0)


def _beta(cost: str) -> int:
    if cost not in _BETA:
        raise ValueError(f'the cost must be one of {", ".join(COSTS)}, not {cost!r}')
    return _BETA[cost]
