# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual events: how many objects are seen in a short window, where they are, and which of them sound.

Visual points are mapped to the ITD line, grouped there by EM, and then supervise the grouping of the sound. Source: Alameda-Pineda, Khalidov,
Horaud, Forbes, "Finding audio-visual events in informal social gatherings", ICMI 2011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.two_microphones.itd_mixture import ItdMixture

_LEAST_MASS = 1e-9


@dataclass(frozen=True)
class EventConfig:
    """max_events: K_max; min_sd: floor of the spreads [s]; iterations: of each EM; tolerance: change of the log-likelihood per point that
    ends it. visual_balance: the visual points count as much as this many times the sound, however many they are.

    An event sounds from min_count ITDs and from the share min_share of them on.
    """

    #: Largest number of events.
    max_events: int = 5
    min_sd: float = 20e-6
    iterations: int = 20
    tolerance: float = 1e-4
    #: How much the visual points count against the sound, however many they are.
    visual_balance: float = 1.0
    min_count: float = 3.0
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
    """mixture: means and variances of the events, weights those of the sound; visual, audio: (N, K + 1), (M, K + 1) responsibilities, nobody
    last; log_likelihood: semi-supervised, before each iteration and after the last, never falling.
    """

    mixture: ItdMixture
    visual: np.ndarray
    audio: np.ndarray
    log_likelihood: tuple[float, ...]


def fit_visual(
    itds: np.ndarray, start: ItdMixture, config: EventConfig
) -> tuple[ItdMixture, tuple[float, ...]]:
    """Step V: EM for the visual points alone, (N,) ITDs; returns the mixture and the log-likelihoods, which never fall."""
    if not len(itds):
        return start, (0.0,)
    mixture, history = start, []
    for _ in range(config.iterations):
        responsibilities, log_likelihood = mixture.expect(itds)
        history.append(float(log_likelihood.sum()))
        if len(history) > 1 and history[-1] - history[-2] <= config.tolerance * len(itds):
            return mixture, tuple(history)
        moved = _moments(responsibilities[:, :-1], itds, mixture, config)
        mixture = replace(
            moved,
            weights=responsibilities[:, :-1].mean(0),
            outlier_weight=float(responsibilities[:, -1].mean()),
        )
    return mixture, (*history, float(mixture.expect(itds)[1].sum()))


def choose_number(
    itds: np.ndarray, candidates: list[ItdMixture], config: EventConfig
) -> ItdMixture:
    """Step V for every candidate start; the mixture with the least `BIC = -2 log L + 3 K log N` (mean, variance and weight per event)."""
    fits = [fit_visual(itds, start, config) for start in candidates]
    return min(
        fits, key=lambda fit: -2 * fit[1][-1] + 3 * len(fit[0]) * np.log(max(len(itds), 1))
    )[0]


def fit_supervised(
    visual_itds: np.ndarray,
    audio_itds: np.ndarray,
    visual: ItdMixture,
    config: EventConfig,
    freeze_means: bool = False,
) -> SupervisedFit:
    """Step A: the visual labels are kept as soft supervision, (M,) audio ITDs join in.

    It is an EM for `sum_nk a_nk log N(f_n; mu_k, sigma_k^2) + sum_m log sum_k pi_k N(g_m; mu_k, sigma_k^2)`. The weights are those of the sound:
    who is silent is seen but has no ITDs.
    """
    labels, _ = visual.expect(visual_itds)
    balance = (
        min(1.0, config.visual_balance * len(audio_itds) / max(len(visual_itds), 1))
        if len(audio_itds)
        else 1.0
    )
    pull = balance * labels[:, :-1]
    both = np.concatenate([visual_itds, audio_itds])
    even = np.full(len(visual), 1.0 / (len(visual) + 1))
    mixture, history = replace(visual, weights=even, outlier_weight=1.0 / (len(visual) + 1)), []
    for _ in range(config.iterations):
        audio, log_likelihood = mixture.expect(audio_itds)
        history.append(float(log_likelihood.sum()) + _supervision(pull, visual_itds, mixture))
        if len(history) > 1 and history[-1] - history[-2] <= config.tolerance * max(
            len(audio_itds), 1
        ):
            return SupervisedFit(mixture, labels, audio, tuple(history))
        moved = (
            mixture
            if freeze_means
            else _moments(np.concatenate([pull, audio[:, :-1]]), both, mixture, config)
        )
        weights = (
            audio.mean(0) if len(audio) else np.append(mixture.weights, mixture.outlier_weight)
        )
        mixture = replace(moved, weights=weights[:-1], outlier_weight=float(weights[-1]))
    audio, log_likelihood = mixture.expect(audio_itds)
    history.append(float(log_likelihood.sum()) + _supervision(pull, visual_itds, mixture))
    return SupervisedFit(mixture, labels, audio, tuple(history))


