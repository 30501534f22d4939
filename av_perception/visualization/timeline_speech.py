# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The timeline's panel of speech: truth, estimate, probability or voice, a row per person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from av_perception.recording.voice_files import PEAK_STEP_S
from av_perception.visualization.colors import NEUTRAL, lighten, unit
from av_perception.visualization.timeline_scene import (
    TimelineScene,
    mark_lost_images,
    name_color,
    runs_of,
    spans_of,
    tidy,
    track_color,
)

NOBODY = -1  # whom the speech of ghosts is given to


def draw_speech(
    axes: Axes, scene: TimelineScene, voices: Mapping[int, np.ndarray] | None = None
) -> None:
    """Draw who spoke when; speech of tracks that stand for nobody has a row of its own.

    Parameters
    ----------
    axes, scene
        Where, and what.
    voices
        Peaks of the voices by id of the track, see `plot_timeline`.
    """
    voices = voices or {}
    people = list(scene.colors)
    for row, person in enumerate(people):
        _draw_truth(axes, scene, person, -row)
        _draw_estimate(axes, scene, person, -row, voices)
    names = list(scene.names.values())
    if ((scene.people == NOBODY) & scene.frames.tracks.speaking).any():
        _draw_estimate(axes, scene, NOBODY, -len(people), voices)
        names.append('nobody')
    _label_rows(axes, scene, names, 'voice' if voices else 'probability')
    if scene.frames.lost.any():
        mark_lost_images(axes, scene.frames)
        axes.set_title('hatched: images lost', loc='right', fontsize=10, color='0.45')
    axes.set_title('Who spoke', loc='left', fontsize=13, weight='bold')
    axes.set_xlabel('time [s]', fontsize=11)
    tidy(axes)
    axes.grid(axis='y', visible=False)
    axes.tick_params(axis='y', length=0)


def _label_rows(axes: Axes, scene: TimelineScene, names: list[str], lowest: str) -> None:
    """Write a row's name to its left and what its bars are to its right."""
    kinds = [(0.76, 'truth'), (0.53, 'estimate'), (0.2, lowest)][0 if scene.has_truth else 1 :]
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
    bars = spans_of(frames, frames.truth_frame[rows])
    color = unit(lighten(scene.colors[person], 0.55))
    axes.broken_barh(bars, (base + 0.66, 0.2), color=color, lw=0)


def _draw_estimate(
    axes: Axes,
    scene: TimelineScene,
    person: int,
    base: float,
    voices: Mapping[int, np.ndarray],
) -> None:
    """Draw what the tracks that stand for the person say.

    Bars are the speaking estimate; below them the probability is a filled curve, or the voice is
    a wave. Estimate and probability go on while a status is held.
    """
    loudest = max((float(peaks.max(initial=0.0)) for peaks in voices.values()), default=0.0)
    frames = scene.frames
    tracks = frames.tracks
    shown, shown_frame = frames.shown_rows
    for track_id in np.unique(tracks.id[scene.people == person]):
        own = (tracks.id[shown] == track_id) & (scene.people[shown] == person)
        rows = shown[own]
        frame = shown_frame[own]
        color = track_color(track_id)
        for run in runs_of(frame):
            if voices:
                peaks = voices.get(int(track_id), np.zeros(0))
                _draw_wave(
                    axes, frames.time_s[frame[run]], peaks / max(loudest, 1e-9), base, color
                )
                continue
            top = base + 0.36 * np.clip(tracks.speaking_probability[rows[run]], 0, 1)
            axes.fill_between(frames.time_s[frame[run]], base, top, color=color, alpha=0.35, lw=0)
        bars = spans_of(frames, frame[tracks.speaking[rows]])
        axes.broken_barh(bars, (base + 0.44, 0.2), color=color, lw=0)


def _draw_wave(axes: Axes, times: np.ndarray, peaks: np.ndarray, base: float, color) -> None:
    """Draw the voice of one track while it stands for the person; peaks of 1 fill the row."""
    first = int(times[0] / PEAK_STEP_S)
    part = peaks[first : int(times[-1] / PEAK_STEP_S) + 1]
    middle = base + 0.2
    place = PEAK_STEP_S * (first + 0.5 + np.arange(len(part)))
    axes.fill_between(place, middle - 0.18 * part, middle + 0.18 * part, color=color, lw=0)
