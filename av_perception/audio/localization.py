"""Directions of static sources in a recording, from its audio features and an acoustic map.

Two steps: weights of a mixture over a grid of directions are fitted to all sub-bands of all frames by EM (Li et al. 2019), with a clutter
class for sub-bands that no direction explains; every peak is then refined by the inverse regression of the sub-bands it explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap, DirectionScorer
from av_perception.audio.frontend import AudioFrontEnd
from av_perception.audio.inverse_regression import InverseRegression
from av_perception.data import AudioChunk, AudioFeatures
from av_perception.errors import UserError
from av_perception.geometry import angles_from_direction, direction_from_angles, wrap_angle


@dataclass(frozen=True)
class LocalizationConfig:
    """tempering: exponent on the likelihood of a sub-band, since its bins and the frames are not independent.

    separation_deg: two sources are at least this far apart; min_share: least share of the explained sub-bands that makes a source.
    azimuth_step_deg, elevations_deg: the grid (a flat array cannot tell above from below, so above is assumed); iterations: of the EM.
    """

    max_sources: int = 1
    tempering: float = 0.1
    separation_deg: float = 25.0
    min_share: float = 0.1
    azimuth_step_deg: float = 4.0
    elevations_deg: tuple[float, ...] = (5.0, 20.0, 35.0, 50.0)
    iterations: int = 60

    def __post_init__(self):
        if self.max_sources < 1:
            raise ValueError(f'max_sources must be at least 1, not {self.max_sources}')
        if not 0 < self.tempering <= 1:
            raise ValueError(f'tempering must lie in (0, 1], not {self.tempering}')
        if not 0 < self.azimuth_step_deg <= 30 or not self.elevations_deg:
            raise ValueError('azimuth_step_deg must lie in (0, 30] and there must be an elevation')
        if not 0 < self.separation_deg < 180 or not 0 <= self.min_share < 1 or self.iterations < 1:
            raise ValueError('separation_deg must lie in (0, 180), min_share in [0, 1), iterations must be at least 1')


@dataclass(frozen=True)
class Source:
    """A direction in the array frame [rad]. confidence: share of the source's frames whose own direction agrees within the separation.

    share_of_time: share of the heard frames in which the source holds at least a quarter of the explained sub-bands.
    """

    azimuth: float
    elevation: float
    confidence: float
    share_of_time: float


@dataclass(frozen=True)
class FrameDirection:
    """The one direction [rad] that explains a frame best, and the index of the source that dominates it (-1: none)."""

    stamp_ns: int
    azimuth: float
    elevation: float
    source: int


@dataclass(frozen=True)
class Localization:
    """Sources by falling share, and the heard frames in time order."""

    sources: tuple[Source, ...]
    frames: tuple[FrameDirection, ...]


def extract_features(front_end: AudioFrontEnd, read: Callable[[int, int], np.ndarray], num_samples: int, sample_rate: int,
                     chunk_s: float = 0.1) -> Iterable[AudioFeatures]:
    """Features of a whole recording; read(start, count) gives (count, channels) samples. Time starts at 0 ns."""
    count = max(1, round(chunk_s * sample_rate))
    for start in range(0, num_samples, count):
        samples = read(start, min(count, num_samples - start))
        yield from front_end.push(AudioChunk(round(start * 1e9 / sample_rate), sample_rate, start, samples))


def localize(features: Iterable[AudioFeatures], acoustic_map: AcousticMap, config: LocalizationConfig) -> Localization:
    """Directions of up to `max_sources` static sources. Raises UserError when no frame carries sound above the noise floor."""
    heard = [f for f in features if f.valid.any()]
    if not heard:
        raise UserError('no sound above the noise floor was found: the recording is silent, too short or stationary noise')
    grid = _grid(config)
    evidence = _evidence(heard, acoustic_map, grid, config)
    weight, posterior = _direction_weights(*evidence, config.iterations)
    near = np.arccos(np.clip(grid @ grid.T, -1, 1)) < np.radians(0.6 * config.separation_deg)
    peaks = _peaks(weight, grid, near, config)
    owned = np.stack([posterior @ near[peak] for peak in peaks], axis=-1)    # (observations, sources)
    owned /= np.maximum(owned.sum(axis=1, keepdims=True), 1.0)
    return _summarise(heard, owned, grid[peaks], acoustic_map, config)


def _grid(config: LocalizationConfig) -> np.ndarray:
    azimuth = np.radians(np.arange(-180.0, 180.0, config.azimuth_step_deg))
    elevation = np.radians(np.array(config.elevations_deg))
    return direction_from_angles(azimuth[None], elevation[:, None]).reshape(-1, 3)


def _evidence(heard: list, acoustic_map: AcousticMap, grid: np.ndarray, config: LocalizationConfig) -> tuple[np.ndarray, np.ndarray]:
    """Tempered log-likelihoods (observations, directions) of the valid sub-bands, frame after frame, and of clutter (observations,)."""
    scorer = DirectionScorer(acoustic_map, grid)
    likelihood = np.concatenate([scorer.log_likelihood(f.vectors, f.present)[f.valid] for f in heard])
    clutter = np.concatenate([acoustic_map.clutter_log_density(f.present)[f.valid] for f in heard])
    return config.tempering * likelihood, config.tempering * clutter


def _direction_weights(likelihood: np.ndarray, clutter: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """EM for the mixture weights: (directions,) weights and (observations, directions) posterior; the rest of each row is clutter."""
    peak = np.maximum(likelihood.max(axis=1), clutter)
    density, clutter_density = np.exp(likelihood - peak[:, None]), np.exp(clutter - peak)
    weight, clutter_weight = np.full(density.shape[1], 0.5 / density.shape[1]), 0.5
    for _ in range(iterations):
        evidence = density @ weight + clutter_weight * clutter_density
        clutter_weight = float(np.mean(clutter_weight * clutter_density / evidence))
        weight = weight * ((1 / evidence) @ density) / len(density)
    evidence = density @ weight + clutter_weight * clutter_density
    return weight, density * weight / evidence[:, None]


def _peaks(weight: np.ndarray, grid: np.ndarray, near: np.ndarray, config: LocalizationConfig) -> list[int]:
    """Grid indices of the strongest neighbourhoods, each at least the separation from the stronger ones, whose shoulders do not count."""
    azimuth, _ = angles_from_direction(grid)
    remaining, peaks = weight.copy(), []
    while len(peaks) < config.max_sources:
        smoothed = np.where(remaining > 0, near @ remaining, 0.0)
        best = int(np.argmax(smoothed))
        if smoothed[best] < (config.min_share if peaks else 0.0) * weight.sum():
            break
        peaks.append(best)
        close = np.abs(wrap_angle(azimuth - azimuth[best])) < np.radians(config.separation_deg)
        remaining = np.where(close, 0.0, remaining)
    return peaks


def _summarise(heard: list, owned: np.ndarray, peaks: np.ndarray, acoustic_map: AcousticMap, config: LocalizationConfig) -> Localization:
    """Refine every source with the sub-bands it owns, and every frame with all of its own."""
    regressions = [InverseRegression(acoustic_map, config.tempering) for _ in range(owned.shape[1])]
    shares, directions, start = [], [], 0
    for frame in heard:
        part = owned[start:start + frame.valid.sum()]
        start += len(part)
        single = InverseRegression(acoustic_map, config.tempering)
        single.add(frame.vectors, frame.present, frame.valid)
        directions.append(single.direction())
        for source, regression in enumerate(regressions):
            subband_weight = np.zeros(len(frame.valid))
            subband_weight[frame.valid] = part[:, source]
            regression.add(frame.vectors, frame.present, subband_weight)
        shares.append(part.sum(axis=0) / len(part))
    radius = np.radians(0.8 * config.separation_deg)
    refined = np.stack([r.direction(peak, radius) for r, peak in zip(regressions, peaks)])
    return _collect(heard, np.array(shares), np.array(directions), refined, config)


def _collect(heard: list, shares: np.ndarray, frame_directions: np.ndarray, directions: np.ndarray,
             config: LocalizationConfig) -> Localization:
    active = shares >= 0.25 * np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    dominant = np.where(shares.max(axis=1) > 0.1, shares.argmax(axis=1), -1)
    agree = frame_directions @ directions.T > np.cos(np.radians(config.separation_deg))
    confidence = (agree & (dominant[:, None] == np.arange(len(directions)))).sum(axis=0) / np.maximum(np.bincount(
        dominant[dominant >= 0], minlength=len(directions)), 1)
    order = np.argsort(-active.mean(axis=0), kind='stable')
    rank = np.append(np.argsort(order), -1)
    azimuth, elevation = angles_from_direction(directions)
    sources = tuple(Source(float(azimuth[i]), float(elevation[i]), float(confidence[i]), float(active[:, i].mean())) for i in order)
    frame_azimuth, frame_elevation = angles_from_direction(frame_directions)
    frames = tuple(FrameDirection(f.stamp_ns, float(a), float(e), int(rank[d]))
                   for f, a, e, d in zip(heard, frame_azimuth, frame_elevation, dominant))
    return Localization(sources, frames)
