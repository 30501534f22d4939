# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""--json of every verb: refused before the work, one line when writing fails, never NaN."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import av_perception.ros
from av_perception import paths
from av_perception.cli.main import VERBS, main
from av_perception.cli.output import check_picture, check_writable, write_json
from av_perception.errors import UserError
from av_perception.paths import cache_directory
from av_perception.ros.bringup.environment import prepare_environment

COMMANDS = (  # every input is wrong too: a verb that works first complains of something else
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
    [
        'calibrate',
        'stereo',
        '--left',
        'nowhere',
        '--right',
        'nowhere',
        '--board',
        '9x6',
        '--square',
        '0.025',
        '-o',
        'calibration',
    ],
    ['benchmark', 'hearing', '--heads', 'toaster'],
    ['calibrate', 'microphones', 'nowhere', '-o', 'head.yaml'],
    ['benchmark', 'tracker', '--head', 'toaster'],
    ['benchmark', 'end-to-end', '--scene', 'no_scene'],
    ['benchmark', 'tracking', '--seeds', '0'],
    ['benchmark', 'noise', '--minutes', '0'],
    ['benchmark', 'diarization', '--scenes', 'no_scene'],
    ['benchmark', 'scenes', '--scenes', 'no_scene'],
    ['benchmark', 'vision', '--head', 'toaster'],
    ['benchmark', 'clustering'],
    ['benchmark', 'modes', '--scenes', 'no_scene'],
    ['benchmark', 'microphone-calibration'],
    ['separate', 'nowhere', '--people', '2', '-o', 'voices'],
    ['benchmark', 'separation', '--quick'],
    ['benchmark', 'appearance'],
    ['benchmark', 'attention'],
    ['benchmark', 'crossings'],
    ['benchmark', 'head-pose'],
    ['benchmark', 'enhancement'],
    ['benchmark', 'crossing-voices', '--seeds', '0'],
    ['benchmark', 'speech-priors'],
    ['benchmark', 'face-search', '--scenes', 'no_scene'],
    ['benchmark', 'box-errors', '--people', 'no_picture'],
    ['benchmark', 'motion', '--seeds', '0'],
    ['benchmark', 'av-enhancement'],
    ['benchmark', 'faults', '--only', 'no-such-fault'],
    ['benchmark', 'lips'],
    ['benchmark', 'soak', '--minutes', '0'],
    ['benchmark', 'two-machines', '--only', 'no-such-network'],
    ['enhance', 'nowhere', '-o', 'clear.wav'],
    ['sample', '-o', 'missing/sample'],
    ['train', 'speech-prior', 'nowhere', '-o', 'prior.npz'],
    ['train', 'motion', 'nowhere', '-o', 'motion.npz'],
    ['train', 'paths', '-o', 'paths.npz', '--seeds', '0'],
    ['train', 'lips', 'nowhere', '-o', 'lips.npz', '--prior', 'nowhere'],
)


@pytest.fixture(scope='module')
def all_imported():
    """Whoever takes a name from another module has it before a test puts another in its place."""
    for found in pkgutil.walk_packages(av_perception.ros.__path__, 'av_perception.ros.'):
        with contextlib.suppress(ImportError):
            importlib.import_module(found.name)


