"""--json of every verb: refused before the work when it cannot be written, one line when writing fails, never NaN."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from av_perception.cli.main import main
from av_perception.cli.output import check_writable, write_json
from av_perception.errors import UserError

COMMANDS = (   # every input is wrong too: a verb that works first complains of something else
    ['demo', '--recording', 'nowhere', '-o', 'demo'],
    ['track', 'nowhere'],
    ['simulate', 'no_scene', '-o', 'rendered'],
    ['record', '-o', 'bag'],
    ['replay', 'nowhere'],
    ['doctor', '--head', 'toaster'],
    ['evaluate', 'nowhere.csv', 'nowhere'],
    ['evaluate', 'mot', '--detections', 'nowhere', '--truth', 'nowhere'],
    ['localize', 'nowhere'],
    ['calibrate', 'acoustic', '--head', 'toaster', '-o', 'map.npz'],
    ['calibrate', 'stereo', '--left', 'nowhere', '--right', 'nowhere', '--board', '9x6', '--square', '0.025', '-o', 'calibration'],
    ['benchmark', 'hearing', '--heads', 'toaster'],
    ['calibrate', 'microphones', 'nowhere', '-o', 'head.yaml'],
    ['benchmark', 'tracker', '--head', 'toaster'],
    ['benchmark', 'end-to-end', '--scene', 'no_scene'],
    ['benchmark', 'tracking', '--seeds', '0'],
    ['benchmark', 'noise', '--minutes', '0'],
    ['benchmark', 'scenes', '--scenes', 'no_scene'],
    ['benchmark', 'vision', '--head', 'toaster'],
    ['benchmark', 'clustering'],
    ['benchmark', 'modes', '--scenes', 'no_scene'],
    ['benchmark', 'microphone-calibration'],
)


@pytest.mark.parametrize('command', COMMANDS, ids=lambda c: ' '.join(c[:2]))
@pytest.mark.parametrize('target', ['missing/figures.json', 'a_file/figures.json', 'a_folder'])
def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(command, target, tmp_path, monkeypatch, capsys):
    """Regression: the verbs worked to the end and then died with a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('av_perception.ros.environment.prepare_environment', lambda *_, **__: pytest.fail('the work began'))
    (tmp_path / 'a_file').touch()
    (tmp_path / 'a_folder').mkdir()
    before = sorted(tmp_path.rglob('*'))
    assert main([*command, '--json', target]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith(f'av-perception: error: cannot write {target}: ')
    assert sorted(tmp_path.rglob('*')) == before, 'nothing was written'


def test_no_verb_writes_json_by_itself():
    """A new verb goes through the same helper."""
    folder = Path(main.__code__.co_filename).parent
    own = [p.name for p in folder.rglob('*.py') if p.name != 'output.py' and 'json.dump' in p.read_text(encoding='utf-8')]
    takers = [p for p in folder.rglob('*.py') if "'--json'" in p.read_text(encoding='utf-8')]
    assert own == [] and len(takers) == len(COMMANDS)
    assert all('check_writable(' in p.read_text(encoding='utf-8') and 'write_json(' in p.read_text(encoding='utf-8') for p in takers)


def test_the_check_touches_nothing_and_knows_folders_still_to_be_made(tmp_path):
    old = tmp_path / 'old.json'
    old.write_text('old')
    check_writable(None)
    check_writable(old)
    check_writable(tmp_path / 'new.json')
    check_writable(str(tmp_path / 'out' / 'figures.json'), made_folder=tmp_path / 'out')
    with pytest.raises(UserError, match='there is no folder'):
        check_writable(tmp_path / 'out' / 'deeper' / 'figures.json', made_folder=tmp_path / 'out')
    assert old.read_text() == 'old' and list(tmp_path.iterdir()) == [old]


def test_a_place_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: False)   # the superuser may write everywhere
    with pytest.raises(UserError, match='no permission'):
        check_writable(tmp_path / 'figures.json')


def test_a_failing_write_is_one_line(tmp_path):
    """Regression: a full disk or a folder gone meanwhile was a traceback."""
    with pytest.raises(UserError, match='cannot write .*No such file'):
        write_json(tmp_path / 'gone' / 'figures.json', {})
    if Path('/dev/full').exists():
        with pytest.raises(UserError, match='cannot write /dev/full: No space left'):
            write_json('/dev/full', {'a': 1})


def test_json_has_no_nan(tmp_path):
    figures = {'error': math.nan, 'rows': [(1.5, math.inf), {'x': -math.inf}], 3: True, 'word': 'é', 'none': None}
    write_json(tmp_path / 'figures.json', figures)
    text = (tmp_path / 'figures.json').read_text(encoding='utf-8')
    wanted = {'error': None, 'rows': [[1.5, None], {'x': None}], '3': True, 'word': 'é', 'none': None}
    assert json.loads(text, parse_constant=pytest.fail) == wanted
    assert text.endswith('}\n')