def _supervision(pull: np.ndarray, itds: np.ndarray, mixture: ItdMixture) -> float:
    """Log-likelihood of the labelled visual points, up to a constant."""
    squares = (itds[:, None] - mixture.means) ** 2 / mixture.variances
    return float(-0.5 * (pull * (squares + np.log(mixture.variances))).sum())


def _moments(
    pull: np.ndarray, itds: np.ndarray, old: ItdMixture, config: EventConfig
) -> ItdMixture:
    """Means and variances of all points with (N, K) weights; an event without points keeps its own."""
    mass = pull.sum(0)
    share = pull / np.maximum(mass, _LEAST_MASS)
    means = np.where(mass > _LEAST_MASS, share.T @ itds, old.means)
    variances = np.where(
        mass > _LEAST_MASS, (share * (itds[:, None] - means) ** 2).sum(0), old.variances
    )
    return replace(old, means=means, variances=np.maximum(variances, config.min_sd**2))


def starts(itds: np.ndarray, max_itd: float, config: EventConfig) -> list[ItdMixture]:
    """First mixtures with 0 to K_max events: the sorted points cut at their widest gaps, and cut into equal numbers."""
    order = np.sort(itds)
    cuts = np.argsort(-np.diff(order), kind='stable') + 1
    counts = range(1, min(config.max_events, len(np.unique(itds))) + 1)
    groups = [np.split(order, np.sort(cuts[: count - 1])) for count in counts] + [
        np.array_split(order, count) for count in counts
    ]
    return [_mixture([], [], max_itd, config)] + [
        _mixture([g.mean() for g in group], [g.var() for g in group], max_itd, config)
        for group in groups
    ]


def neighbors(
    previous: ItdMixture, itds: np.ndarray, config: EventConfig
) -> list[tuple[ItdMixture, np.ndarray]]:
    """First mixtures with one event less, as many and one more than before; and which of the previous events each one's are, -1 for new."""
    count, nominal = len(previous), config.min_sd**2
    index = np.arange(count)
    result = [(_mixture(previous.means, previous.variances, previous.max_itd, config), index)]
    if count:
        left = np.delete(index, np.argmin(previous.weights))
        result.append(
            (
                _mixture(previous.means[left], previous.variances[left], previous.max_itd, config),
                left,
            )
        )
    if count < config.max_events and len(itds):
        strangest = itds[np.argmin(previous.expect(itds)[1])]
        means, variances = (
            np.append(previous.means, strangest),
            np.append(previous.variances, 4 * nominal),
        )
        result.append((_mixture(means, variances, previous.max_itd, config), np.append(index, -1)))
    return result


def _mixture(means, variances, max_itd: float, config: EventConfig) -> ItdMixture:
    """Even weights, a tenth of the points outliers."""
    count = len(means)
    outlier = 0.1 if count else 1.0
    weights = np.full(count, (1 - outlier) / max(count, 1))
    return ItdMixture(
        weights,
        np.asarray(means, float),
        np.maximum(np.asarray(variances, float), config.min_sd**2),
        outlier,
        max_itd,
    )
