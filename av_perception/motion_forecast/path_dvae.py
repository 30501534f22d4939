# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Paths by a dynamical VAE in generation mode: a small SRNN on the steps of people on the ground.

The model sees the velocities of the last 1.6 seconds, five a second, as seen by somebody who looks
where the person went; it then draws latents from its prior and remembers what it made itself. All
draws together are the forecast: their mean, their covariance, and radii set on other walks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from av_perception.dvae.backend import Array
from av_perception.dvae.model import DynamicalVae
from av_perception.dvae.model_file import model_of
from av_perception.errors import UserError
from av_perception.motion_forecast.history import Histories
from av_perception.motion_forecast.path_gate import gaussian_radii
from av_perception.motion_forecast.path_gaussian import PathGaussian
from av_perception.networks.weights import load_arrays

WEIGHTS = 'path_srnn'
STEP_S = 0.2
NUM_PAST = 8  # steps seen
NUM_DRAWS = 32  # of which the moments are made
MIN_SPAN_S = 0.8  # of shorter histories nothing is known
_HEADING_STEPS = 5  # over which the direction is taken


@dataclass(frozen=True)
class PathSteps:
    """What the model sees of N people."""

    #: (NUM_PAST, N, 2) [m/s] velocities, the oldest first, turned so that people go along x
    velocities: np.ndarray
    #: (N, 2, 2) that turn them back
    rotations: np.ndarray
    #: (N, 2) [m] newest places, and (N,) [s] how old these are
    newest: np.ndarray
    ages: np.ndarray


@dataclass(frozen=True)
class DvaePaths:
    """Forecasts of N people on the ground."""

    #: moments at every horizon, such that a Gaussian's region of 95 % holds the truth in 95 % of
    #: cases; the height stays
    paths: PathGaussian
    #: (N, K, H, 2) [m]
    draws: np.ndarray
    #: (N, H, 2) standard deviations within which the truth lies in 68 and 95 % of cases
    radii: np.ndarray


def path_steps(histories: Histories) -> PathSteps:
    """Lay places on a grid of time and take their steps; what is too long ago is held.

    Parameters
    ----------
    histories
        Of N people, each with a place at least.
    """
    newest_ages = np.nanmin(histories.ages, axis=1)
    wanted = STEP_S * np.arange(-NUM_PAST, 1)
    places = np.empty((len(histories), NUM_PAST + 1, 2))
    for row, age in enumerate(newest_ages):
        known = np.isfinite(histories.ages[row])
        times = age - histories.ages[row, known]
        for axis in (0, 1):
            places[row, :, axis] = np.interp(wanted, times, histories.positions[row, known, axis])
    velocities = np.diff(places, axis=1) / STEP_S
    before = places[:, -1] - places[:, -1 - _HEADING_STEPS]
    length = np.linalg.norm(before, axis=1, keepdims=True)
    ahead = np.where(length > 1e-6, before / np.maximum(length, 1e-6), [1.0, 0.0])
    rotations = np.stack([ahead, np.stack([-ahead[:, 1], ahead[:, 0]], 1)], 2)
    return PathSteps(
        np.einsum('nti,nij->tnj', velocities, rotations), rotations, places[:, -1], newest_ages
    )


def generated(model: DynamicalVae, past: Array, noise: Array, num_ahead: int) -> Array:
    """Go on after a past, each step remembered as the model made it.

    Parameters
    ----------
    model
        Of NumPy or PyTorch.
    past
        (P, ..., X).
    noise
        (P + num_ahead, ..., L) standard normal, of the latents.
    num_ahead
        Steps to come.

    Returns
    -------
    array
        (num_ahead, ..., X)
    """
    count = len(past)
    latents = model.encode(past, noise[:count]).sample
    state = model.start(past[0])
    for t in range(count):
        state = model.advance(state, latents[t], past[t])
    made = []
    for t in range(count, count + num_ahead):
        prior = model.prior_step(state, past[0])
        z = prior.mean + model.ops.exp(0.5 * prior.log_variance) * noise[t]
        made.append(model.decode_step(state, z))
        state = model.advance(state, z, made[-1])
    return model.ops.stack(made)


