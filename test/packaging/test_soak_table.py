# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The table of the long run in the docs is what the benchmark wrote, and nothing grew."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from av_perception.benchmarks.soak import LIMITS, growth

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('t', ROOT / 'tools' / 'soak_table.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docs_show_the_figures_of_the_benchmark(tool):
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    assert tool.written(tool.PAGE.read_text(encoding='utf-8')) == tool.table(figures)


def test_what_is_shown_is_what_was_read(tool):
    figures = json.loads(tool.FIGURES.read_text(encoding='utf-8'))
    for way in tool.WAYS:
        soak = figures[way]
        assert soak['complaints'] == [] and soak['minutes'] >= 60
        assert soak['sent'] == soak['answered'] + sum(soak['dropped'].values())
        for name, limit in LIMITS.items():
            assert growth(soak['readings'][name]) == pytest.approx(soak['growth'][name], abs=1e-3)
            assert soak['growth'][name] <= limit
