# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks, from faces and two microphones: the mode for small robots.

The faces say how many talkers there may be and where, so their ITDs are fixed and only the weights
and spreads of a mixture are learnt. Source: Alameda-Pineda and Horaud, "Vision-guided robot
hearing", Int. J. of Robotics Research 34(4-5), 2015.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import TrackFrame, VisualFeatures
from av_perception.numerics.gaussian import propagate_covariance
from av_perception.robot_head.profile import CameraGeometry
from av_perception.synchronization.detected_faces import usable_faces
from av_perception.two_microphones.face_list import FaceList, FaceListConfig
from av_perception.two_microphones.itd_mixture import ItdMixture
from av_perception.two_microphones.microphone_pair import MicrophonePair
from av_perception.two_microphones.time_differences import TimeDifferences

_LEAST_WEIGHT = 1e-12


@dataclass(frozen=True)
class FusionConfig:
    """The mixture, and what is heard of it."""

    #: How far back ITDs count for the mixture [s].
    window_s: float = 0.4
    #: How far back sound counts for a face's share, in seconds; at most the window.
    recent_s: float = 0.08
    #: a_0, Dirichlet prior of the weights, at least 1.
    concentration: float = 1.5
    #: Standard deviation of the time differences of one talker, in seconds.
    typical_sd: float = 30e-6
    #: nu, how many ITDs the prior of the spreads counts.
    prior_count: float = 5.0
    #: The spreads stay within these limits [s].
    sd_range: tuple[float, float] = (15e-6, 120e-6)
    #: Of the EM.
    iterations: int = 10
    #: A face is heard from so many ITDs on.
    min_count: float = 3.0
    #: A face is heard from this weight on, in (0, 1).
    min_weight: float = 0.2
    #: Faces whose time differences are nearer than this share their sound, in seconds.
    ambiguous_s: float = 20e-6
    #: Spread below which ITDs of no face are one source [s].
    unseen_sd: float = 60e-6
    #: A stamp that jumps back by more starts a new session, by less is dropped [s].
    reset_after_s: float = 1.0
    #: Who is in view.
    faces: FaceListConfig = field(default_factory=FaceListConfig)

    def __post_init__(self):
        if self.concentration < 1 or self.iterations < 1:
            raise ValueError('concentration and iterations must be at least 1')
        if not 0 < self.sd_range[0] <= self.typical_sd <= self.sd_range[1]:
            raise ValueError('typical_sd must be positive and lie in sd_range')
        if not 0 < self.recent_s <= self.window_s:
            raise ValueError('recent_s must be positive and not longer than window_s')
        is_positive = min(self.min_count, self.ambiguous_s, self.unseen_sd) > 0
        if not is_positive or min(self.prior_count, self.reset_after_s) < 0:
            raise ValueError(
                'min_count, ambiguous_s, unseen_sd must be positive, prior_count and '
                'reset_after_s not negative'
            )
        if not 0 < self.min_weight < 1:
            raise ValueError('min_weight must lie in (0, 1)')


