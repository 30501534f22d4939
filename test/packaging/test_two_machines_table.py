# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of two machines in the docs are what the benchmark wrote, of all that it does."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from av_perception.cli.benchmarks.two_machines import DISTANCES_M, QUALITIES
from av_perception.ros.two_machines.trials import TRIALS

ROOT = Path(__file__).resolve().parents[2]


def load_tool():
    path = ROOT / 'tools' / 'two_machines_table.py'
    spec = importlib.util.spec_from_file_location('two_machines_table', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


TOOL = load_tool()


def figures():
    return json.loads(TOOL.FIGURES.read_text(encoding='utf-8'))


@pytest.mark.parametrize('header', TOOL.TABLES)
def test_the_docs_show_the_figures_of_the_benchmark(header):
    page = TOOL.PAGE.read_text(encoding='utf-8')
    assert TOOL.written(page, header) == TOOL.TABLES[header](figures())


def test_everything_that_is_done_is_in_the_table():
    assert [row['name'] for row in figures()['trials']] == [trial.name for trial in TRIALS]
    assert [row['quality'] for row in figures()['compression']] == [
        quality for _ in DISTANCES_M for quality in QUALITIES
    ]


def test_what_was_not_as_it_must_be_is_said_on_the_page():
    """A complaint in the figures is no secret: the page names the row below its tables."""
    page = TOOL.PAGE.read_text(encoding='utf-8')
    below = page[page.index('## What is not so good') :]
    for row in figures()['trials']:
        assert not row['complaints'] or f'`{row["name"]}`' in below, row['complaints']
