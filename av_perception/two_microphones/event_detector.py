# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual events of a stream: a sliding window over visual points and time differences."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame, VisualFeatures
from av_perception.synchronization.detected_faces import usable_faces
from av_perception.two_microphones.av_events import (
    EventConfig,
    SupervisedFit,
    choose_number,
    fit_supervised,
    neighbors,
    starts,
)
from av_perception.two_microphones.itd_mixture import ItdMixture
from av_perception.two_microphones.microphone_pair import MicrophonePair
from av_perception.two_microphones.time_differences import TimeDifferences

_NANO = 1e-9
_LEAST_VARIANCE = 1e-6  # [m^2]: points of one place are one event of a millimetre, not of nothing


@dataclass(frozen=True)
class EventDetectorConfig:
    """window_s: how far back points and ITDs count; max_points: of one image, evenly thinned; speed_sd [m/s]: standard deviation of an event's
    velocity, which is not estimated; reset_after_s: a stamp that jumps back by more starts a new session, by less is dropped.
    """

    window_s: float = 0.4
    max_points: int = 100
    speed_sd: float = 0.5
    reset_after_s: float = 1.0
    events: EventConfig = field(default_factory=EventConfig)

    def __post_init__(self):
        if (
            self.window_s <= 0
            or self.max_points < 1
            or self.speed_sd <= 0
            or self.reset_after_s < 0
        ):
            raise ValueError(
                'window_s, max_points and speed_sd must be positive, reset_after_s not negative'
            )


class EventDetector:
    """`step` has the signature and the result of the tracker's: every event is a track, `heard` is its activity flag,
    `audio_responsibility` the share of the window's ITDs that are its own. Ids carry over from window to window with the solution.

    pair: the microphones in the head's base frame; base_from_points: pose of the frame of the visual points. `counters`: late_frames, resets,
    bad_faces, bad_embeddings, bad_points.
    """

    def __init__(
        self,
        config: EventDetectorConfig,
        pair: MicrophonePair,
        base_from_points: RigidTransform = RigidTransform(),
    ):
        self._config, self._pair, self._base_from_points = config, pair, base_from_points
        self.counters: Counter = Counter()
        self._last = TrackFrame(0, (), False)
        self._next_id = 1
        self._forget()

    def _forget(self) -> None:
        self._window: deque[tuple[int, np.ndarray]] = deque()
        self._mixture: ItdMixture | None = None
        self._ids = np.zeros(0, int)
        self._heard_ns: dict[int, int] = {}

    def step(
        self, stamp_ns: int, visual: VisualFeatures | None, sound: TimeDifferences | None
    ) -> TrackFrame:
        """One frame with the faces as visual points. None: no image, no sound yet."""
        if visual is None:
            return self.step_points(stamp_ns, None, sound)
        return self.step_points(stamp_ns, usable_faces(visual, 0, self.counters).positions, sound)

    def step_points(
        self, stamp_ns: int, points: np.ndarray | None, sound: TimeDifferences | None
    ) -> TrackFrame:
        """One frame with (N, 3) points [m]. A stamp that does not advance returns the previous result again."""
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if (self._last.stamp_ns - stamp_ns) * _NANO <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return self._last
            self.counters['resets'] += 1
            self._forget()
        self._remember(stamp_ns, points)
        window = np.concatenate([p for _, p in self._window]) if self._window else np.zeros((0, 3))
        itds = np.clip(self._pair.itd(window), -self._pair.max_itd, self._pair.max_itd)
        self._choose(itds)
        audio = (
            np.zeros(0)
            if sound is None
            else sound.values[(stamp_ns - sound.stamps_ns) * _NANO <= self._config.window_s]
        )
        fit = fit_supervised(itds, audio, self._mixture, self._config.events)
        self._last = TrackFrame(
            int(stamp_ns),
            self._report(stamp_ns, window, fit, points is not None),
            len(audio) >= self._config.events.min_count,
        )
        return self._last

    def _remember(self, stamp_ns: int, points: np.ndarray | None) -> None:
        while self._window and (stamp_ns - self._window[0][0]) * _NANO > self._config.window_s:
            self._window.popleft()
        if points is None:
            return
        points = np.asarray(points, float).reshape(-1, 3)
        good = (np.abs(points) < 1e3).all(1)  # NaN compares false
        self.counters['bad_points'] += int((~good).sum())
        points = points[good]
        points = points[:: -(-len(points) // self._config.max_points) or 1]
        self._window.append((stamp_ns, self._base_from_points.apply(points)))

    def _choose(self, itds: np.ndarray) -> None:
        """The number of events by BIC: all numbers at first, then one less, as many and one more than before."""
        config = self._config.events
        if (
            self._mixture is None or not len(self._mixture) or not len(itds)
        ):  # nothing seen: no events
            candidates = [
                (start, np.full(len(start), -1))
                for start in starts(itds, self._pair.max_itd, config)
            ]
        else:
            candidates = neighbors(self._mixture, itds, config)
        chosen = choose_number(itds, [start for start, _ in candidates], config)
        origin = next(o for start, o in candidates if len(start) == len(chosen))
        new = np.where(origin < 0)[0]
        ids = (
            np.where(origin < 0, 0, self._ids[origin])
            if len(self._ids)
            else np.zeros(len(origin), int)
        )
        ids[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)
        self._mixture, self._ids = chosen, ids

    def _report(
        self, stamp_ns: int, window: np.ndarray, fit: SupervisedFit, seen: bool
    ) -> tuple[TrackEstimate, ...]:
        config = self._config.events
        counts = fit.audio[:, :-1].sum(0)
        active = (counts >= config.min_count) & (counts >= config.min_share * len(fit.audio))
        shares = counts / max(len(fit.audio), 1)
        newest = self._window[-1][0] if self._window else 0
        tracks = []
        for event in np.flatnonzero(fit.visual[:, :-1].sum(0) > 0.5):
            own = fit.visual[:, event] / fit.visual[:, event].sum()
            mean = own @ window
            spread = (own[:, None] * (window - mean)).T @ (
                window - mean
            ) + _LEAST_VARIANCE * np.eye(3)
            covariance = np.diag(np.repeat([0.0, self._config.speed_sd**2], 3))
            covariance[:3, :3] = spread
            number, heard = int(self._ids[event]), bool(active[event])
            if heard:
                self._heard_ns[number] = stamp_ns
            tracks.append(
                TrackEstimate(
                    number,
                    LifeState.ACTIVE,
                    np.append(mean, np.zeros(3)),
                    covariance,
                    seen,
                    heard,
                    not (seen or heard),
                    newest,
                    self._heard_ns.get(number, 0),
                    float(shares[event]),
                )
            )
        self._heard_ns = {t.id: self._heard_ns[t.id] for t in tracks if t.id in self._heard_ns}
        return tuple(tracks)
