# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The timeline's panel of speech: truth, estimate and probability, a row per person."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from av_perception.evaluation.frames import Frames
from av_perception.visualization.colors import NEUTRAL, lighten, unit
from av_perception.visualization.timeline_scene import (
    TimelineScene,
    name_color,
    runs_of,
    tidy,
    track_color,
)

NOBODY = -1  # whom the speech of ghosts is given to


def draw_speech(axes: Axes, scene: TimelineScene) -> None:
    """Draw who spoke when; speech of tracks that stand for nobody has a row of its own."""
    people = list(scene.colors)
    for row, person in enumerate(people):
        _draw_truth(axes, scene, person, -row)
        _draw_estimate(axes, scene, person, -row)
    names = [f'person {person}' for person in people]
    if ((scene.people == NOBODY) & scene.frames.tracks.speaking).any():
        _draw_estimate(axes, scene, NOBODY, -len(people))
        names.append('nobody')
    _label_rows(axes, scene, names)
    axes.set_title('Who spoke', loc='left', fontsize=13, weight='bold')
    axes.set_xlabel('time [s]', fontsize=11)
    tidy(axes)
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', length=0)


def _label_rows(axes: Axes, scene: TimelineScene, names: list[str]) -> None:
    """Write a row's name to its left and what its bars are to its right."""
    kinds = ((0.76, 'truth'), (0.53, 'estimate'), (0.2, 'probability'))
    for row in range(len(names)):
        axes.axhline(-row - 0.02, color='0.88', lw=1, zorder=0)
        for height, text in kinds if len(names) <= 4 else ():
            axes.text(
                1.008,
                -row + height,
                text,
                fontsize=9,
                color='0.45',
                va='center',
                transform=axes.get_yaxis_transform(),
            )
    middles = [-row + 0.5 for row in range(len(names))]
    axes.set_yticks(middles, names, fontsize=11.5, weight='bold')
    for label, color in zip(axes.get_yticklabels(), [*scene.colors.values(), NEUTRAL]):
        label.set_color(name_color(color))
    axes.set_ylim(-max(len(names), 1) + 0.95, 1.0)


def _draw_truth(axes: Axes, scene: TimelineScene, person: int, base: float) -> None:
    frames = scene.frames
    rows = np.flatnonzero((frames.truth.id == person) & frames.truth.speaking)
    bars = _bars(frames, frames.truth_frame[rows])
    color = unit(lighten(scene.colors[person], 0.55))
    axes.broken_barh(bars, (base + 0.66, 0.2), color=color, lw=0)


def _draw_estimate(axes: Axes, scene: TimelineScene, person: int, base: float) -> None:
    """Draw what the tracks that stand for the person say.

    Bars are the speaking estimate; below them the probability is a filled curve.
    """
    frames = scene.frames
    tracks = frames.tracks
    for track_id in np.unique(tracks.id[scene.people == person]):
        rows = np.flatnonzero((tracks.id == track_id) & (scene.people == person))
        color = track_color(track_id)
        for run in runs_of(frames.track_frame[rows]):
            part = rows[run]
            times = frames.time_s[frames.track_frame[part]]
            top = base + 0.36 * np.clip(tracks.speaking_probability[part], 0, 1)
            axes.fill_between(times, base, top, color=color, alpha=0.35, lw=0)
        bars = _bars(frames, frames.track_frame[rows[tracks.speaking[rows]]])
        axes.broken_barh(bars, (base + 0.44, 0.2), color=color, lw=0)


def _bars(frames: Frames, frame: np.ndarray) -> list[tuple[float, float]]:
    """(begin, duration) [s] of the stretches of consecutive frames."""
    half = frames.period_s / 2
    return [
        (frames.time_s[frame[run[0]]] - half, len(run) * frames.period_s) for run in runs_of(frame)
    ]
