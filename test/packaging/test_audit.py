# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The audit names what is vulnerable, and never takes silence for health."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORT = {
    'dependencies': [
        {'name': 'sound', 'version': '1.0', 'vulns': []},
        {
            'name': 'weak',
            'version': '2.0',
            'vulns': [{'id': 'PYSEC-1', 'fix_versions': ['2.1']}, {'id': 'PYSEC-2'}],
        },
        {'name': 'ours', 'skip_reason': 'not found on PyPI'},
    ]
}


@pytest.fixture
def audit(monkeypatch):
    spec = importlib.util.spec_from_file_location('audit', ROOT / 'tools' / 'audit.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'reason_to_skip', lambda: '')
    return module


def answer(monkeypatch, audit, stdout, stderr=''):
    ran = SimpleNamespace(stdout=stdout, stderr=stderr, returncode=1)
    monkeypatch.setattr(audit, 'subprocess', SimpleNamespace(run=lambda *_, **__: ran))


def test_what_is_vulnerable_is_named_with_what_mends_it(audit, monkeypatch, capsys):
    answer(monkeypatch, audit, json.dumps(REPORT))
    assert audit.main() == 1
    output = capsys.readouterr().out
    assert 'weak 2.0: PYSEC-1, mended in: 2.1\nweak 2.0: PYSEC-2, mended in: none yet\n' in output
    assert '2 known vulnerabilities; 2 packages looked up, 1 are not known' in output


def test_a_healthy_environment_passes(audit, monkeypatch, capsys):
    answer(monkeypatch, audit, json.dumps({'dependencies': REPORT['dependencies'][:1]}))
    assert audit.main() == 0
    assert 'audit: 0 known vulnerabilities; 1 packages looked up' in capsys.readouterr().out


@pytest.mark.parametrize('stdout', ['', '{"other": 1}', '[]'])
def test_a_failure_is_told_and_no_health(audit, monkeypatch, capsys, stdout):
    answer(monkeypatch, audit, stdout, 'a line\nthe service hung up\n')
    assert audit.main() == 0
    assert capsys.readouterr().out == ('audit: skipped: pip-audit failed (the service hung up)\n')


def test_a_service_that_knows_nothing_is_no_health(audit, monkeypatch, capsys):
    answer(monkeypatch, audit, json.dumps({'dependencies': REPORT['dependencies'][2:]}))
    assert audit.main() == 0
    assert capsys.readouterr().out.startswith('audit: skipped: the service knows none of the')


def test_without_a_network_it_is_skipped_in_one_line():
    script = (
        'import importlib.util, sys; sys.path.insert(0, sys.argv[1]); import audit; '
        'importlib.util.find_spec = lambda name: 1; '
        "print(audit.reason_to_skip('http://127.0.0.1:9/'))"
    )
    command = [sys.executable, '-c', script, str(ROOT / 'tools')]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert 'cannot be reached' in output and output.count('\n') == 1
