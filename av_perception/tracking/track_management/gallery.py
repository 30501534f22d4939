# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How people look, view by view, and whether two views are of one person.

The descriptor x of `vision.appearance` is modeled as x = y + w: y ~ N(mean, B) differs from person
to person, w ~ N(0, W) from view to view of one person (light, turning, noise). The difference d of
two views then speaks for one person by

    log N(d; 0, 2 W) - log N(d; 0, 2 W + 2 B),

over those of its components that show in both (two-covariance model: Bruemmer and de Villiers,
"The speaker partitioning problem", Odyssey 2010). B and W are learned from rendered people.

Every track keeps up to VIEWS different views. A sample is a view's when it lies within the spread
of one person's views; the others replace the view that was seen least.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.numerics.gaussian import LOG_2PI

VIEWS = 4  # of a person that are kept
SPREAD_FILE = Path(__file__).with_name('appearance_spread.npz')
LARGEST_LOG_RATIO = 12.0  # [nat] that looks may be worth: the model is no better than that
_MOST_SAMPLES = 50.0  # of which a view is the mean; older ones are forgotten
_LEAST_SAMPLES = 4.0  # of a person before their looks count
_LEAST_VIEW_SAMPLES = 3.0  # of a view before it counts: a lone sample may be a mistake
LEAST_BIRTH_SAMPLES = 2  # of somebody who was just found, before their looks count
_CONSISTENT = 4.0  # squared whitened difference from their mean per component, at most
_SAME_VIEW = 1.0  # squared whitened difference per component up to which a sample is of a view


