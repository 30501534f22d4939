# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The search for sources: candidates from a mixture over a grid, taken in one after another.

VESSL takes in one more component as long as the evidence bears it out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.vessl import Observations, Separation, Vessl, VesslConfig
from av_perception.geometry.rigid_transform import (
    RigidTransform,
    angles_from_direction,
    wrap_angle,
)

_PROMISE_ITERATIONS = 3  # of VESSL to rank the candidates for a component
_TRIALS = 2  # how many of them are then followed up
_NO_SOURCE = -1


@dataclass(frozen=True)
class LocalizationConfig:
    """The search for sources.

    A source more is believed when it raises the evidence by min_gain per observed component and by
    the Bayesian information criterion for its three parameters, is away from the others in azimuth
    and owns its share of the observations. What lies above or below a source is its reflection in
    ceiling or floor; what lies higher than highest_deg is a reflection or sound from everywhere
    and belongs to no source.
    """

    #: At most so many sources.
    max_sources: int = 1
    #: Sources are so far apart in azimuth [deg], in (0, 180).
    separation_deg: float = 18.0
    #: Least share of the observations of a source, in [0, 1).
    min_share: float = 0.05
    #: Evidence that a source gains per observed component [nat].
    min_gain: float = 0.007
    #: Components beyond this elevation belong to no source [deg], in (0, 90].
    highest_deg: float = 62.0
    #: How many reflections and components of no source are told from the sources.
    max_reflections: int = 3
    #: Evidence that one of these gains per observed component [nat].
    min_gain_reflection: float = 0.0017
    #: Bins below tell no direction [Hz].
    lowest_hz: float = 500.0
    #: Sound this far below the loudest bin's is outside the sound's band [dB].
    band_db: float = 45.0
    #: A bin counts where its energy exceeds this share of what it was before (0: everywhere).
    onset_ratio: float = 1.0
    #: What the energy before still counts one frame later, in [0, 1).
    onset_fade: float = 0.3
    #: Directions of the grid over the sphere, 100..20000.
    num_directions: int = 1500
    #: Candidates tried for each further source.
    candidates: int = 3
    #: Of the EM on the grid.
    iterations: int = 40
    #: Of longer recordings only so many observations are used for finding the sources.
    most_observations: int = 20000
    #: The separation.
    vessl: VesslConfig = field(default_factory=VesslConfig)

    def __post_init__(self):
        if self.max_sources < 1:
            raise ValueError(f'max_sources must be at least 1, not {self.max_sources}')
        if not 0 < self.separation_deg < 180 or not 0 <= self.min_share < 1 or self.min_gain < 0:
            raise ValueError(
                'separation_deg must lie in (0, 180), min_share in [0, 1), min_gain must not be '
                'negative'
            )
        if not 0 <= self.onset_fade < 1 or self.onset_ratio < 0:
            raise ValueError('onset_fade must lie in [0, 1), onset_ratio must not be negative')
        if min(self.max_reflections, self.min_gain_reflection, self.lowest_hz, self.band_db) < 0:
            raise ValueError(
                'max_reflections, min_gain_reflection, lowest_hz and band_db must not be negative'
            )
        if not 0 < self.highest_deg <= 90:
            raise ValueError(f'highest_deg must lie in (0, 90], not {self.highest_deg}')
        if not 100 <= self.num_directions <= 20000:
            raise ValueError(f'num_directions must lie in 100..20000, not {self.num_directions}')
        if min(self.candidates, self.iterations, self.most_observations) < 1:
            raise ValueError('candidates, iterations and most_observations must be at least 1')


@dataclass(frozen=True)
class FoundSources:
    """Components of VESSL and whose they are."""

    #: M components.
    separation: Separation
    #: (M,) index of the source that a component is, or is a reflection of; -1: none.
    owner: tuple[int, ...]


def find_sources(
    acoustic_map: AcousticMap,
    seen: Observations,
    scores: np.ndarray,
    grid: np.ndarray,
    config: LocalizationConfig,
    base_from_array: RigidTransform,
) -> FoundSources:
    """Take in sources, and reflections of them, as the evidence bears out.

    Parameters
    ----------
    acoustic_map
        The map.
    seen
        J observations.
    scores
        (J, D) log likelihood of each under the directions of the grid.
    grid
        (D, 3) unit vectors in the array frame.
    config
        The search.
    base_from_array
        The array's pose on the head.

    Returns
    -------
    FoundSources
        At least one component.
    """
    search = _Search(acoustic_map, seen, scores, grid, config, base_from_array)
    found = search.first()
    while len(found.owner) < config.max_sources + config.max_reflections:
        larger = search.extended(found)
        if larger is None:
            break
        found = larger
    return found


