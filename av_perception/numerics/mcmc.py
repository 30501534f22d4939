# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Markov chain Monte Carlo steps on many independent chains at once.

A target is a function of positions (..., D) that returns log densities (...), up to a constant,
and for Langevin steps also their gradients (..., D). A chain starts with `start` and moves by one
of the two steps, which leave the target invariant whatever their size. Sources: Metropolis et al.,
J. Chemical Physics 21, 1953; Roberts and Tweedie, "Exponential convergence of Langevin
distributions and their discrete approximations", Bernoulli 2(4), 1996.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LogDensity = Callable[[np.ndarray], np.ndarray]
LogDensityAndGradient = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Chains:
    """Where all chains are.

    position: (..., D); log_density: (...) of the target there; gradient: (..., D) of that, None
    for random walks; accepted: (...) bool, whether the last proposal was taken.
    """

    position: np.ndarray
    log_density: np.ndarray
    gradient: np.ndarray | None
    accepted: np.ndarray


def start_walk(position: np.ndarray, target: LogDensity) -> Chains:
    """Chains for `walk_step` at positions (..., D)."""
    log_density = target(position)
    return Chains(position, log_density, None, np.ones(np.shape(log_density), bool))


def start_langevin(position: np.ndarray, target: LogDensityAndGradient) -> Chains:
    """Chains for `langevin_step` at positions (..., D)."""
    log_density, gradient = target(position)
    return Chains(position, log_density, gradient, np.ones(np.shape(log_density), bool))


def walk_step(
    chains: Chains, target: LogDensity, deviation: float | np.ndarray, random: np.random.Generator
) -> Chains:
    """Random-walk Metropolis: propose `z' = z + deviation n`, accept with `min(1, p(z') / p(z))`.

    Parameters
    ----------
    chains
        From `start_walk` or the last step.
    target
        Log density.
    deviation
        Standard deviation of the proposal, broadcast to (..., D), in the unit of z.
    random
        Source of the draws.

    Returns
    -------
    Chains
        Moved, or where they were; a proposal whose density is not finite is never taken.
    """
    position = chains.position + deviation * random.standard_normal(chains.position.shape)
    log_density = target(position)
    accepted = _accept(log_density - chains.log_density, log_density, random)
    return _moved(chains, Chains(position, log_density, None, chains.accepted), accepted)


def langevin_step(
    chains: Chains,
    target: LogDensityAndGradient,
    step: float | np.ndarray,
    random: np.random.Generator,
) -> Chains:
    """Metropolis-adjusted Langevin: `z' = z + step grad log p(z) + sqrt(2 step) n`, or no move.

    Parameters
    ----------
    chains
        From `start_langevin` or the last step.
    target
        Log density and its gradient.
    step
        Size eta, broadcast to (..., 1), in the unit of z squared.
    random
        Source of the draws.

    Returns
    -------
    Chains
        Moved, or where they were; a proposal whose density is not finite is never taken.

    Raises
    ------
    ValueError
        When the chains were not made by `start_langevin`.
    """
    if chains.gradient is None:
        raise ValueError('these chains have no gradients: make them by start_langevin')
    noise = random.standard_normal(chains.position.shape)
    position = chains.position + step * chains.gradient + np.sqrt(2 * step) * noise
    log_density, gradient = target(position)
    proposal = Chains(position, log_density, gradient, chains.accepted)
    accepted = _accept(langevin_log_ratio(chains, proposal, step), log_density, random)
    return _moved(chains, proposal, accepted)


def _moved(chains: Chains, proposal: Chains, accepted: np.ndarray) -> Chains:
    """Take over the proposals that are accepted, (...) bool."""
    gradient = None
    if proposal.gradient is not None and chains.gradient is not None:
        gradient = np.where(accepted[..., None], proposal.gradient, chains.gradient)
    return Chains(
        np.where(accepted[..., None], proposal.position, chains.position),
        np.where(accepted, proposal.log_density, chains.log_density),
        gradient,
        accepted,
    )


def langevin_log_ratio(here: Chains, there: Chains, step: float | np.ndarray) -> np.ndarray:
    """Metropolis-Hastings ratio of a Langevin proposal.

        log p(z') + log q(z | z') - log p(z) - log q(z' | z),   q(z' | z) = N(z'; z + eta grad log
        p(z), 2 eta I)

    Parameters
    ----------
    here, there
        Chains at z and at z', with gradients.
    step
        eta, broadcast to (..., 1).

    Returns
    -------
    np.ndarray
        (...) the move is accepted with probability `min(1, exp(ratio))`.

    Raises
    ------
    ValueError
        When one of them has no gradient.
    """
    if here.gradient is None or there.gradient is None:
        raise ValueError('chains without gradients have no Langevin proposal')
    with np.errstate(invalid='ignore', over='ignore'):  # infinite gradients: no move
        forth = (there.position - here.position - step * here.gradient) ** 2
        back = (here.position - there.position - step * there.gradient) ** 2
        proposals = ((forth - back) / (4 * step)).sum(axis=-1)
        return there.log_density - here.log_density + proposals


def _accept(log_ratio, log_density, random: np.random.Generator) -> np.ndarray:
    """Bool, as often as `exp(log_ratio)` says."""
    # the logarithm of a uniform number
    threshold = -random.standard_exponential(np.shape(log_ratio))
    return (threshold < log_ratio) & np.isfinite(log_density)
