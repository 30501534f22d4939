# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The notebook runs from its first cell to its last, and finds who is in the recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / 'examples' / 'first_steps.ipynb'


@pytest.mark.slow
def test_every_cell_of_the_notebook_runs(capsys):
    cells = json.loads(NOTEBOOK.read_text('utf-8'))['cells']
    names: dict = {}
    for cell in cells:
        if cell['cell_type'] == 'code':
            exec(''.join(cell['source']), names)
    assert sorted({int(i) for i in names['people'].id}) == [1, 2]
    assert names['scores'].mota > 0.9 and names['picture'].stat().st_size > 10_000
    assert 'ids [1, 2]' in capsys.readouterr().out


def test_the_notebook_is_kept_without_outputs():
    """Pictures of people and long diffs stay out of the repository."""
    cells = json.loads(NOTEBOOK.read_text('utf-8'))['cells']
    assert not [cell for cell in cells if cell.get('outputs')]
