# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the bins of direction tell the tracker: voices of nobody, and where its people speak.

Several who speak at once are several directions here; the sub-bands of one frame are pulled
toward their average.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.bin_stream import direction_likelihood
from av_perception.audio.direction_bins import BinBlock
from av_perception.audio.direction_grid import direction_grid
from av_perception.audio.direction_mixture import (
    DirectionMixture,
    DirectionMixtureConfig,
    HeardVoice,
)
from av_perception.geometry.rigid_transform import wrap_angle
from av_perception.numerics.softmax import softmax
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.tracking.state_space.interface import LinearMap

_EYE = np.eye(3)


@dataclass(frozen=True)
class VoiceDirectionsConfig:
    """How far bins of direction tell where voices are."""

    #: voices that no known person explains
    mixture: DirectionMixtureConfig = field(default_factory=DirectionMixtureConfig)
    #: in (0, 1], weight of a bin: neighboring bins are not independent
    tempering: float = 0.1
    #: a person's bins of a frame tell the direction when there are so many
    min_bins: float = 4.0
    #: [deg] standard deviation of the direction error that all bins of a person share
    direction_error_deg: float = 8.0
    #: [deg] azimuth, so far from where a person was predicted is the person sought
    search_deg: float = 12.0
    #: a voice within so many standard deviations of a sleeper's azimuth is the sleeper's
    wake_deviations: float = 1.5
    #: [deg] what is remembered of sound is of no use once the head has turned so far
    max_turn_deg: float = 5.0

    def __post_init__(self):
        if not 0 < self.tempering <= 1:
            raise ValueError('tempering must lie in (0, 1]')
        positive = (
            self.min_bins,
            self.direction_error_deg,
            self.search_deg,
            self.wake_deviations,
            self.max_turn_deg,
        )
        if min(positive) <= 0:
            raise ValueError(
                'min_bins, direction_error_deg, search_deg, wake_deviations and max_turn_deg '
                'must be positive'
            )


@dataclass(frozen=True)
class VoicesOfFrame:
    """What the bins of one frame say of N tracks.

    strangers: voices that no track explains; observed: (N, 3) unit vectors in the array frame in
    which the tracks were heard; precision: (N, 3, 3) of them, zero where nothing was heard or
    nobody is sought; share: (N,) of the voiced bins, 0 for too few of them.
    """

    strangers: tuple[HeardVoice, ...]
    observed: np.ndarray
    precision: np.ndarray
    share: np.ndarray

    def information(self, directions: LinearMap) -> tuple[np.ndarray, np.ndarray]:
        """Turn the observed directions into information about the states (T8).

        Parameters
        ----------
        directions
            `u(s) ~ u + J (s - m)` about the predicted means.

        Returns
        -------
        precision, vector
            (N, D, D) `J' R^-1 J` and (N, D) `J' R^-1 (z - u)`.
        """
        projected = directions.matrix.swapaxes(1, 2) @ self.precision
        surprise = (self.observed - directions.value)[..., None]
        return projected @ directions.matrix, (projected @ surprise)[..., 0]


