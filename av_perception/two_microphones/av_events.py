# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual events: how many objects are seen in a short window, where, and which sound.

Visual points are mapped to the ITD line, grouped there by EM, and then supervise the grouping of
the sound. Source: Alameda-Pineda, Khalidov, Horaud, Forbes, "Finding audio-visual events in
informal social gatherings", ICMI 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.numerics.em import gain_per_point, run_em
from av_perception.two_microphones.itd_mixture import ItdMixture

_LEAST_MASS = 1e-9
_FIRST_OUTLIERS = 0.1  # share of the uniform class at the start


@dataclass(frozen=True)
class EventConfig:
    """The fits of a window."""

    #: Largest number of events.
    max_events: int = 5
    #: Floor of the events' standard deviations [s].
    min_sd: float = 20e-6
    #: At most so many iterations of each EM.
    iterations: int = 20
    #: Gain of the log-likelihood per point that ends an EM [nat].
    tolerance: float = 1e-4
    #: How much the visual points count against the sound, however many they are.
    visual_balance: float = 1.0
    #: An event sounds from so many ITDs on.
    min_count: float = 3.0
    #: An event sounds from this share of the ITDs on, in [0, 1).
    min_share: float = 0.1

    def __post_init__(self):
        if not 1 <= self.max_events <= 20 or self.iterations < 1:
            raise ValueError('max_events must lie in 1..20 and iterations be at least 1')
        if min(self.min_sd, self.visual_balance, self.min_count) <= 0 or self.tolerance < 0:
            raise ValueError(
                'min_sd, visual_balance and min_count must be positive, tolerance not negative'
            )
        if not 0 <= self.min_share < 1:
            raise ValueError('min_share must lie in [0, 1)')


@dataclass(frozen=True)
class SupervisedFit:
    """What K events are, with N visual points and M ITDs."""

    #: Means and variances of the events; weights those of the sound.
    mixture: ItdMixture
    #: (N, K + 1) responsibilities of the visual points, the uniform class last.
    visual: np.ndarray
    #: (M, K + 1) responsibilities of the ITDs, the uniform class last.
    audio: np.ndarray
    #: Semi-supervised, before each iteration and after the last, never falling [nat].
    log_likelihood: tuple[float, ...]


def fit_visual(
    itds: np.ndarray, start: ItdMixture, config: EventConfig
) -> tuple[ItdMixture, tuple[float, ...]]:
    """Step V: EM for the visual points alone.

    Parameters
    ----------
    itds
        (N,) of the visual points [s].
    start
        The first mixture.
    config
        When the EM ends.

    Returns
    -------
    mixture
        The last one.
    log_likelihood
        Before each iteration and after the last, never falling [nat].
    """
    if not len(itds):
        return start, (0.0,)

    def expect(mixture: ItdMixture) -> tuple[float, np.ndarray]:
        responsibilities, log_likelihood = mixture.expect(itds)
        return float(log_likelihood.sum()), responsibilities

    def maximize(responsibilities: np.ndarray, mixture: ItdMixture) -> ItdMixture:
        moved = _moments(responsibilities[:, :-1], itds, mixture, config)
        return replace(
            moved,
            weights=responsibilities[:, :-1].mean(0),
            outlier_weight=float(responsibilities[:, -1].mean()),
        )

    stop = gain_per_point(config.tolerance, len(itds))
    run = run_em(start, expect, maximize, stop, config.iterations, evaluate_last=True)
    return run.state, run.history


def choose_number(
    itds: np.ndarray, candidates: Sequence[ItdMixture], config: EventConfig
) -> ItdMixture:
    """Choose the number of events by the Bayesian information criterion.

        BIC = -2 log L + 3 K log N

    with mean, variance and weight per event.

    Parameters
    ----------
    itds
        (N,) of the visual points [s].
    candidates
        First mixtures for step V.
    config
        When the EM ends.

    Returns
    -------
    ItdMixture
        The fitted mixture with the least BIC.
    """
    log_count = np.log(max(len(itds), 1))

    def criterion(fit: tuple[ItdMixture, tuple[float, ...]]) -> float:
        mixture, log_likelihood = fit
        return -2 * log_likelihood[-1] + 3 * len(mixture) * log_count

    mixture, _ = min((fit_visual(itds, start, config) for start in candidates), key=criterion)
    return mixture


def fit_supervised(
    visual_itds: np.ndarray,
    audio_itds: np.ndarray,
    visual: ItdMixture,
    config: EventConfig,
    freeze_means: bool = False,
) -> SupervisedFit:
    """Step A: the visual labels are kept as soft supervision, the sound joins in.

    It is an EM for

        sum_nk a_nk log N(f_n; mu_k, sigma_k^2) + sum_m log sum_k pi_k N(g_m; mu_k, sigma_k^2).

    The weights are those of the sound: who is silent is seen but has no ITDs.

    Parameters
    ----------
    visual_itds
        (N,) f, of the visual points [s].
    audio_itds
        (M,) g, of the sound [s].
    visual
        The mixture of step V.
    config
        When the EM ends.
    freeze_means
        Whether the events stay where they are.

    Returns
    -------
    SupervisedFit
        With as many events as `visual`.
    """
    labels, _ = visual.expect(visual_itds)
    pull = _balance(len(visual_itds), len(audio_itds), config) * labels[:, :-1]
    em = _SupervisedEm(visual_itds, pull, audio_itds, config, freeze_means)
    start = _evenly_weighted(visual)
    stop = gain_per_point(config.tolerance, max(len(audio_itds), 1))
    run = run_em(start, em.expect, em.maximize, stop, config.iterations, evaluate_last=True)
    return SupervisedFit(run.state, labels, run.expectation, run.history)


