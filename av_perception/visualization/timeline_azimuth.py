# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The timeline's panel of azimuths: the direction of everybody over time."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from av_perception.geometry.rigid_transform import angles_from_direction
from av_perception.recording.tables import TrackTable
from av_perception.robot_head import CameraGeometry
from av_perception.visualization.colors import Color
from av_perception.visualization.timeline_scene import (
    HALO,
    STRIPES,
    TimelineScene,
    field_of_view_deg,
    mark_lost_images,
    name_color,
    runs_of,
    tidy,
    track_color,
    truth_color,
)


def draw_azimuth(axes: Axes, scene: TimelineScene, camera: CameraGeometry | None) -> None:
    """Draw where everybody was, and the camera's field of view behind it."""
    for person, color in scene.colors.items():
        _draw_truth(axes, scene, person, color)
    for track_id in np.unique(scene.frames.tracks.id):
        _draw_track(axes, scene, int(track_id))
    _label_people(axes, scene)
    mark_lost_images(axes, scene.frames)
    if camera is not None:
        axes.axhspan(*field_of_view_deg(camera), color='0.955', zorder=0)
        axes.set_title("gray: in the camera's view", loc='right', fontsize=10, color='0.45')
    axes.set_title('Where: azimuth of each person', loc='left', fontsize=13, weight='bold')
    axes.yaxis.set_major_formatter(lambda value, _: f'{value:+.0f}°' if value else '0°')
    axes.yaxis.set_major_locator(_degree_locator(axes))
    axes.set_ylabel('← right      ahead is 0°      left →', fontsize=10, color='0.35')
    times = scene.frames.time_s
    axes.set_xlim(times[0] if len(times) else 0, times[-1] if len(times) > 1 else 1)
    tidy(axes)


def unwrapped_deg(azimuth_rad: np.ndarray) -> np.ndarray:
    """Convert to degrees with a break (NaN) where the angle jumps over +-180.

    So no line crosses the picture.
    """
    degrees = np.degrees(azimuth_rad)
    degrees[1:][np.abs(np.diff(degrees)) > 180] = np.nan
    return degrees


def azimuth_std_deg(tracks: TrackTable, rows: np.ndarray) -> np.ndarray:
    """Propagate the covariance of positions to the azimuth atan2(y, x), to first order.

    Its Jacobian is (-y, x) / (x^2 + y^2).

    Returns
    -------
    np.ndarray
        (rows,) standard deviation [deg].
    """
    x, y = tracks.position[rows, :2].T
    xx, xy, yy = tracks.covariance[rows][:, [0, 1, 3]].T
    variance = (y**2 * xx - 2 * x * y * xy + x**2 * yy) / np.maximum(x**2 + y**2, 1e-6) ** 2
    return np.degrees(np.sqrt(np.clip(variance, 0, np.pi**2)))


def _draw_truth(axes: Axes, scene: TimelineScene, person: int, color: Color) -> None:
    """Draw a thick, light line, striped where the camera does not see the person."""
    frames = scene.frames
    rows = np.flatnonzero(frames.truth.id == person)
    for run in runs_of(frames.truth_frame[rows], frames.truth.visible[rows]):
        part = rows[run]
        axes.plot(
            frames.time_s[frames.truth_frame[part]],
            unwrapped_deg(angles_from_direction(frames.truth.position[part])[0]),
            color=truth_color(color),
            lw=9,
            ls='-' if frames.truth.visible[part[0]] else STRIPES,
            solid_capstyle='butt',
            dash_capstyle='butt',
            zorder=2,
        )


def _draw_track(axes: Axes, scene: TimelineScene, track_id: int) -> None:
    """Draw a thin, dark line in a band of two standard deviations, with the id at its begin."""
    frames = scene.frames
    tracks = frames.tracks
    rows = np.flatnonzero(tracks.id == track_id)
    times = frames.time_s[frames.track_frame]
    color = track_color(track_id)
    for run in runs_of(frames.track_frame[rows]):
        part = rows[run]
        degrees = unwrapped_deg(angles_from_direction(tracks.position[part])[0])
        spread = 2 * azimuth_std_deg(tracks, part)
        # A track that nothing has been seen of for long may be anywhere: no angle is beyond 180.
        low = np.maximum(degrees - spread, -180.0)
        high = np.minimum(degrees + spread, 180.0)
        axes.fill_between(times[part], low, high, color=color, alpha=0.2, lw=0, zorder=3)
        axes.plot(times[part], degrees, color=color, lw=1.6, zorder=4)
    nobody = (scene.people[rows] < 0).all()
    begin = np.degrees(angles_from_direction(tracks.position[rows[0]])[0])
    axes.annotate(
        f'id {track_id}: nobody there' if nobody else f'id {track_id}',
        (times[rows[0]], begin),
        xytext=(3, 9),
        textcoords='offset points',
        color=color,
        fontsize=10.5,
        weight='bold',
        path_effects=HALO,
        zorder=6,
    )


def _label_people(axes: Axes, scene: TimelineScene) -> None:
    """Write names at the right edge, at each person's last azimuth.

    They are moved apart where they would overlap.
    """
    last_azimuth = {
        person: float(np.degrees(angles_from_direction(scene.last_position(person))[0]))
        for person in scene.colors
    }
    low, high = axes.get_ylim()
    height = -np.inf
    for person in sorted(last_azimuth, key=last_azimuth.__getitem__):
        height = max(last_azimuth[person], height + 0.055 * (high - low))
        axes.text(
            1.008,
            height,
            scene.names[person],
            color=name_color(scene.colors[person]),
            fontsize=11.5,
            weight='bold',
            va='center',
            transform=axes.get_yaxis_transform(),
        )


def _degree_locator(axes: Axes):
    """Ticks at round degrees, at most nine of them if a step of 45 allows."""
    from matplotlib.ticker import MultipleLocator

    low, high = axes.get_ylim()
    fitting = [step for step in (5, 10, 15, 30, 45) if (high - low) / step <= 9]
    return MultipleLocator(fitting[0] if fitting else 60)
