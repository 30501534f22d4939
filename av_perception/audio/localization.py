"""Directions of static sources in a recording: how many, where, and which time-frequency bins are whose.

Every bin is one observation (a finer analysis than the tracker's): with few microphones in a room with several talkers, it is the bins that
one talker dominates that tell directions apart. Weights of a mixture over a grid of directions are fitted to all of them (Li et al. 2019) and
propose candidates; VESSL takes in one after another while the evidence for one more source outweighs what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import DpRtfConfig
from av_perception.audio.frontend import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.learning import AcousticMapConfig
from av_perception.audio.stft import StftConfig
from av_perception.audio.subbands import SubbandConfig
from av_perception.audio.vessl import Observations, Separation, Vessl, VesslConfig
from av_perception.data import AudioChunk, AudioFeatures
from av_perception.errors import UserError
from av_perception.geometry import angles_from_direction, wrap_angle
from av_perception.heads.profile import MicrophoneArray

FLAT_M = 0.005   # an array whose microphones differ less in height cannot tell above from below
_PROMISE_ITERATIONS, _TRIALS = 3, 2   # of VESSL to rank the candidates for a component, and how many of them are then followed up

# 32 ms windows, three taps and one feature vector per bin up to 4.5 kHz; only bins that one source dominates: with the tracker's 16 ms and
# sub-bands of eight bins, two of three simultaneous talkers are found.
ANALYSIS = AudioFrontEndConfig(
    stft=StftConfig(window=512, hop=128), transfer=DpRtfConfig(num_taps=3),
    subbands=SubbandConfig(count=144, width=1, min_bins=1, max_residual=0.15), voice_activity=False)


def map_config(array: MicrophoneArray) -> AcousticMapConfig:
    """How the map for `ANALYSIS` is learnt: small pieces, little noise. Of a flat array above is assumed, it hears no difference."""
    flat = np.ptp(array.positions[:, 2]) < FLAT_M
    return AcousticMapConfig(num_pieces=64, elevation_mean_deg=15.0, elevation_std_deg=40.0, elevation_range_deg=(0.0 if flat else -45.0, 80.0),
                             feature_noise=0.2, feature_noise_per_khz=0.0, iterations=3)


@dataclass(frozen=True)
class LocalizationConfig:
    """max_sources: at most so many. A source more is believed when it raises the evidence by min_gain per observation and by the
    Bayesian information criterion for its three parameters, is separation_deg away from the others in azimuth and owns min_share of the
    observations. What lies above or below a source is its reflection in ceiling or floor, what lies higher than highest_deg is a reflection
    or sound from everywhere and nobody's: up to max_reflections of both are told from the sources, each for min_gain_reflection.

    lowest_hz: bins below tell no direction; num_directions: of the grid over the sphere; candidates: tried for each further source;
    iterations: of the EM on the grid; most_observations: of longer recordings only so many are used for finding the sources.
    """

    max_sources: int = 1
    separation_deg: float = 18.0
    min_share: float = 0.05
    min_gain: float = 0.04
    highest_deg: float = 62.0
    max_reflections: int = 3
    min_gain_reflection: float = 0.01
    lowest_hz: float = 500.0
    num_directions: int = 1500
    candidates: int = 3
    iterations: int = 40
    most_observations: int = 20000
    vessl: VesslConfig = field(default_factory=VesslConfig)

    def __post_init__(self):
        if self.max_sources < 1:
            raise ValueError(f'max_sources must be at least 1, not {self.max_sources}')
        if not 0 < self.separation_deg < 180 or not 0 <= self.min_share < 1 or self.min_gain < 0:
            raise ValueError('separation_deg must lie in (0, 180), min_share in [0, 1), min_gain must not be negative')
        if self.max_reflections < 0 or self.min_gain_reflection < 0:
            raise ValueError('max_reflections and min_gain_reflection must not be negative')
        if not 100 <= self.num_directions <= 20000:
            raise ValueError(f'num_directions must lie in 100..20000, not {self.num_directions}')
        if min(self.candidates, self.iterations, self.most_observations) < 1:
            raise ValueError('candidates, iterations and most_observations must be at least 1')


@dataclass(frozen=True)
class Source:
    """A direction in the array frame [rad].

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
    """The one direction [rad] that explains a frame best, and the index of the source that dominates it (-1: none)."""

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


def extract_features(front_end: AudioFrontEnd, read: Callable[[int, int], np.ndarray], num_samples: int, sample_rate: int,
                     chunk_s: float = 0.1) -> Iterable[AudioFeatures]:
    """Features of a whole recording; read(start, count) gives (count, channels) samples. Time starts at 0 ns."""
    count = max(1, round(chunk_s * sample_rate))
    for start in range(0, num_samples, count):
        samples = read(start, min(count, num_samples - start))
        yield from front_end.push(AudioChunk(round(start * 1e9 / sample_rate), sample_rate, start, samples))


