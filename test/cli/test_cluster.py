# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs on folders, worked on by a cluster: two workers of this machine, real ones."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from av_perception.cli import cluster, job_process, many
from av_perception.cli.enhance import run
from av_perception.cli.main import build_parser, main

RATE = 16000
NAMES = ('one', 'night/two', 'three')


@pytest.fixture(scope='module')
def address():
    """The address of a scheduler with two workers."""
    distributed = pytest.importorskip('distributed', reason='Dask (extra cluster) is absent')
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as local:
        yield local.scheduler_address


@pytest.fixture
def sounds(tmp_path, monkeypatch):
    """Three sounds of half a second, and a damaged one."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for name in NAMES:
        path = Path('all', f'{name}.wav')
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * random.normal(size=RATE // 2), RATE)
    Path('all', 'damaged.wav').write_bytes(Path('all', 'one.wav').read_bytes()[:20])
    return tmp_path


def entries():
    return {e['recording']: e for e in json.loads(Path('all.json').read_text())['recordings']}


@pytest.mark.slow
def test_a_cluster_makes_the_same_files_and_a_damaged_one_ends_no_other(address, sounds, capsys):
    words = ['enhance', 'all', '--prior', 'none', '--json', 'all.json']
    given = [*words, '-o', 'far', '--cluster', address]
    assert main(given) == 1
    output, error = capsys.readouterr()
    assert error == '' and '4 recordings: 3 done, 0 left as it was, 1 failed' in output
    far = entries()
    assert 'damaged.wav is not a readable sound file' in far['damaged']['error']
    for name in NAMES:
        made = Path('far', f'{name}.wav')
        assert main(['enhance', f'all/{name}.wav', '--prior', 'none', '-o', 'alone.wav']) == 0
        assert far[name]['figures'] and made.read_bytes() == Path('alone.wav').read_bytes()
        assert made.stat().st_mode & 0o077 == 0, 'for its user only'
    assert main([*given, '--resume']) == 1
    assert '0 done, 3 left as it was, 1 failed' in capsys.readouterr().out
    os.utime(Path('all', 'one.wav'))
    assert main([*given, '--resume']) == 1
    assert {name for name, entry in entries().items() if entry['state'] == 'done'} == {'one'}


def test_a_worker_that_cannot_do_the_work_is_named_before_it(address, sounds, capsys, monkeypatch):
    words = ['enhance', 'all', '--prior', 'none', '-o', 'far', '--cluster', address]
    for told, changed in (
        (f'version {cluster.__version__} of av_perception, here is 9.9', {'__version__': '9.9'}),
        ('does not see', {'Path': FarPath}),
    ):
        with monkeypatch.context() as patched:
            for name, value in changed.items():
                patched.setattr(cluster, name, value)
            assert main(words) == 2
        error = capsys.readouterr().err
        assert told in error and error.count('\n') == 1 and 'worker' in error
    assert list(Path('far').rglob('*.wav')) == []


class FarPath:
    """A machine whose folders are not those of the workers."""

    @staticmethod
    def cwd():
        return Path('/a/folder/that/workers/lack')


@pytest.mark.parametrize(
    'words, told',
    [
        ('--cluster tcp://127.0.0.1:9', 'no Dask scheduler answers at tcp://127.0.0.1:9'),
        ('--cluster nonsense://a:1', 'no Dask scheduler answers at nonsense://a:1'),
        ('--cluster tcp://a', "needs the address of a scheduler, tcp://HOST:8786: 'tcp://a'"),
        ('--cluster é:1', "needs the address of a scheduler, tcp://HOST:8786: 'é:1'"),
        ('--cluster=', "needs the address of a scheduler, tcp://HOST:8786: ''"),
        ('--cluster tcp://127.0.0.1:9 --jobs 2', '--jobs is for this machine'),
    ],
)
def test_a_mistake_is_one_line(sounds, capsys, monkeypatch, words, told):
    pytest.importorskip('distributed', reason='Dask (extra cluster) is absent')
    monkeypatch.setattr(cluster, 'CONNECT_S', 1.0)
    assert main(['enhance', 'all', '--prior', 'none', '-o', 'far', *words.split()]) == 2
    error = capsys.readouterr().err
    assert error.startswith('av-perception: error: ') and told in error and error.count('\n') == 1


def test_without_dask_it_says_what_to_install(sounds, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    words = ['enhance', 'all', '-o', 'far', '--cluster', 'tcp://127.0.0.1:8786']
    assert main(words) == 2
    assert "pip install 'av_perception[cluster]'" in capsys.readouterr().err


def test_files_that_a_worker_does_not_see_are_named(tmp_path):
    answer = cluster.work('', [str(tmp_path / 'absent.wav')])
    assert 'does not see' in answer['error'] and 'absent.wav' in answer['error']
    absent = str(tmp_path / 'absent.wav')
    assert cluster.look(str(tmp_path), [absent])['unseen'] == [absent]
    assert cluster.look(str(tmp_path), [])['unseen'] == []


def test_an_output_that_is_not_here_is_told(tmp_path, monkeypatch, capsys):
    pytest.importorskip('distributed', reason='Dask (extra cluster) is absent')

    def elsewhere(address, tasks, on_answer):
        for number in tasks:
            on_answer(number, {'figures': {'figure': 3}})

    monkeypatch.setattr(many, 'work_on_cluster', elsewhere)
    options = argparse.Namespace(jobs=1, cluster='tcp://a:1', json=tmp_path / 'all.json')
    here = tmp_path / 'here.csv'
    here.touch()
    jobs = [many.Job(p.stem, argparse.Namespace(), (), p) for p in (here, tmp_path / 'far.csv')]
    assert many.run_many(jobs, options, {}) == 1
    monkeypatch.chdir(tmp_path)
    assert 'not to be seen from here' in entries()['far']['error']
    assert entries()['here']['state'] == 'done'


def test_a_task_survives_as_text():
    given = argparse.Namespace(run=run, a=Path('b/c'), many=[Path('d'), 1], n=None, x=0.5, s='é\n')
    options, folder = job_process.options_of(job_process.text_of(given, Path('/data')))
    assert options == given and folder == '/data'


@pytest.mark.parametrize(
    'words',
    [
        'track all -o out --plot a.png --cluster tcp://a:1',
        'evaluate all --tracks out --match-distance 0.5 --cluster tcp://a:1',
        'enhance all -o out --prior none --iterations 3 --cluster tcp://a:1',
        'separate all -o out --directions 30 -60 --cluster tcp://a:1',
    ],
)
def test_the_options_of_every_verb_survive_as_text(words):
    options = build_parser(words.split()[0]).parse_args(words.split())
    again, _ = job_process.options_of(job_process.text_of(options, Path('/data')))
    assert again == options


def test_a_task_names_a_function_of_the_package_alone():
    text = json.dumps({'run': 'os:system', 'folder': '/', 'options': {}})
    with pytest.raises(ValueError, match='os is no module of'):
        job_process.options_of(text)


class Killer(threading.Thread):
    """Kills the first worker that is at a task, as a machine that loses its power would."""

    def __init__(self, local):
        super().__init__(daemon=True)
        self.local = local
        self.killed = 0

    def run(self):
        from distributed import Client

        with Client(self.local.scheduler_address, set_as_default=False) as client:
            pids = client.run(os.getpid)
            while not (busy := [w for w, tasks in client.processing().items() if tasks]):
                time.sleep(0.02)
            time.sleep(0.3)  # its child is at work
            self.killed = pids[busy[0]]
            os.kill(self.killed, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize('allowed_failures', [3, 0])
def test_a_worker_that_dies_costs_its_own_recording_at_most(sounds, capsys, allowed_failures):
    """Another one does it; where that is not allowed it is named, and the others are done."""
    distributed = pytest.importorskip('distributed', reason='Dask (extra cluster) is absent')
    from dask import config

    settings = {'distributed.scheduler.allowed-failures': allowed_failures}
    words = ['enhance', 'all', '--prior', 'none', '--json', 'all.json', '-o', 'far', '--cluster']
    Path('all', 'damaged.wav').unlink()
    with (
        config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as local,
    ):
        killer = Killer(local)
        killer.start()
        status = main([*words, local.scheduler_address])
        killer.join()
    assert killer.killed
    failed = {name for name, entry in entries().items() if entry['state'] == 'failed'}
    assert set(entries()) == set(NAMES) and status == bool(failed)
    # What waits for the worker that dies is lost with it: one at work, one behind it.
    assert len(failed) == 0 if allowed_failures else 1 <= len(failed) <= 2
    shown = capsys.readouterr().out
    for name in NAMES:
        if name in failed:
            assert 'the workers that tried it died' in entries()[name]['error'] and name in shown
        else:
            assert Path('far', f'{name}.wav').is_file()


@pytest.mark.slow
def test_a_task_that_nobody_waits_for_is_ended(sounds):
    """It would take half a minute; the child is asked about long before."""
    minutes = 0.1 * np.random.default_rng(1).normal(size=600 * RATE)
    soundfile.write('all/long.wav', minutes, RATE)
    words = ['enhance', 'all/long.wav', '--prior', 'none', '-o', 'long.wav']
    text = job_process.text_of(build_parser('enhance').parse_args(words), sounds)
    assert 'ended by signal 9' in job_process.answer_of_text(text, lambda: False)['error']


def test_a_task_without_its_options_says_so(sounds):
    options = argparse.Namespace(run=run, recordings=[Path('all/one.wav')])
    assert 'plot' in job_process.answer_of_text(job_process.text_of(options, sounds))['error']