class _Search:
    """What the steps of `find_sources` share; the arguments are its own."""

    def __init__(
        self,
        acoustic_map: AcousticMap,
        seen: Observations,
        scores: np.ndarray,
        grid: np.ndarray,
        config: LocalizationConfig,
        base_from_array: RigidTransform,
    ):
        self._scores = scores
        self._grid = grid
        self._config = config
        self._base_from_array = base_from_array
        self._vessl = Vessl(acoustic_map, seen, config.vessl)
        clutter = acoustic_map.clutter_log_density(seen.present).astype(np.float32)
        self._weight = _grid_weights(scores, clutter, config.iterations)
        # Bayesian information criterion: three parameters of a component
        self._cost = 1.5 * np.log(1 + config.vessl.novelty * len(seen))
        self._size = float(seen.present.sum())

    def first(self) -> FoundSources:
        """Take in the most promising component, whatever the evidence."""
        candidates = _candidates(self._weight, self._grid, [], self._config)
        first = next(_best(self._vessl, self._scores, candidates))
        directions = self._base_from_array.rotate(source_directions(first))
        is_high = _too_high(directions, self._config)[0]
        return FoundSources(first, (_NO_SOURCE,) if is_high else (0,))

    def extended(self, found: FoundSources) -> FoundSources | None:
        """Take in one more component, None when none is to be believed."""
        known = source_directions(found.separation)
        candidates = _candidates(self._weight, self._grid, known, self._config)
        start = found.separation.log_likelihood
        for trial in _best(self._vessl, self._scores, candidates, start):
            owner = _owners(
                trial, found, self._base_from_array, self._cost, self._size, self._config
            )
            if owner:
                return FoundSources(trial, owner)
        return None


def source_directions(separation: Separation) -> np.ndarray:
    """(M, 3) unit vectors in the array frame."""
    return np.stack([source.direction() for source in separation.sources])


def _grid_weights(scores: np.ndarray, clutter: np.ndarray, iterations: int) -> np.ndarray:
    """(D,) weights of a mixture over the grid and clutter, by EM."""
    peak = np.maximum(scores.max(axis=1), clutter)
    density = np.exp(scores - peak[:, None])
    clutter_density = np.exp(clutter - peak)
    weight = np.full(density.shape[1], 0.5 / density.shape[1], np.float32)
    clutter_weight = 0.5
    for _ in range(iterations):
        evidence = density @ weight + clutter_weight * clutter_density
        clutter_weight = float(np.mean(clutter_weight * clutter_density / evidence))
        weight = weight * ((1 / evidence) @ density) / len(density)
    return weight


def _best(
    vessl: Vessl, scores: np.ndarray, candidates: list[int], start: np.ndarray | None = None
) -> Iterator[Separation]:
    """Try one more component at each candidate; yields the most promising trial first.

    start: (J, M) log likelihoods of the components that are there already.
    """
    promise = []
    for candidate in candidates:
        column = scores[:, candidate : candidate + 1]
        columns = column if start is None else np.column_stack([start, column])
        promise.append(vessl.separate(columns, _PROMISE_ITERATIONS))
    for trial in sorted(promise, key=lambda t: -t.bound[-1])[:_TRIALS]:
        yield vessl.separate(trial.log_likelihood)


def _owners(
    trial: Separation,
    found: FoundSources,
    base_from_array: RigidTransform,
    cost: float,
    size: float,
    config: LocalizationConfig,
) -> tuple[int, ...]:
    """Find the owners of a trial's components, the last of which is new.

    Empty when it is not to be believed. cost [nat] of a component; size: number of observed
    components of all features.
    """
    gain = trial.bound[-1] - found.separation.bound[-1]
    directions = base_from_array.rotate(source_directions(trial))
    cosine = directions[:-1] @ directions[-1]
    separation_rad = np.radians(config.separation_deg)
    if gain < max(cost, config.min_gain_reflection * size):
        return ()
    if cosine.max() > np.cos(separation_rad):
        return ()
    if _too_high(directions, config)[-1]:
        return (*found.owner, _NO_SOURCE)
    azimuth = angles_from_direction(directions)[0]
    is_beneath = np.abs(wrap_angle(azimuth[:-1] - azimuth[-1])) < separation_rad
    near = np.flatnonzero(is_beneath & (np.array(found.owner) >= 0))
    if len(near):  # above or below a source: its reflection
        return (*found.owner, found.owner[near[0]])
    new = max(found.owner) + 1
    is_weak = gain < config.min_gain * size or trial.shares[-1] < config.min_share
    if new == config.max_sources or is_weak:
        return ()
    return (*found.owner, new)


def _too_high(directions: np.ndarray, config: LocalizationConfig) -> np.ndarray:
    """(M,) bool of (M, 3) in the base frame: from ceiling or floor.

    To a level array sound from everywhere also seems to come from there.
    """
    return np.abs(angles_from_direction(directions)[1]) > np.radians(config.highest_deg)


def _candidates(
    weight: np.ndarray,
    grid: np.ndarray,
    known: Sequence[np.ndarray] | np.ndarray,
    config: LocalizationConfig,
) -> list[int]:
    """Grid indices of the heaviest neighborhoods away from the known directions."""
    remaining = weight.copy()
    far = np.cos(np.radians(config.separation_deg))
    for direction in known:
        remaining[grid @ direction > far] = 0.0
    chosen: list[int] = []
    while len(chosen) < config.candidates:
        peak = int(remaining.argmax())
        around = grid @ grid[peak] > np.cos(np.radians(0.5 * config.separation_deg))
        least = 0.3 * config.min_share if chosen or len(known) else 0.0
        if remaining[around].sum() < least:
            break
        chosen.append(peak)
        remaining[grid @ grid[peak] > far] = 0.0
    return chosen
