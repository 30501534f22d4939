# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The timeline's panel of the room from above: x (ahead) is up, y (left) to the left."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from av_perception.evaluation.frames import Frames
from av_perception.robot_head import CameraGeometry
from av_perception.visualization.colors import Color, unit
from av_perception.visualization.timeline_scene import (
    HALO,
    SIZE_PX,
    STRIPES,
    TimelineScene,
    field_of_view_deg,
    name_color,
    runs_of,
    tidy,
    track_color,
    truth_color,
)


def draw_plan(axes: Axes, scene: TimelineScene, camera: CameraGeometry | None) -> None:
    """Draw the paths of everybody around the head, and the camera's field of view."""
    frames = scene.frames
    reach = _reach_m(frames)
    if camera is not None:
        _draw_field_of_view(axes, camera, 4 * reach)
    for person, color in scene.colors.items():
        _draw_person(axes, scene, person, color)
    for track_id in np.unique(frames.tracks.id):
        rows = np.flatnonzero(frames.tracks.id == track_id)
        for run in runs_of(frames.track_frame[rows]):
            x, y = frames.tracks.position[rows[run], :2].T
            axes.plot(-y, x, color=track_color(track_id), lw=1.2, zorder=3)
    _frame_view(axes, frames, reach)
    _draw_head(axes, reach)
    axes.set_title('The room from above [m]', loc='left', fontsize=13, weight='bold')
    axes.set_title('dot: at the end', loc='right', fontsize=10, color='0.45')
    axes.set_xlabel('← left            right →', fontsize=10, color='0.35')
    axes.xaxis.set_major_formatter(lambda value, _: f'{abs(value):g}')
    tidy(axes)


def _places(frames: Frames) -> np.ndarray:
    """(N, 2) [m] where anybody was, in truth or tracks, and the head."""
    truth = frames.truth.position[:, :2]
    return np.concatenate([truth, frames.tracks.position[:, :2], np.zeros((1, 2))])


def _reach_m(frames: Frames) -> float:
    """Distance to the sides [m] that the picture shows: nearly all places, and at least 1.15."""
    return 1.15 * max(np.quantile(np.abs(_places(frames)), 0.995), 1.0)


def _frame_view(axes: Axes, frames: Frames, reach: float) -> None:
    """Set limits of equal scale in both directions, the places in the middle of the height."""
    box = axes.get_position()
    height = 2 * reach * (box.height * SIZE_PX[1]) / (box.width * SIZE_PX[0])
    lowest, highest = np.quantile(_places(frames)[:, 0], (0.005, 0.995))
    middle = (min(lowest, 0.0) + max(highest, 0.0)) / 2
    axes.set(xlim=(-reach, reach), ylim=(middle - height / 2, middle + height / 2))


def _draw_field_of_view(axes: Axes, camera: CameraGeometry, length: float) -> None:
    wedge = np.radians(np.linspace(*field_of_view_deg(camera), 40))
    right = np.append(-length * np.sin(wedge), 0)
    ahead = np.append(length * np.cos(wedge), 0)
    axes.fill(right, ahead, color='0.95', lw=0, zorder=0)


def _draw_person(axes: Axes, scene: TimelineScene, person: int, color: Color) -> None:
    """Draw the path of a person by the truth, striped out of view, and a dot at its end."""
    frames = scene.frames
    truth = frames.truth
    rows = np.flatnonzero(truth.id == person)
    for run in runs_of(frames.truth_frame[rows], truth.visible[rows]):
        x, y = truth.position[rows[run], :2].T
        axes.plot(
            -y,
            x,
            color=truth_color(color),
            lw=8,
            zorder=2,
            ls='-' if truth.visible[rows[run[0]]] else STRIPES,
            solid_capstyle='butt',
            dash_capstyle='butt',
        )
    x, y = scene.last_position(person)[:2]
    axes.plot(-y, x, 'o', ms=11, color=unit(color), mec='white', mew=1.5, zorder=5)
    axes.annotate(
        scene.names[person],
        (-y, x),
        xytext=(0, 11),
        textcoords='offset points',
        ha='center',
        fontsize=11,
        weight='bold',
        color=name_color(color),
        path_effects=HALO,
        zorder=6,
    )


def _draw_head(axes: Axes, reach: float) -> None:
    """Draw the robot's head with an arrow ahead."""
    arrow = {'arrowstyle': '-|>', 'color': '0.15', 'lw': 2}
    axes.annotate('', (0, 0.2 * reach), (0, 0), arrowprops=arrow, zorder=6)
    axes.plot(0, 0, 'o', ms=15, color='0.15', zorder=6)
    axes.annotate(
        'head', (0, 0), xytext=(12, -5), textcoords='offset points', fontsize=10.5, color='0.15'
    )
