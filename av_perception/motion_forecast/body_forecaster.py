# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Possible futures of whole bodies in a room: the root's walks, and poses along them.

The network forecasts poses in the root's frame, which does not say where people go. So the root is
forecast as heads are, by paths; each future puts one draw of poses on one walk, and turns with it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import seconds
from av_perception.interfaces import LifeState, TrackEstimate, TrackFrame
from av_perception.motion_forecast.body_frame import (
    NUM_JOINTS,
    BodyFrames,
    body_frames,
    headings,
    turned,
)
from av_perception.motion_forecast.forecaster import ForecastConfig, MotionForecaster
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster
from av_perception.motion_forecast.skeletons import RATE

OBSERVED = 12  # poses that the network sees
_MAX_GAP_S = 0.25  # over which poses are interpolated
_ROOT_STD_M = 0.03  # what a root is worth
_WALKS = 0.4  # [m/s] slower walks have no heading
TOO_SHORT = 'seen for less than half a second, or with gaps'


@dataclass(frozen=True)
class BodyForecast:
    """Futures of one body."""

    #: [ns] of the newest skeleton
    stamp_ns: int
    #: (H,) [s] after that
    horizons_s: np.ndarray
    #: (S, H, NUM_JOINTS, 3) [m] in the frame of the skeletons, each future coherent
    joints: np.ndarray
    #: why poses are held in place of forecast, '' when they are forecast
    fallback_reason: str


class BodyForecaster:
    """Remembers the skeletons of one person, and forecasts them when asked."""

    def __init__(self, config: ForecastConfig, poses: SkeletonForecaster):
        """Know nothing.

        Parameters
        ----------
        config
            Horizons, number of futures, and how the root is forecast.
        poses
            The network.
        """
        self._poses = poses
        self._config = config
        self._roots = MotionForecaster(config)
        self._seen: deque[tuple[int, np.ndarray]] = deque(maxlen=256)

    @property
    def counters(self) -> Counter[str]:
        """What was left out, and why."""
        return self._roots.counters

    def clear(self) -> None:
        """Forget what was seen."""
        counters = self._roots.counters
        self._roots = MotionForecaster(self._config)
        self._roots.counters.update(counters)
        self._seen.clear()

    def observe(self, stamp_ns: int, joints: np.ndarray) -> None:
        """Take a skeleton.

        Parameters
        ----------
        stamp_ns
            [ns] one that is not newer than the one before is left out and counted.
        joints
            (NUM_JOINTS, 3) [m] in the room, z up, in the order of JOINT_NAMES.

        Raises
        ------
        ValueError
            For joints of another shape, or not finite.
        """
        joints = np.asarray(joints, float)
        if joints.shape != (NUM_JOINTS, 3):
            raise ValueError(f'a skeleton has ({NUM_JOINTS}, 3) joints, not {joints.shape}')
        if not np.isfinite(joints).all():
            raise ValueError('the joints of a skeleton are not finite')
        before_ns = self._roots.stamp_ns
        root = body_frames(joints[None], self._poses.net.center).origins[0]
        self._roots.observe(_track_frame(stamp_ns, root))
        if self._roots.stamp_ns == before_ns:
            return
        if self._seen and self._is_elsewhere(stamp_ns, joints):
            self._seen.clear()
        self._seen.append((stamp_ns, joints))

    def _is_elsewhere(self, stamp_ns: int, joints: np.ndarray) -> bool:
        """Whether poses cannot be interpolated between the last skeleton and this."""
        last_ns, last = self._seen[-1]
        gap_s = seconds(stamp_ns - last_ns)
        moved = np.linalg.norm((joints - last).mean(0))
        return not 0 < gap_s <= _MAX_GAP_S or bool(moved > self._config.max_speed * gap_s + 0.1)

    def forecast(self) -> BodyForecast | None:
        """Draw futures from the newest skeleton on; None before the first."""
        paths = self._roots.forecast()
        if paths is None or not self._seen or not paths.forecasts:
            return None
        stamp_ns, newest = self._seen[-1]
        horizons_s = self._config.horizons_s
        seen = self._resampled()
        if seen is None:
            roots = body_frames(newest[None], self._poses.net.center)
            poses = np.tile(roots.poses(newest[None]), (len(horizons_s), 1))[None]
            reason = TOO_SHORT
        else:
            roots = body_frames(seen, self._poses.net.center)
            frames = np.maximum(np.round(horizons_s * RATE).astype(int), 1) - 1
            made = self._poses.forecast(
                roots.poses(seen), int(frames[-1]) + 1, self._config.samples
            )
            poses = made.poses[:, frames]
            reason = made.fallback_reason
        joints = _along(poses, paths.forecasts[0].samples, roots, horizons_s)
        return BodyForecast(stamp_ns, horizons_s, joints, reason)

    def _resampled(self) -> np.ndarray | None:
        """(OBSERVED, J, 3) the newest skeletons at the network's rate; None: too few are known."""
        stamps = np.array([stamp_ns for stamp_ns, _ in self._seen])
        ages = (stamps[-1] - stamps) * 1e-9
        wanted = np.arange(OBSERVED - 1, -1, -1) / RATE
        # Half a frame's jitter is no reason to know nothing.
        if ages[0] < wanted[0] - 0.5 / RATE:
            return None
        joints = np.stack([joints for _, joints in self._seen])
        after = np.clip(np.searchsorted(-ages, -wanted), 1, len(ages) - 1)
        span = ages[after - 1] - ages[after]
        share = np.clip((ages[after - 1] - wanted) / span, 0.0, 1.0)[:, None, None]
        return (1 - share) * joints[after - 1] + share * joints[after]


def _track_frame(stamp_ns: int, root: np.ndarray) -> TrackFrame:
    """Make a root what paths are forecast of."""
    mean = np.concatenate([root, np.zeros(3)])
    covariance = _ROOT_STD_M**2 * np.eye(6)
    state = LifeState.ACTIVE
    track = TrackEstimate(0, state, mean, covariance, True, False, False, stamp_ns, 0, 0.0)
    return TrackFrame(stamp_ns, (track,), False)


def _along(
    poses: np.ndarray, walks: np.ndarray, roots: BodyFrames, horizons_s: np.ndarray
) -> np.ndarray:
    """Put poses (S or 1, H, 3 J) on walks (S, H, 3) of the root; a body turns as its walk does."""
    local = poses.reshape(*poses.shape[:2], -1, 3) @ roots.rotations[-1].T
    local = np.broadcast_to(local, (len(walks), *local.shape[1:]))
    span_s = max(len(roots.origins) - 1, 1) / RATE
    before = (roots.origins[-1] - roots.origins[0]) / span_s
    places = np.concatenate([np.broadcast_to(roots.origins[-1], walks[:, :1].shape), walks], 1)
    times = np.concatenate([[0.0], horizons_s])
    velocities = np.gradient(places, times, axis=1)[:, 1:]
    turns = headings(velocities) - headings(before)
    turns = np.angle(np.exp(1j * turns))
    walked = np.linalg.norm(velocities[..., :2], axis=-1) > _WALKS
    walked &= np.linalg.norm(before[:2]) > _WALKS
    # Who stops stays turned as before.
    last = np.maximum.accumulate(np.where(walked, np.arange(walked.shape[1]), -1), axis=1)
    turns = np.where(last < 0, 0.0, np.take_along_axis(turns, np.maximum(last, 0), 1))
    return walks[:, :, None] + turned(local, turns)