def localize(features: Iterable[AudioFeatures], acoustic_map: AcousticMap, config: LocalizationConfig) -> Localization:
    """Directions of up to `max_sources` static sources. Raises UserError when no frame carries sound above the noise floor."""
    heard = _heard(features, acoustic_map, config)
    grid = _grid(acoustic_map, config.num_directions)
    everything = Observations.of(heard)
    scores = _grid_scores(acoustic_map, everything, grid)
    used = np.linspace(0, len(everything) - 1, min(len(everything), config.most_observations)).astype(int)
    found = _separate(acoustic_map, everything.take(used), scores[used], grid, config)
    return _summarise(heard, everything.take(used), found, _frame_directions(everything, scores, grid, len(heard)))


def _heard(features: Iterable[AudioFeatures], acoustic_map: AcousticMap, config: LocalizationConfig) -> list[AudioFeatures]:
    """The frames with sound in the sub-bands that tell directions, those below `lowest_hz` marked invalid."""
    width_hz = acoustic_map.sample_rate / acoustic_map.window
    frequency = (np.arange(acoustic_map.num_subbands) * acoustic_map.subband_width + 0.5 * (acoustic_map.subband_width + 1)) * width_hz
    audible = frequency >= config.lowest_hz
    heard = [AudioFeatures(f.stamp_ns, f.voice_activity, f.vectors, f.present, f.energy, f.valid & audible) for f in features]
    heard = [f for f in heard if f.valid.any()]
    if not heard:
        raise UserError('no sound above the noise floor was found: the recording is silent, too short or stationary noise')
    return heard


def _grid(acoustic_map: AcousticMap, count: int) -> np.ndarray:
    """(D, 3) unit vectors, evenly spread over the part of the sphere for which the map was taught (a spiral of golden angles)."""
    index = np.arange(count) + 0.5
    height, azimuth = 1 - 2 * index / count, np.pi * (1 + 5 ** 0.5) * index
    radius = np.sqrt(1 - height ** 2)
    sphere = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), height], axis=1)
    return sphere[acoustic_map.covers(sphere)]


def _grid_scores(acoustic_map: AcousticMap, seen: Observations, grid: np.ndarray) -> np.ndarray:
    """(J, D) float32 log likelihood of every observation under every direction of the grid."""
    mean, variance = acoustic_map.expected_features(grid)
    scores = np.empty((len(seen), len(grid)), np.float32)
    for k in np.unique(seen.subband):
        rows = seen.subband == k
        y, present, precision = seen.vectors[rows], seen.present[rows], 1 / variance[k]
        square = (present * y ** 2) @ precision.T - 2 * (present * y) @ (precision * mean[k]).T
        scores[rows] = -0.5 * (square + present @ (precision * mean[k] ** 2 + np.log(2 * np.pi * variance[k])).T)
    return scores


def _grid_weights(scores: np.ndarray, clutter: np.ndarray, iterations: int) -> np.ndarray:
    """EM for the (D,) weights of a mixture over the grid and clutter."""
    peak = np.maximum(scores.max(axis=1), clutter)
    density, clutter_density = np.exp(scores - peak[:, None]), np.exp(clutter - peak)
    weight, clutter_weight = np.full(density.shape[1], 0.5 / density.shape[1], np.float32), 0.5
    for _ in range(iterations):
        evidence = density @ weight + clutter_weight * clutter_density
        clutter_weight = float(np.mean(clutter_weight * clutter_density / evidence))
        weight = weight * ((1 / evidence) @ density) / len(density)
    return weight


@dataclass(frozen=True)
class _Found:
    """Components of VESSL and whose they are: owner (M,) index of the source that a component is, or is a reflection of; -1: of nobody."""

    separation: Separation
    owner: tuple[int, ...]


def _separate(acoustic_map: AcousticMap, seen: Observations, scores: np.ndarray, grid: np.ndarray, config: LocalizationConfig) -> _Found:
    """VESSL with as many sources, and reflections of them, as the evidence bears out."""
    vessl = Vessl(acoustic_map, seen, config.vessl)
    clutter = acoustic_map.clutter_log_density(seen.present).astype(np.float32)
    weight = _grid_weights(scores, clutter, config.iterations)
    first = next(_best(vessl, scores, _candidates(weight, grid, [], config)))
    found = _Found(first, (-1,) if _too_high(_directions(first), config)[0] else (0,))
    cost = 1.5 * np.log(1 + config.vessl.novelty * len(seen))
    while len(found.owner) < config.max_sources + config.max_reflections:
        candidates = _candidates(weight, grid, _directions(found.separation), config)
        for trial in _best(vessl, scores, candidates, found.separation.log_likelihood):
            owner = _owners(trial, found, cost, len(seen), config)
            if owner:
                found = _Found(trial, owner)
                break
        else:
            break
    return found


def _best(vessl: Vessl, scores: np.ndarray, candidates: list[int], start: np.ndarray | None = None) -> Iterator[Separation]:
    """What becomes of one more component at each candidate, begun with those of `start`; the most promising first."""
    columns = [scores[:, c:c + 1] if start is None else np.column_stack([start, scores[:, c]]) for c in candidates]
    promise = [vessl.separate(column, _PROMISE_ITERATIONS) for column in columns]
    for trial in sorted(promise, key=lambda t: -t.bound[-1])[:_TRIALS]:
        yield vessl.separate(trial.log_likelihood)


