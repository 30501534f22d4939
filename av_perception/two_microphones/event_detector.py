# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Audio-visual events of a stream: a sliding window over visual points and time differences."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import seconds
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

_LEAST_VARIANCE = 1e-6  # [m^2]: points of one place are one event of a millimeter, not of nothing
_FARTHEST_M = 1e3  # coordinates beyond are not real
_SEEN_POINTS = 0.5  # of the visual points: an event with fewer is not reported


@dataclass(frozen=True)
class EventDetectorConfig:
    """The window and what is reported of it."""

    #: How far back points and ITDs count [s].
    window_s: float = 0.4
    #: Points of one image that are used, evenly thinned.
    max_points: int = 100
    #: Standard deviation of an event's velocity, which is not estimated [m/s].
    speed_sd: float = 0.5
    #: A stamp that jumps back by more starts a new session, by less is dropped [s].
    reset_after_s: float = 1.0
    #: The fits of a window.
    events: EventConfig = field(default_factory=EventConfig)

    def __post_init__(self):
        is_positive = self.window_s > 0 and self.max_points >= 1 and self.speed_sd > 0
        if not is_positive or self.reset_after_s < 0:
            raise ValueError(
                'window_s, max_points and speed_sd must be positive, reset_after_s not negative'
            )


class EventDetector:
    """Audio-visual events as tracks, in place of the tracker.

    `step` has the signature and the result of the tracker's: every event is a track, `heard` is
    its activity flag, `audio_responsibility` the share of the window's ITDs that are its own. Ids
    carry over from window to window with the solution.

    pair: the microphones in the head's base frame; base_from_points: pose of the frame of the
    visual points, None: they are in the base frame. `counters`: late_frames, resets, bad_faces,
    bad_embeddings, bad_points.
    """

    def __init__(
        self,
        config: EventDetectorConfig,
        pair: MicrophonePair,
        base_from_points: RigidTransform | None = None,
    ):
        self._config = config
        self._pair = pair
        self._base_from_points = base_from_points or RigidTransform()
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
        """Take one frame with the faces as visual points; parameters as of `step_points`."""
        if visual is None:
            return self.step_points(stamp_ns, None, sound)
        return self.step_points(stamp_ns, usable_faces(visual, 0, self.counters).positions, sound)

    def step_points(
        self, stamp_ns: int, points: np.ndarray | None, sound: TimeDifferences | None
    ) -> TrackFrame:
        """Take one frame.

        Parameters
        ----------
        stamp_ns
            [ns]; one that does not advance returns the previous result again.
        points
            (N, 3) visual points [m], None: no image.
        sound
            What was heard until then, None: nothing yet.

        Returns
        -------
        TrackFrame
            The events of the window.
        """
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if seconds(self._last.stamp_ns - stamp_ns) <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return self._last
            self.counters['resets'] += 1
            self._forget()
        self._remember(stamp_ns, points)
        window = np.concatenate([np.zeros((0, 3)), *(p for _, p in self._window)])
        itds = np.clip(self._pair.itd(window), -self._pair.max_itd, self._pair.max_itd)
        mixture = self._choose(itds)
        audio = np.zeros(0)
        if sound is not None:
            audio = sound.values[seconds(stamp_ns - sound.stamps_ns) <= self._config.window_s]
        fit = fit_supervised(itds, audio, mixture, self._config.events)
        tracks = self._report(stamp_ns, window, fit, points is not None)
        is_audible = len(audio) >= self._config.events.min_count
        self._last = TrackFrame(int(stamp_ns), tracks, is_audible)
        return self._last

    def _remember(self, stamp_ns: int, points: np.ndarray | None) -> None:
        window_s = self._config.window_s
        while self._window and seconds(stamp_ns - self._window[0][0]) > window_s:
            self._window.popleft()
        if points is None:
            return
        points = np.asarray(points, float).reshape(-1, 3)
        good = (np.abs(points) < _FARTHEST_M).all(1)  # NaN compares false
        self.counters['bad_points'] += int((~good).sum())
        points = points[good]
        stride = -(-len(points) // self._config.max_points) or 1
        self._window.append((stamp_ns, self._base_from_points.apply(points[::stride])))

    def _choose(self, itds: np.ndarray) -> ItdMixture:
        """Choose the number of events by BIC, and keep the mixture and its ids.

        All numbers are tried at first, then one less, as many and one more than before.
        """
        config = self._config.events
        if self._mixture is None or not len(self._mixture) or not len(itds):
            candidates = [
                (start, np.full(len(start), -1))
                for start in starts(itds, self._pair.max_itd, config)
            ]
        else:
            candidates = neighbors(self._mixture, itds, config)
        chosen = choose_number(itds, [start for start, _ in candidates], config)
        origin = next(o for start, o in candidates if len(start) == len(chosen))
        ids = np.zeros(len(origin), int)
        ids[origin >= 0] = self._ids[origin[origin >= 0]]
        new = np.flatnonzero(origin < 0)
        ids[new] = self._next_id + np.arange(len(new))
        self._next_id += len(new)
        self._mixture = chosen
        self._ids = ids
        return chosen

    def _report(
        self, stamp_ns: int, window: np.ndarray, fit: SupervisedFit, seen: bool
    ) -> tuple[TrackEstimate, ...]:
        """Events as tracks; window: (N, 3) points [m] in the base frame."""
        config = self._config.events
        counts = fit.audio[:, :-1].sum(0)
        active = (counts >= config.min_count) & (counts >= config.min_share * len(fit.audio))
        shares = counts / max(len(fit.audio), 1)
        newest_ns = self._window[-1][0] if self._window else 0
        tracks = []
        for event in np.flatnonzero(fit.visual[:, :-1].sum(0) > _SEEN_POINTS):
            mean, covariance = self._moments(window, fit.visual[:, event])
            number = int(self._ids[event])
            heard = bool(active[event])
            if heard:
                self._heard_ns[number] = stamp_ns
            tracks.append(
                TrackEstimate(
                    id=number,
                    state=LifeState.ACTIVE,
                    mean=mean,
                    covariance=covariance,
                    seen=seen,
                    heard=heard,
                    predicted=not (seen or heard),
                    last_seen_ns=newest_ns,
                    last_heard_ns=self._heard_ns.get(number, 0),
                    audio_responsibility=float(shares[event]),
                )
            )
        self._heard_ns = {t.id: self._heard_ns[t.id] for t in tracks if t.id in self._heard_ns}
        return tuple(tracks)

    def _moments(self, window: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (6,) and covariance (6, 6) of position and velocity of one event.

        weights: (N,) responsibilities of the event for the points (N, 3) of the window.
        """
        own = weights / weights.sum()
        mean = own @ window
        difference = window - mean
        spread = (own[:, None] * difference).T @ difference
        covariance = np.diag(np.repeat([0.0, self._config.speed_sd**2], 3))
        covariance[:3, :3] = spread + _LEAST_VARIANCE * np.eye(3)
        return np.append(mean, np.zeros(3)), covariance
