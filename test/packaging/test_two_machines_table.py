# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tables of two machines in the docs are what the benchmark wrote, of all that it does."""

from __future__ import annotations

import json

import pytest
import two_machines_table as tool
from page_tables import written

from av_perception.cli.benchmarks.two_machines import DISTANCES_M, QUALITIES
from av_perception.ros.two_machines.trials import TRIALS


def figures():
    return json.loads(tool.FIGURES.read_text(encoding='utf-8'))


@pytest.mark.parametrize('header', tool.TABLES)
def test_the_docs_show_the_figures_of_the_benchmark(header):
    page = tool.PAGE.read_text(encoding='utf-8')
    assert written(page, header) == tool.TABLES[header](figures())


def test_everything_that_is_done_is_in_the_table():
    assert [row['name'] for row in figures()['trials']] == [trial.name for trial in TRIALS]
    assert [row['quality'] for row in figures()['compression']] == [
        quality for _ in DISTANCES_M for quality in QUALITIES
    ]


def test_what_was_not_as_it_must_be_is_said_on_the_page():
    """A complaint in the figures is no secret: the page names the row below its tables."""
    page = tool.PAGE.read_text(encoding='utf-8')
    below = page[page.index('## What is not so good') :]
    for row in figures()['trials']:
        assert not row['complaints'] or f'`{row["name"]}`' in below, row['complaints']
