# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Draws the moving picture of the front page: people from above, and who speaks.

python tools/moving_picture.py demo_output docs/people.gif
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from av_perception.recording import TrackTable, TruthTable
from av_perception.visualization.colors import color_of, unit

SECONDS = 14.0
FRAMES_PER_S = 5
REACH_M = 3.0
SIZE_INCHES = (5.2, 3.6)
DPI = 80


def draw(folder: Path, picture: Path) -> None:
    """Draw the tracks of a demo over its truth.

    Parameters
    ----------
    folder
        With tracks.csv and truth.csv: of `av-perception demo`, or a recording after `track`.
    picture
        The GIF to write.
    """
    tracks = TrackTable.read(folder / 'tracks.csv')
    truth = TruthTable.read(folder / 'truth.csv')
    figure = Figure(figsize=SIZE_INCHES, layout='constrained')
    axes = figure.add_subplot()

    def show(time_s: float) -> None:
        axes.clear()
        _room(axes, time_s)
        _true_places(axes, truth, time_s)
        _people(axes, tracks, time_s)

    times_s = np.arange(0.0, SECONDS, 1.0 / FRAMES_PER_S)
    moving = FuncAnimation(figure, show, frames=times_s)
    moving.save(picture, writer=PillowWriter(fps=FRAMES_PER_S), dpi=DPI)


def _room(axes, time_s: float) -> None:
    axes.set(xlim=(REACH_M * 0.85, -REACH_M * 0.85), ylim=(-0.35, REACH_M), aspect='equal')
    axes.set_xticks([])
    axes.set_yticks([])
    for radius in (1, 2, 3):
        axes.add_patch(Circle((0, 0), radius, fill=False, color='0.88'))
        axes.text(0, radius - 0.13, f'{radius} m', color='0.6', fontsize=7, ha='center')
    axes.plot(0, 0, marker='^', color='0.2', markersize=10)
    axes.text(0, -0.25, 'robot', fontsize=8, ha='center')
    axes.set_title(
        f'{time_s:4.1f} s   rings: truth, thick who speaks; dots: tracks', fontsize=9, loc='left'
    )


def _at(table: TrackTable | TruthTable, time_s: float) -> np.ndarray:
    """Select the rows of the image nearest to a time."""
    times = np.unique(table.time_s)
    return np.flatnonzero(table.time_s == times[np.argmin(np.abs(times - time_s))])


def _true_places(axes, truth: TruthTable, time_s: float) -> None:
    for row in _at(truth, time_s):
        x, y = truth.position[row, :2]
        width = 2.5 if truth.speaking[row] else 0.8
        axes.plot(y, x, 'o', markersize=19, fillstyle='none', color='0.35', markeredgewidth=width)


def _people(axes, tracks: TrackTable, time_s: float) -> None:
    for row in _at(tracks, time_s):
        if tracks.status[row] != 'active':
            continue
        x, y = tracks.position[row, :2]
        color = unit(color_of(int(tracks.id[row])))
        axes.plot(y, x, 'o', markersize=11, color=color)
        speaks = ' speaks' if tracks.speaking[row] else ''
        axes.annotate(
            f'{tracks.id[row]}{speaks}',
            (y, x),
            (12, 8),
            textcoords='offset points',
            fontsize=9,
            fontweight='bold' if speaks else 'normal',
        )


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit('usage: python tools/moving_picture.py demo_output people.gif')
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
