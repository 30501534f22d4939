# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Directions of static sources in a recording: how many, where, and which bins are whose.

Every time-frequency bin is one observation (a finer analysis than the tracker's): with few
microphones in a room with several talkers, it is the bins that one talker dominates that tell
directions apart. Weights of a mixture over a grid of directions are fitted to all of them (Li et
al. 2019) and propose candidates; VESSL takes in one after another while the evidence for one more
source outweighs what it costs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import DpRtfConfig
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.source_search import (
    FoundSources,
    LocalizationConfig,
    find_sources,
    source_directions,
)
from av_perception.audio.sub_bands import SubbandConfig
from av_perception.audio.training_examples import AcousticMapConfig
from av_perception.audio.vessl import Observations
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform, angles_from_direction
from av_perception.interfaces import AudioFeatures
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.spectral.stft import StftConfig

_LEVEL_M = 0.005  # an array whose microphones differ less in height cannot tell above from below
_OWNED = 0.25  # share of a frame's explained observations with which a source is active

# 32 ms windows, three taps and one feature vector per bin up to 4.5 kHz; only bins that one source
# dominates: with the tracker's 16 ms and sub-bands of eight bins, two of three simultaneous
# talkers are found.
ANALYSIS = AudioFrontEndConfig(
    stft=StftConfig(window=512, hop=128),
    transfer=DpRtfConfig(num_taps=3),
    subbands=SubbandConfig(count=144, width=1, min_bins=1, max_residual=0.15),
    voice_activity=False,
)


def map_config(array: MicrophoneArray) -> AcousticMapConfig:
    """How the map for `ANALYSIS` is learnt: small pieces, little noise.

    Of a level array sound from above is assumed: it hears no difference.

    Parameters
    ----------
    array
        The microphones of the head.

    Returns
    -------
    AcousticMapConfig
        The configuration.
    """
    azimuth, elevation = AcousticMapConfig().ranges_deg(array)
    if np.ptp(elevation) > 30:  # not two ears
        height = array.base_from_array.rotate(array.positions)[:, 2]
        is_level = np.ptp(height) < _LEVEL_M and not array.sphere
        elevation = (0.0 if is_level else -45.0, 80.0)
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
    """Return the analysis that a map was learnt for."""
    if acoustic_map.subband_width == 1:
        gate = ANALYSIS.subbands
    else:
        gate = SubbandConfig(min_bins=min(SubbandConfig().min_bins, acoustic_map.subband_width))
    return AudioFrontEndConfig(
        StftConfig(acoustic_map.sample_rate, acoustic_map.window, acoustic_map.hop),
        DpRtfConfig(acoustic_map.num_taps),
        replace(gate, count=acoustic_map.num_subbands, width=acoustic_map.subband_width),
        voice_activity=False,
    )


@dataclass(frozen=True)
class Source:
    """A source of sound."""

    #: In the head's base frame [rad], 0 straight ahead, positive to the left.
    azimuth: float
    #: In the head's base frame [rad], positive up.
    elevation: float
    #: Share of the observations near this direction that lie as close to it as the map expects, in
    #: [0, 1]: low when reverberation, noise or a wrong array make them scatter.
    confidence: float
    #: Share of the heard frames in which the source owns at least a quarter of the explained
    #: observations.
    share_of_time: float


@dataclass(frozen=True)
class FrameDirection:
    """The one direction that explains a frame best."""

    #: Center of the frame [ns].
    stamp_ns: int
    #: In the head's base frame [rad].
    azimuth: float
    #: In the head's base frame [rad].
    elevation: float
    #: Index of the source that dominates the frame; -1: none.
    source: int


@dataclass(frozen=True)
class Localization:
    """What was found in a recording."""

    #: By falling share of the observations.
    sources: tuple[Source, ...]
    #: The heard frames in time order.
    frames: tuple[FrameDirection, ...]
    #: Share of all observations that some source explains as closely as the map expects. Sound
    #: that fits no direction (noise from everywhere, another array, channels in another order) has
    #: a low fit.
    fit: float


def localize(
    features: Iterable[AudioFeatures],
    acoustic_map: AcousticMap,
    config: LocalizationConfig,
    base_from_array: RigidTransform | None = None,
) -> Localization:
    """Directions of up to `max_sources` static sources.

    Parameters
    ----------
    features
        Of the whole recording, analysed as `analysis_of` the map says.
    acoustic_map
        Of the head.
    config
        The search.
    base_from_array
        Of the array on the head, whose base frame says what is high and beside; None: identity.

    Returns
    -------
    Localization
        Sources and frames.

    Raises
    ------
    UserError
        When no frame carries sound above the noise floor.
    """
    pose = base_from_array or RigidTransform()
    heard = _heard(features, acoustic_map, config)
    grid = _grid(acoustic_map, config.num_directions)
    everything = Observations.of(heard)
    scores = _grid_scores(acoustic_map, everything, grid)
    used = _evenly_spread(len(everything), config.most_observations)
    seen = everything.take(used)
    found = find_sources(acoustic_map, seen, scores[used], grid, config, pose)
    of_frames = pose.rotate(_frame_directions(everything, scores, grid, len(heard)))
    of_sources = pose.rotate(source_directions(found.separation))
    return _summarize(heard, seen, found, of_sources, of_frames)


def _heard(
    features: Iterable[AudioFeatures], acoustic_map: AcousticMap, config: LocalizationConfig
) -> list[AudioFeatures]:
    """Select the frames with sound in the sub-bands that tell directions.

    Sub-bands outside the band or in decay are marked invalid.
    """
    features = list(features)
    width = acoustic_map.subband_width
    bin_hz = acoustic_map.sample_rate / acoustic_map.window
    first_bin = np.arange(acoustic_map.num_subbands) * width
    frequency = (first_bin + 0.5 * (width + 1)) * bin_hz
    highest_hz = _highest_hz(features, frequency, config.band_db)
    audible = (frequency >= config.lowest_hz) & (frequency <= highest_hz)
    rising = _rising(features, config)
    heard = [replace(f, valid=f.valid & audible & up) for f, up in zip(features, rising)]
    heard = [f for f in heard if f.valid.any()]
    if not heard:
        raise UserError(
            'no sound above the noise floor was found: the recording is silent, too short or '
            'stationary noise'
        )
    return heard


def _highest_hz(features: list[AudioFeatures], frequency: np.ndarray, band_db: float) -> float:
    """Up to where there is sound [Hz].

    At the upper end of narrow-band sound mirror images of it remain, whose phases are those of
    another frequency.
    """
    level = np.mean([f.energy for f in features], axis=0) if features else np.zeros(len(frequency))
    sounding = np.flatnonzero(level > 10 ** (-0.1 * band_db) * level.max())
    if not len(sounding) or sounding[-1] == len(frequency) - 1:
        return float(frequency[-1])
    return 0.9 * float(frequency[sounding[-1]])


def _rising(features: list[AudioFeatures], config: LocalizationConfig) -> list[np.ndarray]:
    """(K,) bool per frame: where the energy does not decay.

    Direct sound comes first, what decays is mostly reverberation.
    """
    if not features:
        return []
    before = np.zeros(len(features[0].energy))
    rising = []
    for frame in features:
        rising.append(frame.energy > config.onset_ratio * before)
        before = np.maximum(frame.energy, config.onset_fade * before)
    return rising


def _evenly_spread(count: int, most: int) -> np.ndarray:
    """Select at most so many of `count` observations, from the first to the last: indices."""
    return np.linspace(0, count - 1, min(count, most)).astype(int)


def _grid(acoustic_map: AcousticMap, count: int) -> np.ndarray:
    """(D, 3) unit vectors, evenly spread over the part of the sphere that the map was taught.

    They lie on a spiral of golden angles with `count` points.
    """
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    azimuth = np.pi * (1 + 5**0.5) * index
    radius = np.sqrt(1 - height**2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    return sphere[acoustic_map.covers(sphere)]


def _grid_scores(acoustic_map: AcousticMap, seen: Observations, grid: np.ndarray) -> np.ndarray:
    """(J, D) float32 log likelihood of every observation under every direction of the grid."""
    mean, variance = acoustic_map.feature_moments(grid)
    scores = np.empty((len(seen), len(grid)), np.float32)
    for k in np.unique(seen.subband):
        rows = seen.subband == k
        y = seen.vectors[rows]
        present = seen.present[rows]
        precision = 1 / variance[k]
        square = (present * y**2) @ precision.T - 2 * (present * y) @ (precision * mean[k]).T
        constant = precision * mean[k] ** 2 + np.log(2 * np.pi * variance[k])
        scores[rows] = -0.5 * (square + present @ constant.T)
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
    """Turn components and their masks into sources and frames.

    directions: (components, 3), frame_directions: (frames, 3), unit vectors in the base frame.
    """
    separation = found.separation
    owner = np.array(found.owner)
    member = owner == np.arange(owner.max() + 1)[:, None]  # (sources, components)
    if not len(member):
        return Localization((), _frames(heard, frame_directions, np.full(len(heard), -1)), 0.0)
    masks = separation.masks[:, 1:] @ member.T
    explained = (separation.masks[:, 1:] * (separation.misfit < 1.0)) @ member.T
    # Clutter counts against the confidence of all sources alike.
    clutter = separation.masks[:, 0].sum() / len(member)
    confidence = explained.sum(axis=0) / np.maximum(masks.sum(axis=0) + clutter, 1e-9)
    active, dominant = _activity(seen.frame, masks, len(heard))
    # The direct path owns more than its reflections: it is where the source is.
    main = np.where(member, separation.shares[1:], 0.0).argmax(axis=1)
    azimuth, elevation = angles_from_direction(directions[main])
    share_of_time = active.mean(axis=0)
    order = np.argsort(-masks.sum(axis=0), kind='stable')
    sources = tuple(
        Source(
            float(azimuth[i]), float(elevation[i]), float(confidence[i]), float(share_of_time[i])
        )
        for i in order
    )
    rank = np.append(np.argsort(order), -1)
    frames = _frames(heard, frame_directions, rank[dominant])
    return Localization(sources, frames, float(explained.sum() / len(seen)))


def _activity(
    frame: np.ndarray, masks: np.ndarray, num_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """(frames, sources) whether a source is active, and (frames,) which one dominates, -1: none.

    frame: (J,) of every observation; masks: (J, sources).
    """
    shares = np.stack([np.bincount(frame, mask, num_frames) for mask in masks.T], axis=1)
    total = shares.sum(axis=1, keepdims=True)
    active = shares >= _OWNED * np.maximum(total, 1e-9)
    dominant = np.where(total[:, 0] > 0.5, shares.argmax(axis=1), -1)
    return active, dominant


def _frames(
    heard: list[AudioFeatures], directions: np.ndarray, source: np.ndarray
) -> tuple[FrameDirection, ...]:
    azimuth, elevation = angles_from_direction(directions)
    return tuple(
        FrameDirection(f.stamp_ns, float(a), float(e), int(s))
        for f, a, e, s in zip(heard, azimuth, elevation, source)
    )
