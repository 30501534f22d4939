# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where people are whom nobody sees: what an image without their face says of their place."""

from __future__ import annotations

import numpy as np

from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.other_depth import OtherDepthConfig
from av_perception.tracking.state_space.interface import StateSpace, View
from av_perception.tracking.track_management.life_cycle import (
    IN_VIEW,
    SEEN_MASS,
    LifeCycle,
)
from av_perception.tracking.track_management.track_set import TrackSet

_MOVED = 1e-6  # [m] and [m/s]; faces of others and rounding move a track by less


class Absence:
    """Moves tracks where people can be who are not seen.

    Parameters
    ----------
    config
        When a track is at the wrong depth.
    life
        Keeps count of what was missed.
    model
        Knows the camera, and how people stand and walk.
    """

    def __init__(self, config: OtherDepthConfig, life: LifeCycle, model: StateSpace):
        self._config = config
        self._life = life
        self._model = model

    def bound(
        self,
        tracks: TrackSet,
        predicted: np.ndarray,
        visual_mass: np.ndarray,
        poses: SensorPoses,
    ) -> None:
        """Keep who is out of view where people walk; sound does not tell a range.

        Parameters
        ----------
        tracks
            Changed in place.
        predicted, visual_mass
            (N, D) means before the frame, and (N,) how much of its faces is theirs.
        poses
            Of the sensors.
        """
        only_heard = tracks.never_seen
        unseen = (tracks.visibility < IN_VIEW) & ~only_heard
        if unseen.any():
            is_moved = np.abs(tracks.mean - predicted).max(axis=1) > _MOVED
            by_ear = unseen & (visual_mass < SEEN_MASS) & is_moved
            if by_ear.any():
                heard = self._model.turned(predicted[by_ear], tracks.mean[by_ear], poses)
                tracks.mean[by_ear] = heard
            tracks.mean[unseen] = self._model.bound_unseen(tracks.mean[unseen], poses)
        if only_heard.any():
            tracks.mean[only_heard], tracks.covariance[only_heard] = self._model.reset_range(
                tracks.mean[only_heard], tracks.covariance[only_heard], poses
            )

    def note_image(
        self,
        tracks: TrackSet,
        seen: np.ndarray,
        elsewhere: np.ndarray,
        poses: SensorPoses,
        stamp_ns: int,
    ) -> None:
        """Take note of who is not seen in an image, and of who is at another depth.

        Parameters
        ----------
        tracks
            Changed in place.
        seen
            (N,) bool.
        elsewhere
            (N,) responsibility for free faces at another depth.
        poses, stamp_ns
            Of the sensors; of the image.
        """
        view = View.unknown(len(tracks))
        if not seen.all():
            in_view = (tracks.visibility > IN_VIEW) | tracks.seen_lately
            view = self._model.view(tracks.mean, tracks.covariance, in_view, poses)
        still_behind = self._life.note_view(tracks, seen, view, stamp_ns)
        # Who would have come out into clear view and is not seen has stopped.
        tracks.mean[still_behind] = self._model.stopped(tracks.hidden_mean[still_behind])
        # Whose face is elsewhere in image after image, is there.
        wrong = self._life.note_depth(tracks, seen, elsewhere, self._config.believe_images)
        if wrong.any():
            where = self._model.location
            lost_m = np.full(int(wrong.sum()), self._config.lost_place_sd)
            lost = self._model.random_walk_covariance(tracks.mean[wrong], lost_m)
            tracks.covariance[wrong, where, where] += lost
