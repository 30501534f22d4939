# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the picture of the comparison of separation methods shows, read from its bars."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib.figure import Figure

from av_perception.benchmarks.separation_methods import METHODS as ALL_METHODS
from av_perception.benchmarks.separation_plot import plot_separation
from av_perception.benchmarks.separation_scores import SeparationRow

METHODS = ('best microphone', 'masks', 'wiener')


def row(scene, method, gain_db):
    rest = dict.fromkeys(('si_sdr_db', 'least_gain_db', 'sdr_db', 'pesq', 'stoi', 'cpu'), -99.0)
    return SeparationRow(scene=scene, method=method, gain_db=gain_db, **rest)


@pytest.fixture
def axes_of(monkeypatch, tmp_path):
    """Draws rows; gives the axes."""
    figures = []
    monkeypatch.setattr(Figure, 'savefig', lambda self, path, **options: figures.append(self))

    def draw(rows):
        plot_separation(rows, tmp_path / 'p.png')
        return figures[-1].axes[0]

    return draw


def bars_of(axes):
    """Methods, and for each the widths and the middles of its bars."""
    names = [bars.get_label() for bars in axes.containers]
    widths = [[bar.get_width() for bar in bars] for bars in axes.containers]
    middles = [[bar.get_y() + bar.get_height() / 2 for bar in bars] for bars in axes.containers]
    return names, np.array(widths), np.array(middles)


def test_bars_are_mean_gains_of_each_scene_and_method(axes_of):
    rows = []
    for seed in (0, 1):
        for s, scene in enumerate(('near', 'far')):
            rows += [row(scene, name, 10 * s + m + seed) for m, name in enumerate(METHODS)]
    names, widths, middles = bars_of(axes_of(rows))
    assert names == ['masks', 'wiener'], 'the first is what gains are against'
    np.testing.assert_allclose(widths, [[1.5, 11.5], [2.5, 12.5]])
    np.testing.assert_allclose(middles.mean(axis=0), [0, 1], atol=1e-9)


def test_bars_of_a_scene_do_not_overlap_and_scenes_read_from_the_top(axes_of):
    rows = [row(s, m, 1.0) for s in ('a', 'b', 'c') for m in METHODS]
    axes = axes_of(rows)
    assert [label.get_text() for label in axes.get_yticklabels()] == ['a', 'b', 'c']
    assert axes.yaxis_inverted()
    spans = sorted(
        (bar.get_y(), bar.get_y() + bar.get_height()) for bars in axes.containers for bar in bars
    )
    assert all(end < start for (_, end), (start, _) in zip(spans[:-1], spans[1:]))


def test_a_method_that_does_not_work_on_a_scene_has_no_bar_there(axes_of):
    rows = [row(s, m, 2.0) for s in ('a', 'b') for m in METHODS[:2]]
    rows.append(row('b', 'wiener', -3.0))
    rows.append(row('a', 'masks', float('nan')))
    _, widths, _ = bars_of(axes_of(rows))
    np.testing.assert_array_equal(widths, [[np.nan, 2.0], [np.nan, -3.0]])


def test_a_reference_alone_has_no_bars_and_no_legend(axes_of):
    """Regression: a legend of nothing was drawn, with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        axes = axes_of([row('a', METHODS[0], 0.0)])
    assert not axes.containers and not axes.figure.legends


def test_no_two_of_all_methods_look_the_same(axes_of):
    """Regression: ten colors were repeated for eighteen methods."""
    axes = axes_of([row('a', method, 1.0) for method in ALL_METHODS])
    looks = [(bars[0].get_facecolor(), bars[0].get_hatch()) for bars in axes.containers]
    assert len(looks) == len(ALL_METHODS) - 1
    assert len(set(looks)) == len(looks) == len({color for color, _ in looks})


@pytest.mark.parametrize('ending', ['png', 'svg', 'pdf'])
def test_a_file_of_the_kind_that_its_name_says_is_written(tmp_path, ending):
    path = tmp_path / f'p.{ending}'
    plot_separation([row('a', method, 1.0) for method in METHODS], path)
    start = {'png': b'\x89PNG', 'svg': b'<?xml', 'pdf': b'%PDF'}[ending]
    assert path.read_bytes().startswith(start)
