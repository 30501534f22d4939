# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The fuzzer that coverage guides finds planted faults, and none in quick readers."""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import fuzz_readers
import numpy as np
import pytest
from archive_mutation import with_changed_member
from byte_mutations import mutated
from planted_readers import WHOLE

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'fuzz_readers.py'
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec('atheris') is None, reason='atheris (extra fuzz) is absent'
)


def fuzzed(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run the tool in a process."""
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    return subprocess.run(
        [sys.executable, TOOL, '--guided', '--folder', tmp_path / 'fuzz', *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join(paths)},
    )


def kept_by(tmp_path: Path, kind: str) -> list[bytes]:
    return [path.read_bytes() for path in (tmp_path / 'fuzz' / kind / 'findings').iterdir()]


@needs_atheris
@pytest.mark.slow
def test_a_fault_behind_six_bytes_is_found(tmp_path):
    run = fuzzed(tmp_path, '--readers=planted_readers', 'hidden', '--first', '-n', '60000')
    assert run.returncode == 1, run.stdout + run.stderr
    assert "KeyError('planted')" in run.stdout
    [kept] = kept_by(tmp_path, 'hidden')
    assert kept.startswith(b'\x8f!\x03Z') and b'Q\xe7' in kept


def test_damage_at_random_hardly_finds_the_same_fault():
    random = np.random.default_rng(0)
    assert not any(mutated(random, WHOLE).startswith(b'\x8f!') for _ in range(20_000))


@needs_atheris
@pytest.mark.slow
def test_every_kind_of_fault_is_a_finding_and_ends_no_other(tmp_path):
    """A fault in C kills the process, and an endless file would never give it back."""
    limits = ['--slow', '0.3', '--memory', '60']
    run = fuzzed(
        tmp_path,
        '--readers=planted_readers',
        *limits,
        *('dies', 'late', 'endless', 'large', 'leaves', 'peeks', 'talks', 'sound'),
        *('--first', '-n', '30'),
    )
    assert run.returncode == 1, run.stdout + run.stderr
    expected = {
        'dies': 'SIGSEGV',
        'late': 's of processor time',
        'endless': 'too much processor time',
        'large': 'MiB of memory',
        'leaves': 'for writing',
        'peeks': 'open of /etc/passwd',
        'talks': 'two',
    }
    for kind, said in expected.items():
        lines = [line for line in run.stdout.splitlines() if f'/{kind}/' in line]
        assert any(said in line for line in lines), (kind, run.stdout, run.stderr)
        assert all(not kept.startswith(b'k') for kept in kept_by(tmp_path, kind))
    assert 'sound: 30 files' in run.stdout
    assert not kept_by(tmp_path, 'sound')
    assert not (tmp_path / 'fuzz' / 'leaves' / 'left').exists()


@needs_atheris
@pytest.mark.slow
def test_quick_readers_stand_thousands_of_guided_files(tmp_path):
    run = fuzzed(tmp_path, 'YAML', 'places', '-n', '1500')
    assert run.returncode == 0, run.stdout + run.stderr
    for kind in ('YAML', 'places'):
        assert f'{kind}: 1500 files' in run.stdout
    assert len(kept_by(tmp_path, 'YAML')) == 0


def test_without_atheris_one_line_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    assert fuzz_readers.fuzz_all_guided(['YAML'], argparse.Namespace()) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert 'pip install' in line and 'atheris' in line


def test_a_changed_member_has_a_checksum_that_fits():
    file = io.BytesIO()
    np.savez_compressed(file, first=np.arange(9), second=np.ones(3))
    random = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        changed = with_changed_member(random, file.getvalue(), lambda piece: piece[:4] + b'x')
        with zipfile.ZipFile(io.BytesIO(changed)) as archive:
            assert archive.testzip() is None
            seen |= {(name, archive.read(name)[:5]) for name in archive.namelist()}
    assert {('first.npy', b'\x93NUMx'), ('second.npy', b'\x93NUMx')} <= seen
    assert any(name == 'firsx' for name, _ in seen)


def test_a_temporary_folder_is_taken_away_and_a_cache_is_written_unhindered(tmp_path):
    """Names below an open folder were taken for names below the working directory."""
    code = """
import os, sys, tempfile
from pathlib import Path
from reader_judge import ReaderJudge, settle_in
folder = Path(sys.argv[1])
(folder / 'a').write_bytes(b'')
settle_in(folder)
def read(path):
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / 'deep').mkdir()
        (Path(made) / 'deep' / 'file').write_bytes(b'')
    Path(os.environ['AV_PERCEPTION_CACHE']).mkdir()
    path.read_bytes()
print(ReaderJudge(folder).judge(read, folder / 'a'))
"""
    paths = os.pathsep.join([str(ROOT), str(TOOL.parent)])
    run = subprocess.run(
        [sys.executable, '-c', code, tmp_path],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': paths},
    )
    assert run.stdout == 'None\n', run.stdout + run.stderr


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04', b'PK\x05\x06' + bytes(18)])
def test_where_there_is_no_member_none_is_changed(content):
    assert with_changed_member(np.random.default_rng(0), content, bytes) is None
