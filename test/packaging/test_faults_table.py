# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The table of faults in the docs is what the benchmark wrote, of the faults that there are."""

from __future__ import annotations

import json

import faults_table as tool
from page_tables import written

from av_perception.ros.faults.catalog import FAULTS
from av_perception.ros.faults.fault import FRAME_S, MAX_RECOVERY


def figures():
    return json.loads(tool.FIGURES.read_text(encoding='utf-8'))


def test_the_docs_show_the_figures_of_the_benchmark():
    assert written(tool.PAGE.read_text(encoding='utf-8'), tool.HEADER) == tool.table(figures())


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