class PathDvae:
    """The model, and how far its draws are to be spread."""

    def __init__(self, model: DynamicalVae, card: dict):
        """Take a model and what `save_model` was told of it."""
        try:
            self._radii = np.asarray(card['radii'], float)
            if self._radii.shape[1:] != (2,) or not (self._radii > 0).all():
                raise ValueError('radii must be positive pairs')
        except (KeyError, ValueError, IndexError, TypeError) as error:
            raise UserError(f'these weights forecast no paths ({error}): train them') from error
        self._model = model

    def forecast(
        self, histories: Histories, horizons_s: np.ndarray, num_draws: int = 0
    ) -> DvaePaths:
        """Forecast people, the same for the same places.

        Parameters
        ----------
        histories
            Of N people, each with a place at least.
        horizons_s
            (H,) [s]
        num_draws
            Draws that are wanted; there are NUM_DRAWS at least.
        """
        steps = path_steps(histories)
        random = np.random.default_rng(0)
        num_ahead = int(np.ceil((horizons_s[-1] + steps.ages.max()) / STEP_S - 1e-6))
        count = max(NUM_DRAWS, num_draws)
        shape = (NUM_PAST + num_ahead, len(histories), count, self._model.config.latent_dim)
        # Everybody gets the same noise: others who are there change nothing.
        noise = random.standard_normal((shape[0], 1, *shape[2:])).astype(np.float32)
        past = np.repeat(steps.velocities[:, :, None], count, 2).astype(np.float32)
        made = generated(self._model, past, np.broadcast_to(noise, shape), num_ahead)
        moved = STEP_S * np.cumsum(np.asarray(made, float), axis=0).transpose(1, 2, 0, 3)
        moved = np.einsum('nkhj,nij->nkhi', moved, steps.rotations)
        draws = steps.newest[:, None, None] + _at(moved, horizons_s + steps.ages[:, None])
        paths = _moments(histories, draws, horizons_s)
        inner, outer = self._radii_at(horizons_s) / gaussian_radii()[1]
        paths.covariances[..., :2, :2] *= outer[:, None, None] ** 2
        radii = gaussian_radii()[1] * np.stack([inner / outer, np.ones_like(outer)], 1)
        return DvaePaths(paths, draws, np.broadcast_to(radii, (len(draws), *radii.shape)))

    def _radii_at(self, horizons_s: np.ndarray) -> np.ndarray:
        """(2, H) standard deviations of the draws, for 68 and 95 %."""
        times = STEP_S * np.arange(1, len(self._radii) + 1)
        return np.stack([np.interp(horizons_s, times, column) for column in self._radii.T])


def _moments(histories: Histories, draws: np.ndarray, horizons_s: np.ndarray) -> PathGaussian:
    rows = np.arange(len(histories))
    last = np.nanargmin(histories.ages, axis=1)
    means = np.zeros((len(draws), draws.shape[2], 3))
    means[..., :2] = draws.mean(1)
    means[..., 2] = histories.positions[rows, last, None, 2]
    around = draws - draws.mean(1, keepdims=True)
    covariances = np.zeros((*means.shape, 3))
    covariances[..., :2, :2] = np.einsum('nkhi,nkhj->nhij', around, around) / draws.shape[1]
    covariances += histories.covariances[rows, last, None]
    covariances += (0.02 + 0.02 * horizons_s)[:, None, None] ** 2 * np.eye(3)
    return PathGaussian(means, covariances)


def _at(moved: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Read paths (N, K, T, 2) that begin at 0 at times (N, H) [s], straight between steps."""
    paths = np.concatenate([np.zeros_like(moved[:, :, :1]), moved], 2)
    places = np.clip(times_s / STEP_S, 0.0, paths.shape[2] - 1.0)
    below = np.minimum(places.astype(int), paths.shape[2] - 2)
    share = (places - below)[:, None, :, None]
    index = below[:, None, :, None]
    low = np.take_along_axis(paths, index, 2)
    high = np.take_along_axis(paths, index + 1, 2)
    return (1 - share) * low + share * high


@cache
def shipped_dvae() -> PathDvae:
    """Load the model that comes with this package. Raises UserError when it is damaged."""
    return PathDvae(*model_of(load_arrays(WEIGHTS), WEIGHTS))
