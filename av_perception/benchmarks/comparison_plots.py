# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a comparison of trackers."""

from __future__ import annotations

import numpy as np

from av_perception.benchmarks.comparison import GNN, OURS, TRACKERS, box_space
from av_perception.recording.mot_text import MotTable
from av_perception.robot_head.profile import HeadProfile
from av_perception.simulation.box_scenes import BoxScene, BoxSceneConfig
from av_perception.visualization.colors import PALETTE, unit

_FIGURES = (
    ('id_switches_per_minute', 'id switches a minute'),
    ('ospa', 'OSPA'),
    ('median_ms', 'median time of a step [ms]'),
)
_PIECE_GAP = 1  # a line breaks where a track is absent for more frames


def plot_figures(results: list[dict], path) -> None:
    """One dot per scene and tracker, a bar at the mean; boxes above, positions below; less is better everywhere."""
    from matplotlib.figure import Figure

    spaces = list(dict.fromkeys(result['space'] for result in results))
    figure = Figure(figsize=(13, 2.2 + 1.9 * len(spaces)), layout='constrained')
    for row, space in zip(figure.subplots(len(spaces), len(_FIGURES), squeeze=False), spaces):
        for axes, (key, title) in zip(row, _FIGURES):
            for place, tracker in enumerate(reversed(TRACKERS)):
                values = np.array(
                    [r[key] for r in results if r['space'] == space and r['tracker'] == tracker]
                )
                color = unit(PALETTE[TRACKERS.index(tracker)])
                axes.barh(place, values.mean(), color=color, alpha=0.3, height=0.7)
                axes.plot(
                    values, place + np.linspace(-0.22, 0.22, len(values)), 'o', ms=4, color=color
                )
                axes.text(values.max(), place, f'   {values.mean():.3g}', va='center', fontsize=9)
            axes.set_yticks(
                range(len(TRACKERS)),
                reversed(TRACKERS) if axes is row[0] else [''] * len(TRACKERS),
            )
            suffix = {'boxes': ' [px]', 'positions': ' [m]'}[space] if key == 'ospa' else ''
            axes.set_title(f'{space}: {title}{suffix}', loc='left', fontsize=10)
            axes.margins(x=0.2)
            axes.set_xlim(0, None)
            axes.grid(axis='x', alpha=0.3)
            for side in ('top', 'right'):
                axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=110)


def plot_tracks(scene: BoxScene, config: BoxSceneConfig, head: HeadProfile, path) -> None:
    """Horizontal place of everybody over time: by truth, by this tracker and by GNN, over the detections. A colour is an id."""
    from matplotlib.figure import Figure

    space = box_space(config, head)
    panels = {'truth': scene.truth, **{name: space.run(name, scene)[0] for name in (OURS, GNN)}}
    figure = Figure(figsize=(13, 9), layout='constrained')
    for axes, (name, table) in zip(figure.subplots(len(panels), 1, sharex=True), panels.items()):
        axes.plot(
            scene.detections.frame / scene.info.frame_rate,
            _across(scene.detections),
            '.',
            ms=2,
            color='0.8',
            zorder=0,
        )
        ids = np.unique(table.id)
        for order, track_id in enumerate(ids.tolist()):
            rows = table.take(table.id == track_id)
            across = np.where(
                np.append(np.inf, np.diff(rows.frame)) > _PIECE_GAP, np.nan, _across(rows)
            )
            axes.plot(
                rows.frame / scene.info.frame_rate,
                across,
                lw=2.2,
                color=unit(PALETTE[order % len(PALETTE)]),
            )
        axes.set_title(
            f'{name}: {len(ids)} {"people" if name == "truth" else "ids"}', loc='left', fontsize=11
        )
        axes.set(ylim=(0, scene.info.width), ylabel='across the image [px]')
        for side in ('top', 'right'):
            axes.spines[side].set_visible(False)
    axes.set_xlabel('time [s]; grey: detections')
    figure.savefig(path, dpi=100)


def _across(table: MotTable) -> np.ndarray:
    return table.box[:, 0] + table.box[:, 2] / 2
