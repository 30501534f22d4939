# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The table of the long run in the docs is what the benchmark wrote, and nothing grew."""

from __future__ import annotations

import json

import pytest
import soak_table as tool
from page_tables import written

from av_perception.benchmarks.soak import LIMITS, growth


def test_the_docs_show_the_figures_of_the_benchmark():
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    assert written(tool.PAGE.read_text(encoding='utf-8'), tool.HEADER) == tool.table(figures)


def test_what_is_shown_is_what_was_read():
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    for way in tool.WAYS:
        soak = figures[way]
        assert soak['complaints'] == [] and soak['minutes'] >= 60
        assert soak['sent'] == soak['answered'] + sum(soak['dropped'].values())
        for name, limit in LIMITS.items():
            assert growth(soak['readings'][name]) == pytest.approx(soak['growth'][name], abs=1e-3)
            assert soak['growth'][name] <= limit