@dataclass(frozen=True)
class FusionFit:
    """A fitted mixture with K components at known ITDs, and whose the M ITDs are."""

    #: The fitted mixture.
    mixture: ItdMixture
    #: (M, K + 1), the uniform class last.
    responsibilities: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(K,) expected number of ITDs of each component."""
        return self.responsibilities[:, :-1].sum(0)


def fit_fixed_means(
    means: np.ndarray,
    itds: np.ndarray,
    max_itd: float,
    config: FusionConfig,
    mean_variances: np.ndarray | float = 0.0,
) -> FusionFit:
    """MAP-EM for the weights and spreads of components whose means are known.

    Parameters
    ----------
    means
        (K,) of the components [s].
    itds
        (M,) differences [s].
    max_itd
        The uniform class covers -max_itd..max_itd [s].
    config
        Priors and iterations.
    mean_variances
        (K,) [s^2] how well the means are known; they widen the prior of the spreads.

    Returns
    -------
    FusionFit
        The fit.
    """
    count = len(means)
    most_variance = config.sd_range[1] ** 2
    weights = np.full(count + 1, 1.0 / (count + 1))
    typical = np.clip(config.typical_sd**2 + mean_variances, None, most_variance) * np.ones(count)
    variances = typical
    squares = (itds[:, None] - means) ** 2
    for _ in range(config.iterations if count and len(itds) else 0):
        # E-step: which component each difference belongs to
        responsibilities = _responsibilities(squares, weights, variances, max_itd)
        weights, variances = _maximize(responsibilities, squares, typical, config)
    mixture = ItdMixture(weights[:-1], means, variances, float(weights[-1]), max_itd)
    return FusionFit(mixture, _responsibilities(squares, weights, variances, max_itd))


def _maximize(
    responsibilities: np.ndarray, squares: np.ndarray, typical: np.ndarray, config: FusionConfig
) -> tuple[np.ndarray, np.ndarray]:
    """M-steps: (K + 1,) weights under their Dirichlet prior, (K,) variances under theirs.

    From (M, K + 1) responsibilities, (M, K) squared distances to the means and (K,) variances of
    the prior.
    """
    mass = responsibilities.sum(0)
    weights = mass + config.concentration - 1
    weights = np.maximum(weights / weights.sum(), _LEAST_WEIGHT)
    scatter = (responsibilities[:, :-1] * squares).sum(0) + config.prior_count * typical
    variances = scatter / (mass[:-1] + config.prior_count + 1e-12)
    # within limits
    least, most = config.sd_range
    return weights, np.minimum(np.maximum(variances, least**2), most**2)


def _responsibilities(
    squares: np.ndarray, weights: np.ndarray, variances: np.ndarray, max_itd: float
) -> np.ndarray:
    """(M, K + 1) of (M, K) squared distances.

    The uniform class is never empty, so that the sums are positive without logarithms.
    """
    joint = np.empty((len(squares), len(weights)))
    scale = weights[:-1] / np.sqrt(2 * np.pi * variances)
    joint[:, :-1] = np.exp(squares * (-0.5 / variances)) * scale
    joint[:, -1] = weights[-1] / (2 * max_itd)
    return joint / joint.sum(1, keepdims=True)


def find_source(itds: np.ndarray, max_itd: float, config: FusionConfig) -> float | None:
    """Find the one source that most differences come from.

    EM with a free component beside the uniform class.

    Parameters
    ----------
    itds
        (M,) differences [s].
    max_itd
        The uniform class covers -max_itd..max_itd [s].
    config
        Iterations and limits.

    Returns
    -------
    float or None
        The source's ITD [s]; None when there are too few or they scatter.
    """
    if len(itds) < config.min_count:
        return None
    least_variance = config.sd_range[0] ** 2
    mean = float(np.median(itds))
    variance = config.sd_range[1] ** 2
    weight = 0.5
    mass = 0.0
    for _ in range(config.iterations):
        squares = (itds - mean) ** 2
        # E-step
        own = np.exp(squares * (-0.5 / variance)) * (weight / np.sqrt(2 * np.pi * variance))
        own = own / (own + (1 - weight) / (2 * max_itd))
        mass = float(own.sum())
        # M-step
        mean = float(own @ itds) / max(mass, _LEAST_WEIGHT)
        scatter = float(own @ (itds - mean) ** 2) / max(mass, _LEAST_WEIGHT)
        variance = max(scatter, least_variance)
        weight = min(mass / len(itds), 1 - _LEAST_WEIGHT)
    is_source = mass >= config.min_count and variance <= config.unseen_sd**2
    return mean if is_source else None


class FaceItdFusion:
    """Faces in view as tracks with their share of the sound, in place of the tracker.

    `step` has the tracker's signature and result. What the faces say of the sound is
    `audio_responsibility`, the share of the newest ITDs, from which `SpeakingFilter` tells who
    speaks.

    camera: of the head; pair: the microphones in the head's base frame. After each step
    `ambiguous` holds the ids whose sound cannot be told apart, `unseen_sound` the direction (3,)
    in the base frame of a sound that belongs to no face, or None. `counters`: late_frames, resets,
    bad_faces, bad_embeddings, ambiguous_frames.
    """

    def __init__(self, config: FusionConfig, camera: CameraGeometry, pair: MicrophonePair):
        self._config = config
        self._pair = pair
        self._base_from_optical = camera.base_from_optical
        self._faces = FaceList(config.faces)
        self._last = TrackFrame(0, (), False)
        self.counters: Counter = Counter()
        self.ambiguous: frozenset[int] = frozenset()
        self.unseen_sound: np.ndarray | None = None

    def step(
        self, stamp_ns: int, visual: VisualFeatures | None, sound: TimeDifferences | None
    ) -> TrackFrame:
        """Take one frame.

        Parameters
        ----------
        stamp_ns
            [ns]; one that does not advance returns the previous result.
        visual
            The faces, None: no image.
        sound
            What was heard until then, None: nothing yet.

        Returns
        -------
        TrackFrame
            The faces as tracks.
        """
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if seconds(self._last.stamp_ns - stamp_ns) <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return self._last
            self.counters['resets'] += 1
            self._faces.forget()
        if visual is not None:
            self._see(stamp_ns, visual)
        self._faces.advance(stamp_ns)
        itds, age_s = _ages(stamp_ns, sound)
        in_window = age_s <= self._config.window_s
        recent = age_s[in_window] <= self._config.recent_s
        shares, heard, shared = self._hear(itds[in_window], recent)
        tracks = self._faces.report(stamp_ns, shares, heard)
        self.ambiguous = frozenset(
            track.id for track, is_shared in zip(tracks, shared) if is_shared
        )
        self.counters['ambiguous_frames'] += bool(self.ambiguous)
        self._last = TrackFrame(int(stamp_ns), tracks, bool(recent.any()))
        return self._last

    def _see(self, stamp_ns: int, visual: VisualFeatures) -> None:
        faces = usable_faces(visual, 0, self.counters)
        transform = self._base_from_optical
        self._faces.see(
            stamp_ns,
            transform.apply(faces.positions),
            propagate_covariance(transform.rotation, faces.covariances),
            faces.boxes,
        )

    def _hear(
        self, itds: np.ndarray, recent: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the sound to the faces, and look for one that is not seen.

        itds: (M,) of the window [s]; recent: (M,) bool. Returns (K,) each: share of the recent
        ITDs, whether heard, and whether the sound is shared with another face.
        """
        config = self._config
        max_itd = self._pair.max_itd
        positions = self._faces.positions
        means = np.clip(self._pair.itd(positions), -max_itd, max_itd)
        variances = self._pair.variance(positions, self._faces.covariances)
        # Faces that sound cannot tell apart are one component.
        group, sizes = _group(means, config.ambiguous_s)
        group_means = np.bincount(group, means) / sizes
        group_variances = np.bincount(group, variances) / sizes
        fit = fit_fixed_means(group_means, itds, max_itd, config, group_variances)
        unseen = find_source(itds[fit.responsibilities[:, -1] > 0.5], max_itd, config)
        self.unseen_sound = None if unseen is None else self._pair.bearing(unseen)
        heard = (fit.counts >= config.min_count) & (fit.mixture.weights >= config.min_weight)
        shares = fit.responsibilities[recent, :-1].sum(0) / sizes / max(recent.sum(), 1)
        return shares[group], heard[group], sizes[group] > 1


def _ages(stamp_ns: int, sound: TimeDifferences | None) -> tuple[np.ndarray, np.ndarray]:
    """(M,) differences and how long before the stamp they were [s]."""
    if sound is None:
        return np.zeros(0), np.zeros(0)
    return sound.values, seconds(stamp_ns - sound.stamps_ns)


def _group(means: np.ndarray, closest: float) -> tuple[np.ndarray, np.ndarray]:
    """Faces that sound cannot tell apart, chained in order of (K,) ITDs.

    Returns (K,) group of each and (G,) size of each group.
    """
    order = np.argsort(means, kind='stable')
    group = np.empty(len(means), int)
    group[order] = np.cumsum(np.diff(means[order], prepend=-np.inf) >= closest) - 1
    return group, np.bincount(group)
