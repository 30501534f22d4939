# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What all panels of the timeline draw from, and the style they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from scipy.optimize import linear_sum_assignment

from av_perception.evaluation.diarization import assigned_people
from av_perception.evaluation.frames import Frames, align
from av_perception.evaluation.tracking_metrics import Pairs, match
from av_perception.geometry.rigid_transform import angles_from_direction
from av_perception.recording.tables import TrackTable, TruthTable
from av_perception.robot_head import CameraGeometry
from av_perception.visualization.colors import (
    NEUTRAL,
    Color,
    color_of,
    darken,
    lighten,
    unit,
)

SIZE_PX = (1600, 1100)
HALO = [withStroke(linewidth=3, foreground='white')]
STRIPES = (0, (0.45, 0.45))
_NO_TRUTH = TruthTable(*(np.zeros(shape) for shape in (0, 0, (0, 3), 0, 0)))


@dataclass(frozen=True)
class TimelineScene:
    """Truth and tracks with their colors.

    Attributes
    ----------
    frames
        Truth and M scored rows of tracks.
    people
        (M,) person that each track row stands for, -1 for nobody's.
    colors
        Person -> their color. A person is an id of the truth, or of the tracks without one.
    names
        Person -> the name in all panels, which is the id that covered them best: tables, overlay
        and rviz know people by ids alone.
    has_truth
        Whether there is a truth at all.
    """

    frames: Frames
    people: np.ndarray
    colors: dict[int, Color]
    names: dict[int, str]
    has_truth: bool = True

    def last_position(self, person: int) -> np.ndarray:
        """Where a person was in the end, (3,) [m]: by the truth, or by the tracks without one."""
        if self.has_truth:
            truth = self.frames.truth
            return truth.position[np.flatnonzero(truth.id == person)[-1]]
        return self.frames.tracks.position[np.flatnonzero(self.people == person)[-1]]


def make_scene(
    tracks: TrackTable,
    truth: TruthTable | None,
    match_distance_m: float,
    answered_s: np.ndarray | None = None,
) -> TimelineScene:
    """Align tracks with the truth and give every person the color of an id.

    Parameters
    ----------
    tracks, truth
        What was said, and what was so; None: nobody knows, and people are those who were tracked.
    match_distance_m
        [m] farther than this an estimate is not of that person.
    answered_s
        [s] times of the images of which something was said, see `align`.
    """
    if truth is None:
        frames = align(tracks, _NO_TRUTH, answered_s)
        ids = np.unique(frames.tracks.id).tolist()
        colors = {track_id: color_of(track_id) for track_id in ids}
        return TimelineScene(frames, frames.tracks.id, colors, {i: f'id {i}' for i in ids}, False)
    frames = align(tracks, truth, answered_s)
    pairs = match(frames, frames.distances_m, match_distance_m)
    own_id = _own_ids(frames, pairs)
    people = np.unique(frames.truth.id).tolist()
    colors = {p: color_of(own_id[p]) if p in own_id else NEUTRAL for p in people}
    names = {p: f'id {own_id[p]}' if p in own_id else 'not found' for p in people}
    return TimelineScene(frames, assigned_people(frames, pairs), colors, names)


def _own_ids(frames: Frames, pairs: Pairs) -> dict[int, int]:
    """Person -> the id that covered them best, one id each; without those whom none covered."""
    people, person = np.unique(frames.truth.id, return_inverse=True)
    ids, track = np.unique(frames.tracks.id, return_inverse=True)
    together = np.zeros((len(people), len(ids)))
    np.add.at(together, (person[pairs.truth_row], track[pairs.track_row]), 1)
    return {
        int(people[p]): int(ids[t])
        for p, t in zip(*linear_sum_assignment(-together))
        if together[p, t] > 0
    }


def runs_of(frame: np.ndarray, *keys: np.ndarray) -> list[np.ndarray]:
    """Split rows into stretches of consecutive frames with equal keys.

    Parameters
    ----------
    frame
        (N,) frame of each row, growing.
    keys
        Arrays (N,).

    Returns
    -------
    list of np.ndarray
        Indices of the rows of each stretch.
    """
    if not len(frame):
        return []
    breaks = np.diff(frame) > 1
    for key in keys:
        breaks |= key[1:] != key[:-1]
    return np.split(np.arange(len(frame)), np.flatnonzero(breaks) + 1)


def field_of_view_deg(camera: CameraGeometry) -> tuple[float, float]:
    """Azimuths [deg] of the right and left image edge at mid height, in the base frame."""
    edges = (np.array([camera.width, 0]) - camera.center[0]) / camera.focal[0]
    rays = camera.base_from_optical.rotate(np.stack([edges, np.zeros(2), np.ones(2)], axis=1))
    low, high = np.degrees(angles_from_direction(rays)[0])
    return float(low), float(high if high >= low else high + 360)


def truth_color(color: Color) -> tuple[float, float, float]:
    """Lighten the color of a person as the truth has it, in 0..1."""
    return unit(lighten(color, 0.6))


def track_color(track_id: int) -> tuple[float, float, float]:
    """Darken the color of an id as estimates have it, in 0..1."""
    return unit(darken(color_of(track_id), 0.25))


def name_color(color: Color) -> tuple[float, float, float]:
    """Darken the color of a person as their name has it, in 0..1."""
    return unit(darken(color, 0.15))


def spans_of(frames: Frames, frame: np.ndarray) -> list[tuple[float, float]]:
    """(begin, duration) [s] of the stretches of consecutive frames (N,), growing."""
    half = frames.period_s / 2
    return [
        (frames.time_s[frame[run[0]]] - half, len(run) * frames.period_s) for run in runs_of(frame)
    ]


def mark_lost_images(axes: Axes, frames: Frames) -> None:
    """Hatch the times of images that nothing was said of: what is empty there is not silence."""
    for begin, duration in spans_of(frames, np.flatnonzero(frames.lost)):
        axes.axvspan(
            begin, begin + duration, facecolor='none', edgecolor='0.7', hatch='///', lw=0, zorder=1
        )


def tidy(axes: Axes) -> None:
    """Give a panel a pale grid and no frame."""
    axes.grid(color='0.9', lw=0.8)
    axes.set_axisbelow(True)
    for side in ('top', 'right', 'left', 'bottom'):
        axes.spines[side].set_visible(False)
    axes.tick_params(color='0.7', labelsize=10.5)
