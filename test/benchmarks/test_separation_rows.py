# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of a long comparison are kept on disk, and only those of the same settings are taken."""

import json
import math
from dataclasses import replace

import pytest

from av_perception.benchmarks.separation_rows import KeptRows
from av_perception.benchmarks.separation_scores import SeparationRow
from av_perception.cli.main import main
from av_perception.cli.output import write_json
from av_perception.errors import UserError

SETTINGS = {'duration_s': 6.0, 'words': False}
METHODS = ['a', 'b', 'c']


def row(scene, method, gain=1.5):
    rest = (0.5, 3.0, 1.2, 0.8, 0.1, 0.25, 0.1, -20.0, 0.15, 12.0)
    return SeparationRow(scene, method, 2.0, gain, *rest)


def test_a_run_is_resumed_where_it_ended(tmp_path):
    path = tmp_path / 'rows.json'
    first = KeptRows(SETTINGS)
    first.read(path)
    first.add(row('room', 'a'), 0)
    first.add(row('room', 'b', gain=math.nan), 0)
    first.add(row('room', 'a', gain=7.0), 1)
    write_json(path, first.figures())

    again = KeptRows(SETTINGS)
    again.read(path)
    assert again.missing('room', 0, METHODS) == ['c']
    assert again.missing('room', 1, METHODS) == ['b', 'c']
    assert again.missing('hall', 0, METHODS) == METHODS
    assert again.of('room', 1, METHODS) == [row('room', 'a', gain=7.0)]
    found = again.of('room', 0, METHODS)
    assert found[0] == row('room', 'a') and math.isnan(found[1].gain_db)
    # Rows of other methods stay, whatever is measured now.
    again.add(row('room', 'c'), 0)
    assert len(again.figures()['rows']) == 4


def test_rows_from_before_a_figure_was_measured_are_taken(tmp_path):
    path = tmp_path / 'rows.json'
    kept = KeptRows(SETTINGS)
    kept.add(row('room', 'a'), 0)
    figures = kept.figures()
    for name in ('stoi_gain', 'num_words'):
        del figures['rows'][0][name]
    write_json(path, figures)
    again = KeptRows(SETTINGS)
    again.read(path)
    found = again.of('room', 0, METHODS)[0]
    assert math.isnan(found.num_words) and math.isnan(found.stoi_gain)
    assert replace(found, num_words=12.0, stoi_gain=0.15) == row('room', 'a')


def test_rows_of_other_settings_are_refused(tmp_path):
    path = tmp_path / 'rows.json'
    write_json(path, KeptRows(SETTINGS).figures())
    with pytest.raises(UserError, match=r'rows.json is of a run with .* name another file'):
        KeptRows({**SETTINGS, 'words': True}).read(path)


@pytest.mark.parametrize(
    'text', ['', 'nothing', '[]', '{"rows": []}', '{"settings": {}, "rows": [{"scene": "a"}]}']
)
def test_what_holds_no_rows_is_refused(tmp_path, text):
    path = tmp_path / 'rows.json'
    path.write_text(text)
    with pytest.raises(UserError, match='has no rows of this benchmark'):
        KeptRows(SETTINGS).read(path)


def test_a_row_cut_short_is_refused(tmp_path):
    path = tmp_path / 'rows.json'
    kept = KeptRows(SETTINGS)
    kept.add(row('room', 'a'), 0)
    figures = kept.figures()
    del figures['rows'][0]['pesq']
    path.write_text(json.dumps(figures))
    with pytest.raises(UserError, match='pesq'):
        KeptRows(SETTINGS).read(path)


def test_resuming_without_a_file_is_refused(capsys):
    assert main(['benchmark', 'separation', '--resume']) == 2
    assert '--resume needs --json' in capsys.readouterr().err
