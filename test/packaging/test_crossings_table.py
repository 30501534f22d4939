# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The table of crossings in the docs is what the benchmark wrote."""

from __future__ import annotations

import json

import crossings_table as tool
from page_tables import written

from av_perception.simulation.crossings import CROSSINGS


def test_the_docs_show_the_figures_of_the_benchmark():
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    assert written(tool.PAGE.read_text(encoding='utf-8'), tool.HEADER) == tool.table(figures)
    assert {row['kind'] for row in figures['summary']} == {*CROSSINGS, 'all'}


def test_the_summary_is_the_mean_of_the_scenes():
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    for row in figures['summary']:
        group = [
            scene
            for scene in figures['scenes']
            if scene['tracker'] == row['tracker'] and row['kind'] in (scene['kind'], 'all')
        ]
        assert len(group) == row['scenes']
        for name in ('mota', 'idf1', 'ospa_m', 'switches_per_minute'):
            mean = sum(scene[name] for scene in group) / len(group)
            assert abs(mean - row[name]) < 1e-9
