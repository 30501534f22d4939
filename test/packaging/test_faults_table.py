# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The table of faults in the docs is what the benchmark wrote, of the faults that there are."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

from av_perception.ros.faults.catalog import FAULTS
from av_perception.ros.faults.fault import FRAME_S, MAX_RECOVERY

ROOT = Path(__file__).resolve().parents[2]


def load_tool():
    spec = importlib.util.spec_from_file_location('t', ROOT / 'tools' / 'faults_table.py')
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


def figures():
    return json.loads(load_tool().FIGURES.read_text(encoding='utf-8'))


def test_the_docs_show_the_figures_of_the_benchmark():
    tool = load_tool()
    assert tool.written(tool.PAGE.read_text(encoding='utf-8')) == tool.table(figures())


def test_every_fault_is_in_the_table():
    assert {row['name'] for row in figures()['faults']} == {fault.name for fault in FAULTS}


def test_what_is_called_stood_is():
    by_name = {fault.name: fault for fault in FAULTS}
    for row in figures()['faults']:
        fault = by_name[row['name']]
        recovery_s = float('inf') if row['recovery_s'] is None else row['recovery_s']
        is_over = fault.setup == 'command' or recovery_s <= MAX_RECOVERY * FRAME_S
        is_told = bool(row['told']) or not fault.told
        is_kept = row['ids_kept'] is not False and (row['ids_kept'] is None) == (
            not fault.keeps_ids or fault.setup == 'command'
        )
        assert row['held'] == (row['survived'] and is_over and is_told and is_kept)
