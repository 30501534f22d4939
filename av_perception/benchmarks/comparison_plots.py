# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a comparison of trackers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.benchmarks.comparison import GNN, OURS, TRACKERS, BoxSpace
from av_perception.geometry.boxes import centers
from av_perception.recording.mot_text import MotTable
from av_perception.robot_head.profile import HeadProfile
from av_perception.simulation.box_scenes import BoxScene, BoxSceneConfig
from av_perception.visualization.colors import PALETTE, Color, unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIGURES = (
    ('id_switches_per_minute', 'id switches a minute'),
    ('ospa', 'OSPA'),
    ('median_ms', 'median time of a step [ms]'),
)
_OSPA_UNITS = {'boxes': ' [px]', 'positions': ' [m]'}
_PIECE_GAP = 1  # a line breaks where a track is absent for more frames


def plot_figures(results: list[dict], path: str | Path) -> None:
    """Draw one dot per scene and tracker, and a bar at the mean; less is better everywhere.

    Parameters
    ----------
    results
        Results of `tracking.measure` as dictionaries; a row of panels per space.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    spaces = list(dict.fromkeys(result['space'] for result in results))
    figure = Figure(figsize=(13, 2.2 + 1.9 * len(spaces)), layout='constrained')
    for row, space in zip(figure.subplots(len(spaces), len(_FIGURES), squeeze=False), spaces):
        of_space = [result for result in results if result['space'] == space]
        for axes, (key, title) in zip(row, _FIGURES):
            _draw_bars(axes, of_space, key)
            labels = reversed(TRACKERS) if axes is row[0] else [''] * len(TRACKERS)
            axes.set_yticks(range(len(TRACKERS)), labels)
            suffix = _OSPA_UNITS[space] if key == 'ospa' else ''
            axes.set_title(f'{space}: {title}{suffix}', loc='left', fontsize=10)
    figure.savefig(path, dpi=110)


def _draw_bars(axes: Axes, results: list[dict], key: str) -> None:
    """Draw the figure `key` of all trackers."""
    for place, tracker in enumerate(reversed(TRACKERS)):
        values = np.array([r[key] for r in results if r['tracker'] == tracker])
        color = unit(PALETTE[TRACKERS.index(tracker)])
        offsets = np.linspace(-0.22, 0.22, len(values))
        axes.barh(place, values.mean(), color=color, alpha=0.3, height=0.7)
        axes.plot(values, place + offsets, 'o', ms=4, color=color)
        axes.text(values.max(), place, f'   {values.mean():.3g}', va='center', fontsize=9)
    axes.margins(x=0.2)
    axes.set_xlim(0, None)
    axes.grid(axis='x', alpha=0.3)
    axes.spines[['top', 'right']].set_visible(False)


def plot_tracks(
    scene: BoxScene, config: BoxSceneConfig, head: HeadProfile, path: str | Path
) -> None:
    """Draw the horizontal places of everybody over time, by the truth, by this tracker and by GNN.

    Parameters
    ----------
    scene
        Its detections are drawn too. A color is an id: that which covered a person best has the
        person's color in the truth, all others have other colors.
    config
        What the scene was made from.
    head
        The head whose camera sees it.
    path
        File to write (png, svg, pdf).
    """
    from matplotlib.figure import Figure

    space = BoxSpace(config, head)
    panels = {'truth': scene.truth, **{name: space.run(name, scene)[0] for name in (OURS, GNN)}}
    figure = Figure(figsize=(13, 9), layout='constrained')
    for axes, (name, table) in zip(figure.subplots(len(panels), 1, sharex=True), panels.items()):
        _draw_paths(axes, scene, table, path_colors(table, scene.truth))
        count = len(np.unique(table.id))
        what = 'people' if name == 'truth' else 'ids'
        axes.set_title(f'{name}: {count} {what}', loc='left', fontsize=11)
    figure.axes[-1].set_xlabel('time [s]; gray: detections')
    figure.savefig(path, dpi=100)


def path_colors(table: MotTable, truth: MotTable) -> dict[int, Color]:
    """Choose a color for each id of a table.

    Parameters
    ----------
    table
        Of the truth itself, or of a tracker.
    truth
        Whose people have the first colors of the palette, in the order of their ids.

    Returns
    -------
    dict
        Id -> color: the person's for the one id that covered them longest (center within half a
        width of the person's), the next ones of the palette for the others.
    """
    people = np.unique(truth.id).tolist()
    ids = np.unique(table.id).tolist()
    covered = np.array([[_frames_covered(table, i, truth, p) for i in ids] for p in people])
    person_of = {
        ids[column]: row
        for row, column in zip(*linear_sum_assignment(-covered.reshape(len(people), len(ids))))
        if covered[row, column] > 0
    }
    others = [track_id for track_id in ids if track_id not in person_of]
    free = PALETTE[len(people) :] or PALETTE
    colors = {track_id: free[order % len(free)] for order, track_id in enumerate(others)}
    return colors | {i: PALETTE[row % len(PALETTE)] for i, row in person_of.items()}


def _frames_covered(table: MotTable, track_id: int, truth: MotTable, person: int) -> int:
    """Count the frames in which a track is where a person is."""
    own = table.take(table.id == track_id)
    true = truth.take(truth.id == person)
    _, rows, true_rows = np.intersect1d(own.frame, true.frame, return_indices=True)
    apart = np.abs(centers(own.box[rows]) - centers(true.box[true_rows]))
    return int((apart <= 0.5 * true.box[true_rows, 2:3]).all(axis=1).sum())


def _draw_paths(axes: Axes, scene: BoxScene, table: MotTable, colors: Mapping[int, Color]) -> None:
    """Draw the tracks of a table over the detections."""
    rate = scene.info.frame_rate
    detections = scene.detections
    axes.plot(detections.frame / rate, _across(detections), '.', ms=2, color='0.8', zorder=0)
    for track_id, color in sorted(colors.items()):
        rows = table.take(table.id == track_id)
        gaps = np.append(np.inf, np.diff(rows.frame))
        across = np.where(gaps > _PIECE_GAP, np.nan, _across(rows))
        axes.plot(rows.frame / rate, across, lw=2.2, color=unit(color))
    axes.set(ylim=(0, scene.info.width), ylabel='across the image [px]')
    axes.spines[['top', 'right']].set_visible(False)


def _across(table: MotTable) -> np.ndarray:
    """(B,) horizontal centers [px]."""
    return table.box[:, 0] + table.box[:, 2] / 2
