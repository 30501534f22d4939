# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Directions of static sources in a recording: how many, where, and which time-frequency bins are whose.

Every bin is one observation (a finer analysis than the tracker's): with few microphones in a room with several talkers, it is the bins that
one talker dominates that tell directions apart. Weights of a mixture over a grid of directions are fitted to all of them (Li et al. 2019) and
propose candidates; VESSL takes in one after another while the evidence for one more source outweighs what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import DpRtfConfig
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig
from av_perception.audio.source_search import (
    FoundSources,
    LocalizationConfig,
    find_sources,
    source_directions,
)
from av_perception.audio.sub_bands import SubbandConfig
from av_perception.audio.vessl import Observations
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform, angles_from_direction
from av_perception.interfaces import AudioFeatures
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.spectral.stft import StftConfig

_LEVEL_M = 0.005  # an array whose microphones differ less in height cannot tell above from below

# 32 ms windows, three taps and one feature vector per bin up to 4.5 kHz; only bins that one source dominates: with the tracker's 16 ms and
# sub-bands of eight bins, two of three simultaneous talkers are found.
ANALYSIS = AudioFrontEndConfig(
    stft=StftConfig(window=512, hop=128),
    transfer=DpRtfConfig(num_taps=3),
    subbands=SubbandConfig(count=144, width=1, min_bins=1, max_residual=0.15),
    voice_activity=False,
)


def map_config(array: MicrophoneArray) -> AcousticMapConfig:
    """How the map for `ANALYSIS` is learnt: small pieces, little noise. Of a level array above is assumed, it hears no difference."""
    azimuth, elevation = AcousticMapConfig().ranges_deg(array)
    if np.ptp(elevation) > 30:  # not two ears
        level = (
            np.ptp(array.base_from_array.rotate(array.positions)[:, 2]) < _LEVEL_M
            and not array.sphere
        )
        elevation = (0.0 if level else -45.0, 80.0)
    return AcousticMapConfig(
        num_pieces=64,
        elevation_mean_deg=15.0,
        elevation_std_deg=40.0,
        elevation_range_deg=elevation,
        azimuth_range_deg=azimuth,
        feature_noise=0.2,
        feature_noise_per_khz=0.0,
        iterations=3,
    )


def analysis_of(acoustic_map: AcousticMap) -> AudioFrontEndConfig:
    """The analysis a map was learnt for."""
    if acoustic_map.subband_width == 1:
        gate = ANALYSIS.subbands
    else:
        gate = SubbandConfig(min_bins=min(SubbandConfig().min_bins, acoustic_map.subband_width))
    subbands = replace(gate, count=acoustic_map.num_subbands, width=acoustic_map.subband_width)
    return AudioFrontEndConfig(
        StftConfig(acoustic_map.sample_rate, acoustic_map.window, acoustic_map.hop),
        DpRtfConfig(acoustic_map.num_taps),
        subbands,
        voice_activity=False,
    )


@dataclass(frozen=True)
class Source:
    """A direction in the head's base frame [rad].

    confidence: share of the observations near this direction that lie as close to it as the map expects, in [0, 1]: low when reverberation,
    noise or a wrong array make them scatter. share_of_time: share of the heard frames in which the source owns at least a quarter of the
    explained observations.
    """

    azimuth: float
    elevation: float
    confidence: float
    share_of_time: float


@dataclass(frozen=True)
class FrameDirection:
    """The one direction [rad, base frame] that explains a frame best, and the index of the source that dominates it (-1: none)."""

    stamp_ns: int
    azimuth: float
    elevation: float
    source: int


@dataclass(frozen=True)
class Localization:
    """Sources by falling share, the heard frames in time order, and `fit`: share of all observations that some source explains as closely
    as the map expects. Sound that fits no direction (noise from everywhere, another array, channels in another order) has a low fit.
    """

    sources: tuple[Source, ...]
    frames: tuple[FrameDirection, ...]
    fit: float


def localize(
    features: Iterable[AudioFeatures],
    acoustic_map: AcousticMap,
    config: LocalizationConfig,
    base_from_array: RigidTransform = RigidTransform(),
) -> Localization:
    """Directions of up to `max_sources` static sources. Raises UserError when no frame carries sound above the noise floor.

    base_from_array: the array's pose on the head; what is high and what is beside is judged in the head's base frame.
    """
    heard = _heard(features, acoustic_map, config)
    grid = _grid(acoustic_map, config.num_directions)
    everything = Observations.of(heard)
    scores = _grid_scores(acoustic_map, everything, grid)
    used = np.linspace(
        0, len(everything) - 1, min(len(everything), config.most_observations)
    ).astype(int)
    found = find_sources(
        acoustic_map, everything.take(used), scores[used], grid, config, base_from_array
    )
    frame_directions = base_from_array.rotate(
        _frame_directions(everything, scores, grid, len(heard))
    )
    return _summarize(
        heard,
        everything.take(used),
        found,
        base_from_array.rotate(source_directions(found.separation)),
        frame_directions,
    )


def _heard(
    features: Iterable[AudioFeatures], acoustic_map: AcousticMap, config: LocalizationConfig
) -> list[AudioFeatures]:
    """The frames with sound in the sub-bands that tell directions, those outside the band or in decay marked invalid."""
    width_hz = acoustic_map.sample_rate / acoustic_map.window
    frequency = (
        np.arange(acoustic_map.num_subbands) * acoustic_map.subband_width
        + 0.5 * (acoustic_map.subband_width + 1)
    ) * width_hz
    features = list(features)
    audible = (frequency >= config.lowest_hz) & (
        frequency <= _highest_hz(features, frequency, config.band_db)
    )
    rising = _rising(features, config)
    heard = [replace(f, valid=f.valid & audible & up) for f, up in zip(features, rising)]
    heard = [f for f in heard if f.valid.any()]
    if not heard:
        raise UserError(
            'no sound above the noise floor was found: the recording is silent, too short or stationary noise'
        )
    return heard


def _highest_hz(features: list[AudioFeatures], frequency: np.ndarray, band_db: float) -> float:
    """Up to where there is sound. At the upper end of narrow-band sound mirror images of it remain, whose phases are those of another frequency."""
    level = np.mean([f.energy for f in features], axis=0) if features else np.zeros(len(frequency))
    sounding = np.flatnonzero(level > 10 ** (-0.1 * band_db) * level.max())
    if not len(sounding) or sounding[-1] == len(frequency) - 1:
        return float(frequency[-1])
    return 0.9 * float(frequency[sounding[-1]])


def _rising(features: list[AudioFeatures], config: LocalizationConfig) -> list[np.ndarray]:
    """(K,) bool per frame: where the energy does not decay. Direct sound comes first, what decays is mostly reverberation."""
    before, rising = np.zeros(len(features[0].energy)) if features else None, []
    for frame in features:
        rising.append(frame.energy > config.onset_ratio * before)
        before = np.maximum(frame.energy, config.onset_fade * before)
    return rising


def _grid(acoustic_map: AcousticMap, count: int) -> np.ndarray:
    """(D, 3) unit vectors, evenly spread over the part of the sphere for which the map was taught (a spiral of golden angles)."""
    index = np.arange(count) + 0.5
    height, azimuth = 1 - 2 * index / count, np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    return sphere[acoustic_map.covers(sphere)]


def _grid_scores(acoustic_map: AcousticMap, seen: Observations, grid: np.ndarray) -> np.ndarray:
    """(J, D) float32 log likelihood of every observation under every direction of the grid."""
    mean, variance = acoustic_map.feature_moments(grid)
    scores = np.empty((len(seen), len(grid)), np.float32)
    for k in np.unique(seen.subband):
        rows = seen.subband == k
        y, present, precision = seen.vectors[rows], seen.present[rows], 1 / variance[k]
        square = (present * y**2) @ precision.T - 2 * (present * y) @ (precision * mean[k]).T
        scores[rows] = -0.5 * (
            square + present @ (precision * mean[k] ** 2 + np.log(2 * np.pi * variance[k])).T
        )
    return scores


def _frame_directions(
    seen: Observations, scores: np.ndarray, grid: np.ndarray, num_frames: int
) -> np.ndarray:
    """(frames, 3) direction of the grid that explains all observations of a frame best."""
    total = np.zeros((num_frames, scores.shape[1]), np.float32)
    order = np.argsort(seen.frame, kind='stable')
    first = np.flatnonzero(np.diff(seen.frame[order], prepend=-1))
    total[seen.frame[order][first]] = np.add.reduceat(scores[order], first, axis=0)
    return grid[total.argmax(axis=1)]


def _summarize(
    heard: list[AudioFeatures],
    seen: Observations,
    found: FoundSources,
    directions: np.ndarray,
    frame_directions: np.ndarray,
) -> Localization:
    separation, owner = found.separation, np.array(found.owner)
    member = owner == np.arange(owner.max() + 1)[:, None]  # (sources, components)
    if not len(member):
        return Localization((), _frames(heard, frame_directions, np.full(len(heard), -1)), 0.0)
    masks = separation.masks[:, 1:] @ member.T
    explained = (separation.masks[:, 1:] * (separation.misfit < 1.0)) @ member.T
    confidence = explained.sum(axis=0) / np.maximum(
        masks.sum(axis=0) + separation.masks[:, 0].sum() / len(member), 1e-9
    )
    shares = np.stack([np.bincount(seen.frame, mask, len(heard)) for mask in masks.T], axis=1)
    total = shares.sum(axis=1, keepdims=True)
    active = shares >= 0.25 * np.maximum(total, 1e-9)
    dominant = np.where(total[:, 0] > 0.5, shares.argmax(axis=1), -1)
    order = np.argsort(-masks.sum(axis=0), kind='stable')
    rank = np.append(np.argsort(order), -1)
    main = np.where(member, separation.shares[1:], 0.0).argmax(
        axis=1
    )  # the direct path owns more than its reflections
    azimuth, elevation = angles_from_direction(directions[main])
    sources = tuple(
        Source(
            float(azimuth[i]),
            float(elevation[i]),
            float(confidence[i]),
            float(active[:, i].mean()),
        )
        for i in order
    )
    return Localization(
        sources,
        _frames(heard, frame_directions, rank[dominant]),
        float(explained.sum() / len(seen)),
    )


def _frames(
    heard: list[AudioFeatures], directions: np.ndarray, source: np.ndarray
) -> tuple[FrameDirection, ...]:
    azimuth, elevation = angles_from_direction(directions)
    return tuple(
        FrameDirection(f.stamp_ns, float(a), float(e), int(s))
        for f, a, e, s in zip(heard, azimuth, elevation, source)
    )