def _evenly_weighted(mixture: ItdMixture) -> ItdMixture:
    even = 1.0 / (len(mixture) + 1)
    return replace(mixture, weights=np.full(len(mixture), even), outlier_weight=even)


def _balance(num_visual: int, num_audio: int, config: EventConfig) -> float:
    """Weight of one visual point, beside an ITD of the sound that counts 1."""
    if not num_audio:
        return 1.0
    return min(1.0, config.visual_balance * num_audio / max(num_visual, 1))


@dataclass(frozen=True)
class _SupervisedEm:
    """Both steps of `fit_supervised`; pull: (N, K) a, the balanced labels of the visual points."""

    visual_itds: np.ndarray
    pull: np.ndarray
    audio_itds: np.ndarray
    config: EventConfig
    freeze_means: bool

    def expect(self, mixture: ItdMixture) -> tuple[float, np.ndarray]:
        """E-step of the sound: the objective and (M, K + 1) b, the responsibilities."""
        audio, log_likelihood = mixture.expect(self.audio_itds)
        return float(log_likelihood.sum()) + self._supervision(mixture), audio

    def maximize(self, audio: np.ndarray, mixture: ItdMixture) -> ItdMixture:
        """M-step: moments of both modalities, weights of the sound alone."""
        moved = mixture
        if not self.freeze_means:
            pull = np.concatenate([self.pull, audio[:, :-1]])
            itds = np.concatenate([self.visual_itds, self.audio_itds])
            moved = _moments(pull, itds, mixture, self.config)
        if not len(audio):
            return moved
        weights = audio.mean(0)
        return replace(moved, weights=weights[:-1], outlier_weight=float(weights[-1]))

    def _supervision(self, mixture: ItdMixture) -> float:
        """Log-likelihood of the labeled visual points, up to a constant."""
        squares = (self.visual_itds[:, None] - mixture.means) ** 2 / mixture.variances
        return float(-0.5 * (self.pull * (squares + np.log(mixture.variances))).sum())


def _moments(
    pull: np.ndarray, itds: np.ndarray, old: ItdMixture, config: EventConfig
) -> ItdMixture:
    """Means and variances of all points with (N, K) weights.

    An event without points keeps its own.
    """
    mass = pull.sum(0)
    share = pull / np.maximum(mass, _LEAST_MASS)
    has_points = mass > _LEAST_MASS
    means = np.where(has_points, share.T @ itds, old.means)
    scatter = (share * (itds[:, None] - means) ** 2).sum(0)
    variances = np.where(has_points, scatter, old.variances)
    return replace(old, means=means, variances=np.maximum(variances, config.min_sd**2))


def starts(itds: np.ndarray, max_itd: float, config: EventConfig) -> list[ItdMixture]:
    """First mixtures with 0 to K_max events.

    Parameters
    ----------
    itds
        (N,) of the visual points [s].
    max_itd
        Largest difference of the pair [s].
    config
        K_max and the floor of the spreads.

    Returns
    -------
    list
        For each number the sorted points cut at their widest gaps, and cut into equal numbers.
    """
    order = np.sort(itds)
    cuts = np.argsort(-np.diff(order), kind='stable') + 1
    counts = range(1, min(config.max_events, len(np.unique(itds))) + 1)
    at_gaps = [np.split(order, np.sort(cuts[: count - 1])) for count in counts]
    into_equals = [np.array_split(order, count) for count in counts]
    result = [_mixture([], [], max_itd, config)]
    for groups in at_gaps + into_equals:
        means = [group.mean() for group in groups]
        variances = [group.var() for group in groups]
        result.append(_mixture(means, variances, max_itd, config))
    return result


def neighbors(
    previous: ItdMixture, itds: np.ndarray, config: EventConfig
) -> list[tuple[ItdMixture, np.ndarray]]:
    """First mixtures with as many events as before, one less and one more.

    Parameters
    ----------
    previous
        The mixture of the window before.
    itds
        (N,) of the visual points [s].
    config
        K_max and the floor of the spreads.

    Returns
    -------
    list
        Mixtures, and (K,) which of the previous events each one's are, -1 for new.
    """
    count = len(previous)
    means, variances, max_itd = previous.means, previous.variances, previous.max_itd
    index = np.arange(count)
    result = [(_mixture(means, variances, max_itd, config), index)]
    if count:
        left = np.delete(index, np.argmin(previous.weights))
        result.append((_mixture(means[left], variances[left], max_itd, config), left))
    if count < config.max_events and len(itds):
        strangest = itds[np.argmin(previous.expect(itds)[1])]
        more_means = np.append(means, strangest)
        more_variances = np.append(variances, 4 * config.min_sd**2)
        mixture = _mixture(more_means, more_variances, max_itd, config)
        result.append((mixture, np.append(index, -1)))
    return result


def _mixture(
    means: Sequence[float] | np.ndarray,
    variances: Sequence[float] | np.ndarray,
    max_itd: float,
    config: EventConfig,
) -> ItdMixture:
    """Even weights, a tenth of the points outliers."""
    count = len(means)
    outlier = _FIRST_OUTLIERS if count else 1.0
    return ItdMixture(
        weights=np.full(count, (1 - outlier) / max(count, 1)),
        means=np.asarray(means, float),
        variances=np.maximum(np.asarray(variances, float), config.min_sd**2),
        outlier_weight=outlier,
        max_itd=max_itd,
    )
