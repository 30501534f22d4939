# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`benchmark head-pose` on planted errors: what is refused, printed and written."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from av_perception.benchmarks.head_pose import Scores
from av_perception.cli.benchmarks import head_pose
from av_perception.cli.main import main


def fail(*arguments, **options):
    raise AssertionError('work began')


def test_a_negative_number_held_out_left_the_last_ones_out(tmp_path, monkeypatch, capsys):
    """Regression: `--held-out -1` silently measured everybody but the last talker."""
    monkeypatch.setattr(head_pose, 'FaceMesh', fail)
    words = ['--clips', str(tmp_path), '--held-out', '-1']
    assert main(['benchmark', 'head-pose', *words]) == 2
    assert '--held-out must not be negative; 0 holds everybody out' in capsys.readouterr().err


def test_without_data_the_option_is_named(monkeypatch, capsys):
    monkeypatch.delenv('AV_PERCEPTION_DATA', raising=False)
    assert main(['benchmark', 'head-pose']) == 2
    assert '--clips must name a folder with clips *.mpg of talkers' in capsys.readouterr().err


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Three talkers; one method with intervals, another one without and without profiles."""
    chosen = []

    def compete(everybody, held_out):
        chosen.append(held_out)
        still = np.radians([[10.0, -2.0, 0.0], [-20.0, 4.0, np.nan]])
        inside = [np.array([[True, True, False], [True, False, False]], float)]
        unknown = [np.full((2, 3), np.nan)]
        sure = Scores({'still': [still[:1], still[1:]], 'profiles': [2 * still]}, inside)
        return {'sure': sure, 'plain': Scores({'still': [still]}, unknown)}

    talkers = [SimpleNamespace(talker=name) for name in 'abc']
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(tmp_path))
    monkeypatch.setattr(head_pose, 'FaceMesh', lambda: None)
    monkeypatch.setattr(head_pose, 'load_talkers', lambda clips, mesh: talkers)
    monkeypatch.setattr(head_pose, 'look_at', lambda talker, mesh, seed: talker)
    monkeypatch.setattr(head_pose, 'compete', compete)
    monkeypatch.setattr(head_pose, 'load_head_pose_model', lambda: None)
    monkeypatch.setattr(head_pose, 'face_cost_ms', lambda talker, model, mesh: {'mesh': 1.25})
    monkeypatch.setattr(head_pose, '_node_share', lambda group: 0.21 if len(group) == 3 else None)
    return chosen


@pytest.mark.parametrize(
    'words, expected',
    [([], [0, 1, 2]), (['--held-out', '2'], [0, 1]), (['--held-out', '9'], [0, 1, 2])],
)
def test_so_many_are_held_out_as_asked(words, expected, planted, tmp_path):
    assert main(['benchmark', 'head-pose', '--clips', str(tmp_path), *words]) == 0
    assert planted == [expected]


def test_errors_are_means_of_magnitudes_and_the_unknown_is_a_dash(planted, tmp_path, capsys):
    figures = tmp_path / 'head_pose.json'
    words = ['--clips', str(tmp_path), '--json', str(figures)]
    assert main(['benchmark', 'head-pose', *words]) == 0
    output = capsys.readouterr().out
    rows = [line for line in output.splitlines() if line.split()[:1] in (['sure'], ['plain'])]
    assert '15.0 / 3.0 / 0.0' in rows[0] and '30.0 / 6.0 / 0.0' in rows[0]
    assert '15.0 / 3.0 / 0.0' in rows[1] and '- / - / -' in rows[1]
    assert rows[-1].split() == ['sure', '100', '50', '0'], 'only who has intervals is judged'
    assert 'ms of a face: mesh 1.25' in output
    assert '3 faces at 12.5 images a second, the node: 0.21 of a core' in output
    written = json.loads(figures.read_text())
    assert written['ms_per_face'] == {'mesh': 1.25} and written['node_share'] == 0.21
    assert written['methods']['sure']['mean_error_deg']['still'] == pytest.approx([15, 3, 0])
    assert written['methods']['plain']['covered'] == [None] * 3