class VoiceDirections:
    """Follows the mixture of directions of one array, with the tracks as its known people.

    Parameters
    ----------
    config
        See `VoiceDirectionsConfig`.
    array
        Microphones of the head.
    """

    def __init__(self, config: VoiceDirectionsConfig, array: MicrophoneArray):
        self._config = config
        self._error = np.radians(config.direction_error_deg) ** 2 * _EYE
        self._grid = direction_grid(array)
        self._mixture = DirectionMixture(direction_likelihood(array), self._grid, config.mixture)
        self.reset()

    def reset(self) -> None:
        """Forget all sound."""
        self._mixture.reset()
        self._rotation: np.ndarray | None = None

    def observe(
        self,
        blocks: list[BinBlock],
        ids: np.ndarray,
        directions: LinearMap,
        sleepers_std: np.ndarray,
        rotation: np.ndarray,
        sought: np.ndarray | None = None,
    ) -> VoicesOfFrame:
        """Take the blocks of one frame.

        Parameters
        ----------
        blocks
            Oldest first.
        ids, directions
            (N,) of the tracks, and where the array hears them, about their predicted means.
        sleepers_std
            (N,) of the azimuth of who sleeps and may have walked on [rad], 0 of who does not.
        rotation
            (3, 3) of the array in the reference frame.
        sought
            (N,) bool, whom their voices are to tell where they are; None for everybody.
        """
        self._turn(rotation)
        sought = directions.usable if sought is None else sought & directions.usable
        usable = np.flatnonzero(directions.usable)
        strangers, score, own_bins, share = self._hear(blocks, ids, directions, usable, sought)
        observed, precision = self._directions(score, own_bins, directions, sought)
        share = np.where(precision.any(axis=(1, 2)), share, 0.0)
        new = []
        for voice in strangers:
            n = self._owner(voice, directions.value[usable], sleepers_std[usable])
            if n is None:
                new.append(voice)
            elif n >= 0:
                observed[usable[n]] = voice.direction
                precision[usable[n]] = np.linalg.inv(voice.covariance + self._error)
                share[usable[n]] = voice.share
        return VoicesOfFrame(tuple(new), observed, precision, share)

    def _hear(
        self,
        blocks: list[BinBlock],
        ids: np.ndarray,
        directions: LinearMap,
        usable: np.ndarray,
        sought: np.ndarray,
    ) -> tuple[list[HeardVoice], np.ndarray, np.ndarray, np.ndarray]:
        """Strangers of the last block; of each track log likelihood on the grid, bins, share.

        The last three are 0 where nobody is sought.
        """
        known = {int(ids[n]): directions.value[n] for n in usable}
        score = np.zeros((len(ids), len(self._grid)))
        own_bins = np.zeros(len(ids))
        all_bins = 0.0
        strangers: list[HeardVoice] = []
        is_anybody_sought = bool(sought.any())
        for block in blocks:
            strangers = self._mixture.update(block, known, describe=is_anybody_sought)
            if not is_anybody_sought:
                continue
            newest = self._mixture.newest
            for column in np.flatnonzero(sought[usable]):
                score[usable[column]] += newest.voiced * (newest.owned[:, column] @ newest.ratios)
            own_bins[usable] += newest.voiced * newest.owned.sum(axis=0)
            all_bins += newest.voiced * len(newest.ratios)
        return strangers, score, own_bins, own_bins / max(all_bins, 1.0)

    def _owner(
        self, voice: HeardVoice, towards: np.ndarray, sleepers_std: np.ndarray
    ) -> int | None:
        """Index of the sleeper whose voice it is, -1 for a voice of people nearby, None for new.

        What is nearer to a track than two voices are to each other is nobody new: between two
        people who speak at once it is mostly both of them.
        """
        if not len(towards):
            return None
        azimuth = self._grid.azimuth_of(towards)
        distance = np.abs(wrap_angle(azimuth - self._grid.azimuth_of(voice.direction)))
        if distance.min() < np.radians(self._config.mixture.separation_deg):
            return -1
        may_be = distance <= self._config.wake_deviations * sleepers_std
        return int(np.where(may_be, distance, np.inf).argmin()) if may_be.any() else None

    def _turn(self, rotation: np.ndarray) -> None:
        """Forget what was heard in axes that are no longer those of the array."""
        if self._rotation is None:
            self._rotation = rotation
            return
        cosine = 0.5 * (np.trace(rotation @ self._rotation.T) - 1)
        if cosine < np.cos(np.radians(self._config.max_turn_deg)):
            self.reset()
            self._rotation = rotation

    def _directions(
        self,
        score: np.ndarray,
        own_bins: np.ndarray,
        directions: LinearMap,
        sought: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N, 3) and precision (N, 3, 3) of the posterior over directions near the tracks."""
        config = self._config
        observed = directions.value.copy()
        precision = np.zeros((len(own_bins), 3, 3))
        loud = np.flatnonzero(sought & (own_bins >= config.min_bins))
        if not len(loud):
            return observed, precision
        near = self._grid.near(directions.value[loud], config.search_deg)
        for n, places_near in zip(loud, near, strict=True):
            if not places_near.any():
                continue
            places = self._grid.directions[places_near]
            weight = softmax(config.tempering * score[n, places_near])
            mean = weight @ places
            offset = places - mean
            covariance = (weight[:, None] * offset).T @ offset
            observed[n] = mean / np.linalg.norm(mean)
            precision[n] = np.linalg.inv(covariance + self._error)
        return observed, precision
