# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Separation and diarization in one: filters that stand still, and sources that talk or do not.

    x_l = A diag(z_l) s_l + b_l,   z_l in {0, 1}^J a Markov chain that all F bins share

The posterior of sources and states is exact, so that this is an EM, whose likelihood never falls.
With everybody talking all the time it is the EM for convolutive mixtures with NMF of Ozerov and
Févotte (IEEE Trans. ASLP 18(3), 2010). Source: Kounades-Bastian, Girin, Alameda-Pineda, Gannot
and Horaud, "An EM algorithm for joint source separation and diarisation of multichannel
convolutive speech mixtures", ICASSP 2017. Arrays are laid out as in `moving_mixture`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from av_perception.numerics.hmm import ChainPosterior, forward_backward
from av_perception.numerics.small_hermitian import adjoint, inverse_and_log_det, product
from av_perception.separation.moving_mixture import SourcePosterior
from av_perception.separation.noise_update import LEAST_NOISE
from av_perception.separation.source_powers import SourcePowers
from av_perception.separation.source_update import posterior_of, project

MAX_SOURCES = 4
_LEAST_PROBABILITY = 1e-6  # a state with less is not worked out, a transition has no less


@dataclass(frozen=True)
class TalkingMixture:
    """Parameters, and the mixture (L, I, F).

    noise: (F,) v; filters: (I, J, F) A; states: (E, J) bool, who talks; transition: (E, E)
    p(state after | state before), rows sum to one; initial: (E,).
    """

    spectra: np.ndarray
    powers: SourcePowers
    noise: np.ndarray
    filters: np.ndarray
    states: np.ndarray
    initial: np.ndarray
    transition: np.ndarray


@dataclass(frozen=True)
class TalkingPosterior:
    """What the mixture says. activity: (L, J) probability that a source talks.

    chain: of the states; mean: (L, J, F) E[z_j s_j]; second_moment: (L, J, J, F) of z s;
    power: (L, J, F) E[|s_j|^2], which is the prior's while a source is silent.
    """

    activity: np.ndarray
    chain: ChainPosterior
    mean: np.ndarray
    second_moment: np.ndarray
    power: np.ndarray

    @property
    def log_likelihood(self) -> float:
        """Logarithm of p(x) [nat]."""
        return float(self.chain.log_evidence)


def all_states(num_sources: int) -> np.ndarray:
    """(2^J, J) bool. Raises ValueError for more sources than are practical."""
    if not 1 <= num_sources <= MAX_SOURCES:
        raise ValueError(f'there must be 1 to {MAX_SOURCES} sources, not {num_sources}')
    return (np.arange(2**num_sources)[:, None] >> np.arange(num_sources)) & 1 == 1


def persistent_transition(states: np.ndarray, change: float) -> np.ndarray:
    """(E, E): each source by itself starts or stops with probability `change` per frame."""
    different = (states[:, None] != states[None]).sum(axis=2)
    same = states.shape[1] - different
    transition = change**different * (1 - change) ** same
    return transition / transition.sum(axis=1, keepdims=True)


def expect(model: TalkingMixture, log_prior: np.ndarray | None = None) -> TalkingPosterior:
    """E-step.

    Parameters
    ----------
    model
        Parameters.
    log_prior
        (L, E) what others say of the states, as probabilities of speaking do.

    Returns
    -------
    TalkingPosterior
        Of states and sources.
    """
    scores = np.array([score for score, _ in _by_state(model)]).T
    if log_prior is not None:
        scores = scores + log_prior
    floor = np.finfo(float).tiny
    chain = forward_backward(
        np.log(np.maximum(model.initial, floor)),
        np.log(np.maximum(model.transition, floor)),
        scores,
    )
    power = model.powers.power
    mean = np.zeros(power.shape, complex)
    second = np.zeros((*power.shape[:2], *power.shape[1:]), complex)
    total = np.zeros(power.shape)
    for index, (_, found) in enumerate(_by_state(model)):
        weight = chain.states[:, index, None, None]
        on = np.flatnonzero(model.states[index])
        off = np.flatnonzero(~model.states[index])
        total[:, off] += weight * power[:, off]
        if found is None:
            continue
        mean[:, on] += weight * found.mean
        second[:, on[:, None], on] += weight[..., None] * found.second_moment
        total[:, on] += weight * found.power
    return TalkingPosterior(chain.states @ model.states, chain, mean, second, total)


def _by_state(model: TalkingMixture) -> Iterator[tuple[np.ndarray, SourcePosterior | None]]:
    """Yield log p(x_l | state) (L,) and the posterior of those who talk in it."""
    spectra, noise = model.spectra, model.noise
    power = model.powers.power
    loudness = (spectra.real**2 + spectra.imag**2).sum(axis=1) / noise
    silent = -(spectra.shape[1] * np.log(np.pi * noise) + loudness).sum(axis=1)
    projected = project(model.filters, spectra) / noise
    gram = product(adjoint(model.filters), model.filters) / noise
    for state in model.states:
        if not state.any():
            yield silent, None
            continue
        inside = gram[state][:, state][None]
        evidence = projected[:, state]
        found = posterior_of(power[:, state], inside, evidence)
        gain = np.einsum('ljf,ljf->l', evidence.conj(), found.mean).real
        volume = found.log_det - np.log(power[:, state]).sum(axis=1)
        yield silent + gain + volume.sum(axis=1), found


def maximize(model: TalkingMixture, found: TalkingPosterior) -> TalkingMixture:
    """M-step: filters, noise, powers and transitions."""
    spectra = model.spectra
    num_frames, num_microphones, _ = spectra.shape
    moment = found.second_moment.sum(axis=0)
    cross = np.einsum('lif,ljf->ijf', spectra, found.mean.conj())
    regular = np.einsum('jjf->f', moment).real * 1e-12 + np.finfo(float).tiny
    identity = np.eye(moment.shape[0])[:, :, None]
    filters = product(cross, inverse_and_log_det(moment + regular * identity)[0])
    power = (spectra.real**2 + spectra.imag**2).sum(axis=(0, 1))
    aligned = np.einsum('ijf,ijf->f', filters.conj(), cross).real
    explained = np.einsum('ijf,jkf,ikf->f', filters, moment, filters.conj()).real
    noise = (power - 2 * aligned + explained) / (num_frames * num_microphones)
    counts = found.chain.pairs.sum(axis=0) + _LEAST_PROBABILITY
    return replace(
        model,
        filters=filters,
        noise=np.maximum(noise, LEAST_NOISE),
        powers=model.powers.updated(found.power),
        initial=found.chain.states[0],
        transition=counts / counts.sum(axis=1, keepdims=True),
    )


def talking_images(model: TalkingMixture, found: TalkingPosterior) -> np.ndarray:
    """(L, I, J, F) what each source gives each microphone."""
    return model.filters * found.mean[:, None]
