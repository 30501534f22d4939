# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE: separation of sources that move, by variational EM (see `moving_mixture`).

It refines a first guess of the sources, as masks give it: a stream per source. Offline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.errors import UserError
from av_perception.separation.evolution_update import update_evolution
from av_perception.separation.filter_update import update_filters
from av_perception.separation.first_guess import GuessConfig, first_guess
from av_perception.separation.lower_bound import lower_bound
from av_perception.separation.moving_mixture import MovingMixture
from av_perception.separation.noise_update import update_noise
from av_perception.separation.power_update import update_powers
from av_perception.separation.source_update import update_sources
from av_perception.spectral.transform import ShortTimeFourier

UPDATES = (update_sources, update_powers, update_noise, update_filters, update_evolution)


@dataclass(frozen=True)
class VemoveConfig:
    """How long and how it is fitted."""

    #: Samples of a window, even; the hop is half of it.
    window: int = 512
    #: Rounds of all five updates, at least 1.
    iterations: int = 20
    #: Of the first guess.
    guess: GuessConfig = GuessConfig()
    #: Whether what no source explains is divided among them, so that they add up to the mixture.
    keep_noise: bool = False

    def __post_init__(self):
        if self.iterations < 1:
            raise ValueError(f'iterations must be at least 1, not {self.iterations}')

    @property
    def transform(self) -> ShortTimeFourier:
        """Sine windows at half overlap."""
        return ShortTimeFourier(self.window, self.window // 2, 'sine')


def separate(
    mixture: np.ndarray,
    streams: np.ndarray,
    config: VemoveConfig | None = None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> np.ndarray:
    """Separate moving sources.

    Parameters
    ----------
    mixture
        (N, I) sound of the microphones.
    streams
        (N, J) first guess of what each source gives a microphone: by masks, say.
    config
        How.
    progress
        Called with the fraction that is done.

    Returns
    -------
    np.ndarray
        (N, I, J) what each source gives each microphone.

    Raises
    ------
    UserError
        When a sample is not finite.
    """
    config = config or VemoveConfig()
    for name, sound in (('sound', mixture), ('first guess', streams)):
        check_finite(sound, name)
    scale = np.sqrt(np.mean(np.square(mixture))) if mixture.size else 0.0
    if scale <= 0:  # silence has no parts
        progress(1.0)
        return np.zeros((*mixture.shape, streams.shape[1]))
    model, level = _model(mixture / scale, streams / scale, config)
    images = source_images(fit(model, config, progress), config.keep_noise)
    spectra = images.transpose(0, 3, 1, 2)
    return config.transform.inverse(spectra, len(mixture)) * (level * scale)


def _model(
    mixture: np.ndarray, streams: np.ndarray, config: VemoveConfig
) -> tuple[MovingMixture, float]:
    """Make the model of the spectra, and the level that they are divided by."""
    # (frames, bins, channels) -> (frames, channels, bins)
    spectra = config.transform.forward(mixture).swapaxes(1, 2)
    guesses = config.transform.forward(streams).swapaxes(1, 2)
    level = float(np.sqrt(np.mean(spectra.real**2 + spectra.imag**2)))
    return first_guess(spectra / level, guesses / level, config.guess), level


def fit(
    model: MovingMixture,
    config: VemoveConfig,
    progress: Callable[[float], None] = lambda fraction: None,
) -> MovingMixture:
    """Run all rounds; it ends with the sources, given everything else."""
    for round_number in range(config.iterations):
        for update in UPDATES:
            model = update(model)
        progress((round_number + 1) / config.iterations)
    return update_sources(model)


def history_of(model: MovingMixture, rounds: int) -> tuple[MovingMixture, list[float]]:
    """Run rounds and note the bound after every single update."""
    bounds = []
    for _ in range(rounds):
        for update in UPDATES:
            model = update(model)
            bounds.append(lower_bound(model))
    return model, bounds


def source_images(model: MovingMixture, keep_noise: bool = False) -> np.ndarray:
    """(L, I, J, F) what each source gives each microphone: the posterior mean of `a_j s_j`.

    Parameters
    ----------
    model
        After `update_sources`.
    keep_noise
        Whether the rest of the mixture is divided among the sources, by their posterior powers.
    """
    images = model.filters.mean * model.sources.mean[:, None]
    if not keep_noise:
        return images
    rest = model.spectra - images.sum(axis=2)
    return images + rest[:, :, None] * _shares(model)[:, None]


def _shares(model: MovingMixture) -> np.ndarray:
    """(L, J, F) of what each source gives all microphones, with sum one."""
    gram = np.einsum('ljjf->ljf', model.filters.gram).real
    power = gram * model.sources.power
    return power / power.sum(axis=1, keepdims=True)


def check_finite(sound: np.ndarray, name: str) -> None:
    """Raise UserError where a sample is not a finite number."""
    wrong = ~np.isfinite(sound)
    if wrong.any():
        place = int(np.argmax(wrong.reshape(len(sound), -1).any(axis=1)))
        raise UserError(
            f'sample {place} of the {name} is not a finite number: cut it out or record again'
        )
