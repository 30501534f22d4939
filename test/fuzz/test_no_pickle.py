# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""No file that is read can run code: nothing unpickles, evaluates or builds objects of YAML."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for folder in ('av_perception', 'tools', 'examples', 'launch')
    for path in (ROOT / folder).rglob('*.py')
)
MODULES = {'pickle', 'cPickle', 'marshal', 'shelve', 'dill', 'cloudpickle', 'joblib', 'jsonpickle'}
UNSAFE_YAML = {'unsafe_load', 'full_load', 'unsafe_load_all', 'full_load_all'}


def complaints(text: str) -> list[str]:
    """Say where a module could run what a file holds."""
    return [problem for node in ast.walk(ast.parse(text)) if (problem := complaint(node))]


def complaint(node: ast.AST) -> str:
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = {alias.name.split('.')[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names = {(node.module or '').split('.')[0]}
        return f'line {node.lineno}: imports {names & MODULES}' if names & MODULES else ''
    if not isinstance(node, ast.Call):
        return ''
    called = ast.unparse(node.func)
    options = {option.arg: ast.unparse(option.value) for option in node.keywords}
    where = f'line {node.lineno}: {called}'
    if called in ('np.load', 'numpy.load') and options.get('allow_pickle') != 'False':
        return f'{where} without allow_pickle=False'
    if called == 'torch.load' and options.get('weights_only') != 'True':
        return f'{where} without weights_only=True'
    if called == 'yaml.load' and options.get('Loader') not in ('_Loader', 'yaml.SafeLoader'):
        return f'{where} with a loader that is not safe'
    is_unsafe = called in {f'yaml.{name}' for name in UNSAFE_YAML} | {'eval', 'exec'}
    return where if is_unsafe or options.get('allow_pickle') == 'True' else ''


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_that_is_read_can_run(path):
    assert not complaints(path.read_text(encoding='utf-8'))


@pytest.mark.parametrize(
    'text',
    [
        'import pickle',
        'from pickle import loads',
        'np.load(path)',
        'np.load(path, allow_pickle=True)',
        'read_array(file, allow_pickle=True)',
        'torch.load(path)',
        'yaml.load(text, Loader=yaml.Loader)',
        'yaml.unsafe_load(text)',
        'eval(text)',
    ],
)
def test_the_rule_sees_a_violation(text):
    assert len(complaints(text)) == 1