@pytest.mark.usefixtures('all_imported')
@pytest.mark.parametrize('command', COMMANDS, ids=lambda c: ' '.join(c[:2]))
@pytest.mark.parametrize('target', ['missing/figures.json', 'a_file/figures.json', 'a_folder'])
def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(
    command, target, tmp_path, monkeypatch, capsys
):
    """Regression: the verbs worked to the end and then died with a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        'av_perception.ros.bringup.environment.prepare_environment',
        lambda *_, **__: pytest.fail('the work began'),
    )
    (tmp_path / 'a_file').touch()
    (tmp_path / 'a_folder').mkdir()
    before = sorted(tmp_path.rglob('*'))
    assert main([*command, '--json', target]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f'av-perception: error: cannot write {target}: ')
    assert sorted(tmp_path.rglob('*')) == before, 'nothing was written'


# The helper, and what processes tell each other.
BETWEEN_PROCESSES = {'output.py', 'job_process.py'}


def test_no_verb_writes_json_by_itself():
    """A new verb goes through the same helper."""
    folder = Path(main.__code__.co_filename).parent
    own = [
        p.name
        for p in folder.rglob('*.py')
        if p.name not in BETWEEN_PROCESSES and 'json.dump' in p.read_text(encoding='utf-8')
    ]
    takers = [p for p in folder.rglob('*.py') if "'--json'" in p.read_text(encoding='utf-8')]
    assert own == [] and len(takers) == len(COMMANDS)
    assert all(
        'check_writable(' in p.read_text(encoding='utf-8')
        and 'write_json(' in p.read_text(encoding='utf-8')
        for p in takers
    )


# Verbs that go on until Ctrl-C, or write a policy, and have no figures.
WITHOUT_FIGURES = {'up', 'view', 'security'}


def test_every_verb_with_figures_writes_them():
    verbs = {' '.join(c[:2]) if c[0] in ('train', 'evaluate') else c[0] for c in COMMANDS}
    assert verbs >= {'evaluate mot', 'train motion', 'train paths', 'train lips'}
    assert {verb.split()[0] for verb in verbs} | WITHOUT_FIGURES == {v.split()[0] for v in VERBS}


def test_every_verb_that_draws_checks_the_name_of_its_picture():
    folder = Path(main.__code__.co_filename).parent
    texts = {p.name: p.read_text(encoding='utf-8') for p in folder.rglob('*.py')}
    names = ("'--plot'", "'--timeline'", "'--picture'")
    drawing = {name for name, text in texts.items() if any(n in text for n in names)}
    assert drawing >= {'track.py', 'localize.py', 'evaluate.py', 'tracking.py'}
    assert [n for n in sorted(drawing) if 'check_picture(' not in texts[n]] == []


def test_a_picture_of_no_known_kind_is_refused(tmp_path):
    """Regression: the ending was refused after the work, by a traceback, or not at all."""
    check_picture(None)
    check_picture(tmp_path / 'tracks.PNG')
    check_picture(tmp_path / 'out' / 'tracks.svg', made_folder=tmp_path / 'out')
    with pytest.raises(UserError, match=r'name it \.png, \.svg or \.pdf'):
        check_picture(tmp_path / 'tracks.bmp')
    with pytest.raises(UserError, match='there is no folder'):
        check_picture(tmp_path / 'missing' / 'tracks.png')


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
    # The superuser may write everywhere.
    monkeypatch.setattr(os, 'access', lambda path, mode: False)
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
    figures = {
        'error': math.nan,
        'rows': [(1.5, math.inf), {'x': -math.inf}],
        3: True,
        'word': 'é',
        'none': None,
    }
    write_json(tmp_path / 'figures.json', figures)
    text = (tmp_path / 'figures.json').read_text(encoding='utf-8')
    wanted = {
        'error': None,
        'rows': [[1.5, None], {'x': None}],
        '3': True,
        'word': 'é',
        'none': None,
    }
    assert json.loads(text, parse_constant=pytest.fail) == wanted
    assert text.endswith('}\n')


# ---- what a person's environment may be


def run_command(*arguments, output=subprocess.PIPE, **environment):
    """The command as a person starts it, with (None: without) some environment variables."""
    merged = {**os.environ, **environment}
    merged = {name: value for name, value in merged.items() if value is not None}
    return subprocess.run(
        [sys.executable, '-m', 'av_perception.cli.main', *map(str, arguments)],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env=merged,
        timeout=300,
    )


@pytest.fixture()
def sound(tmp_path):
    # Bursts of noise from straight above, which reaches all microphones alike.
    random = np.random.default_rng(2)
    bursts = np.repeat([0.001, 0.2] * 4, 4000)
    heard = (bursts * random.standard_normal(32000))[:, None]
    samples = heard + 1e-4 * random.standard_normal((32000, 4))
    soundfile.write(str(tmp_path / 'four.wav'), samples.clip(-1, 1), 16000)
    return tmp_path / 'four.wav'


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full here')
@pytest.mark.parametrize(
    'arguments', [['doctor', '--head', 'respeaker'], ['localize', 'SOUND', '--head', 'respeaker']]
)
def test_a_full_disk_is_one_line(arguments, sound):
    with open('/dev/full', 'w') as full:
        done = run_command(
            *(sound if word == 'SOUND' else word for word in arguments), output=full
        )
    lines = [line for line in done.stderr.splitlines() if not line.startswith('problem: ')]
    assert done.returncode == 2 and len(lines) == 1 and 'No space left' in lines[0]


@pytest.mark.slow
def test_without_a_cache_the_command_goes_on_with_one_warning(sound, tmp_path):
    environment = {'HOME': '/dev/null/x', 'XDG_CACHE_HOME': None, 'AV_PERCEPTION_CACHE': None}
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    done = run_command(
        'localize', sound, '--head', 'respeaker', TMPDIR=str(temporary), **environment
    )
    warnings = [line for line in done.stderr.splitlines() if 'warning' in line]
    assert 'Traceback' not in done.stderr and len(warnings) == 1
    assert 'the cache cannot be written' in warnings[0]
    assert not list(temporary.iterdir()), 'what it kept meanwhile is gone'


def test_a_cache_that_is_a_file_is_told_once(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(paths, '_own_caches', [])
    (tmp_path / 'file').write_text('mine')
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path / 'file'))
    folder = cache_directory()
    assert folder.is_dir() and cache_directory() == folder
    assert capsys.readouterr().err.count('warning') == 1
    assert (tmp_path / 'file').read_text() == 'mine'
    folder.rmdir()


def test_an_empty_cache_variable_is_none(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('AV_PERCEPTION_CACHE', '')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    assert cache_directory() == tmp_path / 'cache' / 'av_perception'


def test_logs_move_where_ros_cannot_write_its_own():
    environment = {'HOME': '/dev/null/x'}
    prepare_environment(environment)
    assert Path(environment['ROS_LOG_DIR']).parent == Path(tempfile.gettempdir())
    kept = prepare_environment({'HOME': tempfile.gettempdir()})
    assert 'ROS_LOG_DIR' not in kept
