# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Pictures of comparisons: colors that match between panels, and bars as long as their figure."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from av_perception.benchmarks.comparison_plots import path_colors
from av_perception.benchmarks.hearing_plot import plot_hearing
from av_perception.benchmarks.hearing_scores import METHODS, HearingRow
from av_perception.cli.localize import draw_directions
from av_perception.recording.mot_text import MotTable
from av_perception.visualization.colors import PALETTE


def walks(*rows: tuple[int, int, float]) -> MotTable:
    """Boxes of 20 pixels by (id, frames, left)."""
    frame = np.concatenate([np.arange(1, frames + 1) for _, frames, _ in rows])
    ids = np.concatenate([np.full(frames, track_id) for track_id, frames, _ in rows])
    left = np.concatenate([np.full(frames, left) for _, frames, left in rows])
    box = np.stack([left, np.full(len(left), 50.0), *np.full((2, len(left)), 20.0)], axis=1)
    return MotTable.of(frame, ids, box)


def test_an_id_has_the_color_of_the_person_it_follows():
    """Regression: colors were given in the order of ids, so no two panels agreed."""
    truth = walks((1, 50, 100.0), (2, 50, 300.0))
    tracks = walks((5, 50, 302.0), (9, 40, 99.0), (11, 10, 101.0), (12, 50, 500.0))
    assert path_colors(truth, truth) == {1: PALETTE[0], 2: PALETTE[1]}
    colors = path_colors(tracks, truth)
    assert colors[5] == PALETTE[1] and colors[9] == PALETTE[0]
    assert {colors[11], colors[12]} == {PALETTE[2], PALETTE[3]}, 'others look like nobody'
    assert path_colors(walks((3, 5, 500.0)), truth) == {3: PALETTE[2]}


def drawn(monkeypatch, draw) -> Figure:
    """The figure that is saved."""
    saved: list[Figure] = []
    monkeypatch.setattr(Figure, 'savefig', lambda figure, *_, **__: saved.append(figure))
    draw()
    return saved[0]


def test_a_bar_of_nothing_is_at_nothing(monkeypatch, tmp_path):
    """Regression: every bar was 0.8 % too long, so that those of 0 % could be seen."""
    shares = dict(zip(METHODS, (1.0, 0.5, 0.0, 0.25)))
    rows = [HearingRow('quiet', m, 4, s, 0.0, s, None, None, 0.1) for m, s in shares.items()]
    (axes,) = drawn(monkeypatch, lambda: plot_hearing(rows, tmp_path / 'a.png')).axes
    assert [bar.get_width() for bar in axes.patches] == [100.0, 50.0, 0.0, 25.0]
    assert [text.get_text() for text in axes.texts] == ['0']


def test_the_circle_of_directions_counts_as_the_table_does(monkeypatch, tmp_path):
    """Regression: what the table calls -90 degrees was 270 in the picture."""
    result = {'sources': [{'azimuth_deg': -90.0}], 'frames': [{'azimuth_deg': -91.0}]}
    (axes,) = drawn(monkeypatch, lambda: draw_directions(result, tmp_path / 'a.png')).axes
    labels = {
        round(float(np.degrees(tick)) + 180) % 360 - 180: label.get_text()
        for tick, label in zip(axes.get_xticks(), axes.get_xticklabels())
    }
    assert labels[-90] == '-90°' and labels[90] == '90°' and labels[0] == '0°'
    (spoke,) = axes.lines
    assert np.degrees(spoke.get_xdata()[0]) == -90.0