def _owners(trial: Separation, found: _Found, cost: float, num_observations: int, config: LocalizationConfig) -> tuple[int, ...]:
    """The owners of a trial's components, the last of which is new; empty when it is not to be believed."""
    gain = trial.bound[-1] - found.separation.bound[-1]
    directions = _directions(trial)
    cosine = directions[:-1] @ directions[-1]
    if gain < max(cost, config.min_gain_reflection * num_observations) or cosine.max() > np.cos(np.radians(config.separation_deg)):
        return ()
    if _too_high(directions, config)[-1]:
        return (*found.owner, -1)
    azimuth, owner = angles_from_direction(directions)[0], np.array(found.owner)
    near = np.flatnonzero((np.abs(wrap_angle(azimuth[:-1] - azimuth[-1])) < np.radians(config.separation_deg)) & (owner >= 0))
    if len(near):
        return (*found.owner, found.owner[near[0]])
    new = max(found.owner) + 1
    if new == config.max_sources or gain < config.min_gain * num_observations or trial.shares[-1] < config.min_share:
        return ()
    return (*found.owner, new)


def _too_high(directions: np.ndarray, config: LocalizationConfig) -> np.ndarray:
    """(M,) bool: from the ceiling or the floor; sound from everywhere also seems to come from there."""
    return np.abs(angles_from_direction(directions)[1]) > np.radians(config.highest_deg)


def _directions(separation: Separation) -> np.ndarray:
    """(M, 3) unit vectors."""
    return np.stack([source.direction() for source in separation.sources])


def _candidates(weight: np.ndarray, grid: np.ndarray, taken, config: LocalizationConfig) -> list[int]:
    """Grid indices of the heaviest neighbourhoods away from the directions taken already."""
    remaining, far = weight.copy(), np.cos(np.radians(config.separation_deg))
    for direction in taken:
        remaining[grid @ direction > far] = 0.0
    chosen: list[int] = []
    while len(chosen) < config.candidates:
        peak = int(remaining.argmax())
        around = grid @ grid[peak] > np.cos(np.radians(0.5 * config.separation_deg))
        if remaining[around].sum() < (0.3 * config.min_share if chosen or len(taken) else 0.0):
            break
        chosen.append(peak)
        remaining[grid @ grid[peak] > far] = 0.0
    return chosen


def _frame_directions(seen: Observations, scores: np.ndarray, grid: np.ndarray, num_frames: int) -> np.ndarray:
    """(frames, 3) direction of the grid that explains all observations of a frame best."""
    total = np.zeros((num_frames, scores.shape[1]), np.float32)
    order = np.argsort(seen.frame, kind='stable')
    first = np.flatnonzero(np.diff(seen.frame[order], prepend=-1))
    total[seen.frame[order][first]] = np.add.reduceat(scores[order], first, axis=0)
    return grid[total.argmax(axis=1)]


def _summarise(heard: list[AudioFeatures], seen: Observations, found: _Found, frame_directions: np.ndarray) -> Localization:
    separation, owner = found.separation, np.array(found.owner)
    member = owner == np.arange(owner.max() + 1)[:, None]                       # (sources, components)
    if not len(member):
        return Localization((), _frames(heard, frame_directions, np.full(len(heard), -1)), 0.0)
    masks = separation.masks[:, 1:] @ member.T
    explained = (separation.masks[:, 1:] * (separation.misfit < 1.0)) @ member.T
    confidence = explained.sum(axis=0) / np.maximum(masks.sum(axis=0) + separation.masks[:, 0].sum() / len(member), 1e-9)
    shares = np.stack([np.bincount(seen.frame, mask, len(heard)) for mask in masks.T], axis=1)
    total = shares.sum(axis=1, keepdims=True)
    active = shares >= 0.25 * np.maximum(total, 1e-9)
    dominant = np.where(total[:, 0] > 0.5, shares.argmax(axis=1), -1)
    order = np.argsort(-masks.sum(axis=0), kind='stable')
    rank = np.append(np.argsort(order), -1)
    main = np.where(member, separation.shares[1:], 0.0).argmax(axis=1)          # the direct path owns more than its reflections
    azimuth, elevation = angles_from_direction(_directions(separation)[main])
    sources = tuple(Source(float(azimuth[i]), float(elevation[i]), float(confidence[i]), float(active[:, i].mean())) for i in order)
    return Localization(sources, _frames(heard, frame_directions, rank[dominant]), float(explained.sum() / len(seen)))


def _frames(heard: list[AudioFeatures], directions: np.ndarray, source: np.ndarray) -> tuple[FrameDirection, ...]:
    azimuth, elevation = angles_from_direction(directions)
    return tuple(FrameDirection(f.stamp_ns, float(a), float(e), int(s)) for f, a, e, s in zip(heard, azimuth, elevation, source))
