# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A first guess for VEMOVE from streams of the sources, as masks, beams or people give them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.separation.filter_update import update_filters
from av_perception.separation.moving_mixture import (
    Evolution,
    FilterPosterior,
    MovingMixture,
    SourcePosterior,
)
from av_perception.separation.source_powers import (
    LEAST_POWER,
    FactorizedPowers,
    FixedPowers,
    SourcePowers,
)
from av_perception.spectral.nmf import Factors, fit_nmf, random_factors

POWERS = ('free', 'tied', 'fixed')


@dataclass(frozen=True)
class GuessConfig:
    """How a first guess is made of streams."""

    #: 'free': NMF, as published; 'tied': NMF that stays near the streams; 'fixed': the streams'.
    powers: str = 'free'
    #: Components of the NMF of each source, at least 1.
    components: int = 20
    #: Rounds of the NMF of each stream.
    nmf_iterations: int = 30
    #: How often the streams' power counts beside the posterior's ('tied'), not negative.
    tie: float = 1.0
    #: Variance of a filter's step from frame to frame, in units of the filters' mean power.
    step: float = 1e-2
    #: Variance of the guess, in units of a source's power.
    doubt: float = 0.1
    #: Power of the noise, in units of the mixture's.
    noise: float = 0.01
    #: Seed of the NMF's start.
    seed: int = 0

    def __post_init__(self):
        if self.powers not in POWERS:
            raise ValueError(f'powers must be one of {", ".join(POWERS)}, not {self.powers!r}')
        if self.components < 1 or self.nmf_iterations < 0:
            raise ValueError('components must be at least 1, nmf_iterations not negative')
        if self.tie < 0 or min(self.step, self.noise, self.doubt) <= 0:
            raise ValueError('tie must not be negative; step, doubt and noise must be positive')


def first_guess(spectra: np.ndarray, guesses: np.ndarray, config: GuessConfig) -> MovingMixture:
    """Make a model of a mixture from a guess of its sources.

    Parameters
    ----------
    spectra
        (L, I, F) of the mixture, of mean power about one.
    guesses
        (L, J, F) what each source gives one microphone.
    config
        How.

    Returns
    -------
    MovingMixture
        With the filters that the guess asks for: it is taken for the sources, with some doubt.
    """
    power = guesses.real**2 + guesses.imag**2
    noise = config.noise * np.mean(spectra.real**2 + spectra.imag**2, axis=(0, 1))
    powers = _powers(power, config)
    doubt = config.doubt * powers.power
    diagonal = doubt[:, :, None] * np.eye(power.shape[1])[:, :, None] + 0j
    sources = SourcePosterior(guesses, diagonal, np.log(doubt).sum(axis=1))
    filters = constant_filters(spectra, power)
    _, num_sources, num_bins = filters.shape
    step = config.step * np.eye(num_sources, dtype=complex)[:, :, None] * np.ones(num_bins)
    evolution = Evolution(filters, step, step)
    nothing = np.zeros((len(spectra), num_sources, num_sources, num_bins), complex)
    unknown = FilterPosterior(spectra[:, :, None] * 0, nothing, nothing[1:], np.zeros(num_bins))
    start = MovingMixture(spectra, powers, np.maximum(noise, 1e-6), evolution, unknown, sources)
    return update_filters(start)


def constant_filters(spectra: np.ndarray, power: np.ndarray) -> np.ndarray:
    """(I, J, F) principal vector of the mixture's covariance where each source is loud.

    Of length sqrt(I), and real at the first microphone, so that a source has the power that a
    microphone hears.
    """
    share = power / np.maximum(power.sum(axis=1, keepdims=True), LEAST_POWER)
    covariance = np.einsum('ljf,lif,lkf->fjik', share, spectra, spectra.conj(), optimize=True)
    _, vectors = np.linalg.eigh(covariance)
    leading = vectors[..., -1] * np.sqrt(spectra.shape[1])
    leading = leading * np.exp(-1j * np.angle(leading[..., :1]))
    return np.ascontiguousarray(leading.transpose(2, 1, 0))


def _powers(power: np.ndarray, config: GuessConfig) -> SourcePowers:
    if config.powers == 'fixed':
        return FixedPowers(power)
    random = np.random.default_rng(config.seed)
    sources = tuple(_factorized(power[:, j].T, config, random) for j in range(power.shape[1]))
    if config.powers == 'free':
        return FactorizedPowers(sources)
    return FactorizedPowers(sources, reference=power, weight=config.tie)


def _factorized(power: np.ndarray, config: GuessConfig, random: np.random.Generator) -> Factors:
    """Factors of one stream's power (F, L); a silent one gets a model that hardly sounds."""
    power = np.maximum(power, LEAST_POWER)
    start = random_factors(power, config.components, random)
    return fit_nmf(power, start, 'kullback-leibler', config.nmf_iterations)
