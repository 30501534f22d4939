"""Who speaks, from faces and two microphones: the mode for small robots.

The faces say how many talkers there may be and where, so their ITDs are fixed and only the weights and spreads of a mixture are learnt.
Source: Alameda-Pineda and Horaud, "Vision-guided robot hearing", Int. J. of Robotics Research 34(4-5), 2015.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from av_perception.audio.time_differences import TimeDifferences
from av_perception.clustering.face_list import FaceList, FaceListConfig
from av_perception.clustering.itd_mixture import ItdMixture
from av_perception.clustering.microphone_pair import MicrophonePair
from av_perception.data import TrackFrame, VisualFeatures
from av_perception.heads.profile import CameraGeometry
from av_perception.tracking.gaussian import congruence
from av_perception.tracking.input_check import usable_faces

_NANO = 1e-9


@dataclass(frozen=True)
class FusionConfig:
    """window_s: how far back ITDs count for the mixture; recent_s: for the shares of the faces, so that speech ends when it ends.

    concentration a_0: Dirichlet prior of the weights; typical_sd s_0, prior_count nu: prior of the spreads, which stay within sd_range [s];
    iterations: of the EM. A face is heard from min_count ITDs and a weight of min_weight on; faces whose ITDs differ by less than
    ambiguous_s share their sound. unseen_sd: spread below which ITDs of nobody are one source. reset_after_s: a stamp that jumps back by
    more starts a new session, by less is dropped.
    """

    window_s: float = 0.4
    recent_s: float = 0.08
    concentration: float = 1.5
    typical_sd: float = 30e-6
    prior_count: float = 5.0
    sd_range: tuple[float, float] = (15e-6, 120e-6)
    iterations: int = 10
    min_count: float = 3.0
    min_weight: float = 0.2
    ambiguous_s: float = 20e-6
    unseen_sd: float = 60e-6
    reset_after_s: float = 1.0
    faces: FaceListConfig = field(default_factory=FaceListConfig)

    def __post_init__(self):
        if self.concentration < 1 or self.iterations < 1:
            raise ValueError('concentration and iterations must be at least 1')
        if not 0 < self.sd_range[0] <= self.typical_sd <= self.sd_range[1]:
            raise ValueError('typical_sd must be positive and lie in sd_range')
        if not 0 < self.recent_s <= self.window_s:
            raise ValueError('recent_s must be positive and not longer than window_s')
        if min(self.min_count, self.ambiguous_s, self.unseen_sd) <= 0 or min(self.prior_count, self.reset_after_s) < 0:
            raise ValueError('min_count, ambiguous_s, unseen_sd must be positive, prior_count and reset_after_s not negative')
        if not 0 < self.min_weight < 1:
            raise ValueError('min_weight must lie in (0, 1)')


@dataclass(frozen=True)
class FusionFit:
    """mixture: the fitted one; counts: (K,) expected number of ITDs of each component; responsibilities: (M, K + 1), nobody last;
    log_posterior: before each iteration and after the last, never falling.
    """

    mixture: ItdMixture
    counts: np.ndarray
    responsibilities: np.ndarray
    log_posterior: tuple[float, ...]


def fit_fixed_means(means: np.ndarray, itds: np.ndarray, max_itd: float, config: FusionConfig) -> FusionFit:
    """MAP-EM for the weights and spreads of components at (K,) means [s], from (M,) differences [s]."""
    count = len(means)
    even = np.full(count, 1.0 / (count + 1))
    mixture = ItdMixture(even, means, np.full(count, config.typical_sd ** 2), 1.0 / (count + 1), max_itd)
    history = []
    for _ in range(config.iterations):
        responsibilities, log_likelihood = mixture.expect(itds)
        history.append(_log_posterior(mixture, log_likelihood, config))
        mixture = _maximise(mixture, responsibilities, itds, config)
    responsibilities, log_likelihood = mixture.expect(itds)
    history.append(_log_posterior(mixture, log_likelihood, config))
    return FusionFit(mixture, responsibilities[:, :-1].sum(0), responsibilities, tuple(history))


def _maximise(old: ItdMixture, responsibilities: np.ndarray, itds: np.ndarray, config: FusionConfig) -> ItdMixture:
    mass = responsibilities.sum(0)
    weights = mass + config.concentration - 1
    total = weights.sum()
    weights = weights / total if total > 0 else np.full(len(mass), 1.0 / len(mass))
    squares = (responsibilities[:, :-1] * (itds[:, None] - old.means) ** 2).sum(0)
    denominator = np.maximum(mass[:-1] + config.prior_count, 1e-12)
    variances = np.clip((squares + config.prior_count * config.typical_sd ** 2) / denominator, config.sd_range[0] ** 2, config.sd_range[1] ** 2)
    return ItdMixture(weights[:-1], old.means, variances, float(weights[-1]), old.max_itd)


def _log_posterior(mixture: ItdMixture, log_likelihood: np.ndarray, config: FusionConfig) -> float:
    """What the EM climbs, up to a constant."""
    weights = np.append(mixture.weights, mixture.outlier_weight)
    dirichlet = (config.concentration - 1) * np.log(np.maximum(weights, 1e-300)).sum()
    spreads = -0.5 * config.prior_count * (np.log(mixture.variances) + config.typical_sd ** 2 / mixture.variances).sum()
    return float(log_likelihood.sum() + dirichlet + spreads)


class FaceItdFusion:
    """Takes the place of the tracker: `step` has its signature and result. People are faces in view; what they say of the sound is
    `audio_responsibility`, the share of the newest ITDs, from which `tracking.SpeakingFilter` tells who speaks.

    camera: of the head; pair: the microphones in the head's base frame. After each step `ambiguous` holds the ids whose sound cannot be told
    apart, `unseen_sound` the direction (3,) in the base frame of a sound that belongs to no face, or None. `counters`: late_frames, resets,
    bad_faces, bad_embeddings, ambiguous_frames.
    """

    def __init__(self, config: FusionConfig, camera: CameraGeometry, pair: MicrophonePair):
        self._config, self._pair = config, pair
        self._base_from_optical = camera.base_from_optical
        self._faces = FaceList(config.faces)
        self._last = TrackFrame(0, (), False)
        self.counters: Counter = Counter()
        self.ambiguous: frozenset[int] = frozenset()
        self.unseen_sound: np.ndarray | None = None

    def step(self, stamp_ns: int, visual: VisualFeatures | None, sound: TimeDifferences | None) -> TrackFrame:
        """One frame. visual None: no image; sound None: no sound yet. A stamp that does not advance returns the previous result."""
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if (self._last.stamp_ns - stamp_ns) * _NANO <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return self._last
            self.counters['resets'] += 1
            self._faces.forget()
        if visual is not None:
            self._see(stamp_ns, visual)
        self._faces.advance(stamp_ns)
        itds, age_s = _ages(stamp_ns, sound)
        recent = age_s[age_s <= self._config.window_s] <= self._config.recent_s
        shares, heard, shared = self._hear(itds[age_s <= self._config.window_s], recent)
        tracks = self._faces.report(stamp_ns, shares, heard)
        self.ambiguous = frozenset(track.id for track, is_shared in zip(tracks, shared) if is_shared)
        self.counters['ambiguous_frames'] += bool(self.ambiguous)
        self._last = TrackFrame(int(stamp_ns), tracks, bool(recent.any()))
        return self._last

    def _see(self, stamp_ns: int, visual: VisualFeatures) -> None:
        faces = usable_faces(visual, 0, self.counters)
        transform = self._base_from_optical
        self._faces.see(stamp_ns, transform.apply(faces.positions), congruence(transform.rotation, faces.covariances), faces.boxes)

    def _hear(self, itds: np.ndarray, recent: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Share of the recent ITDs, whether heard, and whether the sound is shared with another face, (K,) each; looks for an unseen sound.

        itds: (M,) of the window; recent: (M,) bool.
        """
        config = self._config
        means = np.clip(self._pair.itd(self._faces.positions), -self._pair.max_itd, self._pair.max_itd)
        group, centers, sizes = _group(means, config.ambiguous_s)
        fit = fit_fixed_means(centers, itds, self._pair.max_itd, config)
        self.unseen_sound = self._unseen(itds[fit.responsibilities[:, -1] > 0.5])
        heard = (fit.counts >= config.min_count) & (fit.mixture.weights >= config.min_weight)
        shares = fit.responsibilities[recent, :-1].sum(0) / sizes / max(recent.sum(), 1)
        return shares[group], heard[group], sizes[group] > 1

    def _unseen(self, itds: np.ndarray) -> np.ndarray | None:
        """Direction of the one source that most of the ITDs of nobody come from: a free component beside the uniform class."""
        config = self._config
        if len(itds) < config.min_count:
            return None
        mixture = ItdMixture(np.array([0.5]), np.median(itds, keepdims=True), np.array([config.sd_range[1] ** 2]), 0.5, self._pair.max_itd)
        for _ in range(config.iterations):
            own = mixture.expect(itds)[0][:, 0]
            mass = max(own.sum(), 1e-12)
            mean = own @ itds / mass
            variance = max(own @ (itds - mean) ** 2 / mass, config.sd_range[0] ** 2)
            mixture = ItdMixture(np.array([own.mean()]), np.array([mean]), np.array([variance]), 1 - own.mean(), self._pair.max_itd)
        if mass < config.min_count or variance > config.unseen_sd ** 2:
            return None
        return self._pair.bearing(mean)


def _ages(stamp_ns: int, sound: TimeDifferences | None) -> tuple[np.ndarray, np.ndarray]:
    """(M,) differences and how long before the stamp they were [s]."""
    if sound is None:
        return np.zeros(0), np.zeros(0)
    return sound.values, (stamp_ns - sound.stamps_ns) * _NANO


def _group(means: np.ndarray, closest: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces that sound cannot tell apart, chained in order of (K,) ITDs: (K,) group of each, (G,) mean ITD and (G,) size of each group."""
    order = np.argsort(means, kind='stable')
    group = np.empty(len(means), int)
    group[order] = np.cumsum(np.diff(means[order], prepend=-np.inf) >= closest) - 1
    sizes = np.bincount(group)
    return group, np.bincount(group, means) / np.maximum(sizes, 1), sizes