@dataclass(frozen=True)
class AppearanceModel:
    """Spread of descriptors within and between people.

    Attributes
    ----------
    within, between
        (A, A) W and B of the module's text.
    """

    within: np.ndarray
    between: np.ndarray

    @classmethod
    def shipped(cls) -> AppearanceModel:
        """Load what was learned from rendered people."""
        with np.load(SPREAD_FILE, allow_pickle=False) as spread:
            return cls(spread['within'].astype(float), spread['between'].astype(float))

    def log_ratio(self, views: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Compare views pair by pair.

        Parameters
        ----------
        views, others
            (P, A), NaN where something does not show.

        Returns
        -------
        np.ndarray
            (P,) log likelihood ratio of one person to two [nat]; 0 where nothing shows in both.
        """
        difference = views - others
        ratio = np.zeros(len(difference))
        shown = np.isfinite(difference)
        patterns, which = np.unique(shown, axis=0, return_inverse=True)
        for k, pattern in enumerate(patterns):
            if pattern.any():
                rows = which.reshape(-1) == k
                ratio[rows] = self._log_ratio_of(difference[rows][:, pattern], pattern)
        return np.clip(ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)

    def _log_ratio_of(self, difference: np.ndarray, shown: np.ndarray) -> np.ndarray:
        chosen = np.ix_(shown, shown)
        one = 2 * self.within[chosen]
        return _log_normal(difference, one) - _log_normal(
            difference, one + 2 * self.between[chosen]
        )

    @cached_property
    def _variance(self) -> np.ndarray:
        """(A,) of the difference of two views of one person."""
        return 2 * np.diag(self.within)

    def distance(self, views: np.ndarray, others: np.ndarray) -> np.ndarray:
        """(P,) mean squared difference of (P, A) views in standard deviations within a person.

        Component by component; infinite where nothing shows in both.
        """
        squared = (views - others) ** 2 / self._variance
        shown = np.isfinite(squared)
        count = shown.sum(axis=1)
        total = np.where(shown, squared, 0.0).sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _log_normal(difference: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    factor = np.linalg.cholesky(covariance)
    white = np.linalg.solve(factor, difference.T)
    log_det = 2 * np.log(np.diag(factor)).sum()
    return -0.5 * (np.sum(white**2, axis=0) + log_det + len(covariance) * LOG_2PI)


def empty_gallery() -> np.ndarray:
    """Make (VIEWS, A + 1) views of an unknown person; the last number is that of samples."""
    gallery = np.full((VIEWS, APPEARANCE_SIZE + 1), np.nan)
    gallery[:, -1] = 0.0
    return gallery


def add_sample(gallery: np.ndarray, sample: np.ndarray, model: AppearanceModel) -> None:
    """Take a sample of one person's looks into their gallery.

    Parameters
    ----------
    gallery
        (VIEWS, A + 1) of the person, changed in place.
    sample
        (A,) NaN where something does not show.
    model
        Says what is a view of its own.
    """
    # Empty views show nothing: they are infinitely far.
    distance = model.distance(gallery[:, :-1], sample[None])
    nearest = int(np.argmin(distance))
    if distance[nearest] > _SAME_VIEW:
        nearest = int(np.argmin(gallery[:, -1]))  # an empty one, or the one seen least
        gallery[nearest] = np.append(sample, 1.0)
        return
    view = gallery[nearest]
    count = min(view[-1] + 1.0, _MOST_SAMPLES)
    old = np.where(np.isfinite(view[:-1]), view[:-1], sample)
    new = np.where(np.isfinite(sample), sample, old)
    view[:-1] = old + (new - old) / count
    view[-1] = count


class Galleries:
    """The views of everybody, by the ids of their tracks."""

    def __init__(self, model: AppearanceModel | None = None):
        self._model = model or AppearanceModel.shipped()
        self._views: dict[int, np.ndarray] = {}

    def add(self, track_id: int, samples: np.ndarray) -> None:
        """Take (S, A) samples of a person's looks into their gallery."""
        track_id = int(track_id)
        for sample in samples:
            if np.isfinite(sample).any():
                if track_id not in self._views:
                    self._views[track_id] = empty_gallery()
                add_sample(self._views[track_id], sample, self._model)

    def keep(self, ids: np.ndarray) -> None:
        """Forget everybody but these."""
        living = set(ids.tolist())
        self._views = {k: views for k, views in self._views.items() if k in living}

    def log_ratios(self, ids: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Compare a newly found person with the best fitting view of each known one.

        Parameters
        ----------
        ids
            (N,) of the known people.
        samples
            (S, A) of the one who was found.

        Returns
        -------
        np.ndarray
            (N,) log likelihood ratio of one person to two [nat]; 0 where too little is known of
            one of them, or where the samples are not alike among themselves.
        """
        ratios = np.zeros(len(ids))
        found = self._consistent(samples)
        if found is None:
            return ratios
        owners = []
        firm = []
        for n, track_id in enumerate(ids.tolist()):
            if self.samples(track_id) >= _LEAST_SAMPLES:
                views = self._views[track_id]
                firm.append(views[views[:, -1] >= _LEAST_VIEW_SAMPLES, :-1])
                owners += [n] * len(firm[-1])
        if owners:
            views = np.concatenate(firm)
            ratio = self._model.log_ratio(views, np.broadcast_to(found, views.shape))
            ratios[owners] = -np.inf
            np.maximum.at(ratios, owners, ratio)
        return ratios

    def samples(self, track_id: int) -> float:
        """How many samples a person's views are made of."""
        views = self._views.get(int(track_id))
        return 0.0 if views is None else float(views[:, -1].sum())

    def _consistent(self, samples: np.ndarray) -> np.ndarray | None:
        """Take the mean (A,) of (S, A) samples; None when they are few or unlike each other."""
        samples = samples[np.isfinite(samples).any(axis=1)]
        if len(samples) < LEAST_BIRTH_SAMPLES:
            return None
        shown = np.isfinite(samples).all(axis=0)
        if not shown.any():
            return None
        mean = np.where(shown, samples.mean(axis=0), np.nan)
        distance = self._model.distance(samples, np.broadcast_to(mean, samples.shape))
        return mean if distance.max() < _CONSISTENT else None
