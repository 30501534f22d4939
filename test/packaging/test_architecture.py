# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The rules of the code base that keep it readable: who may import whom, and how long files may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / 'av_perception'
SHELL = ('nodes', 'ros', 'cli')  # everything else is the core
FILES = sorted(PACKAGE.rglob('*.py'))
CORE = [f for f in FILES if f.relative_to(PACKAGE).parts[0] not in SHELL]


def imported_modules(path: Path) -> set[str]:
    """Full names of all modules a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ''} | {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def is_forbidden_in_core(module: str) -> bool:
    root = module.split('.')[0]
    return (
        root in ('rclpy', 'launch', 'launch_ros')
        or root.endswith(('_msgs', '_interfaces'))
        or module.startswith(tuple(f'av_perception.{part}' for part in SHELL))
    )


def test_core_has_files():
    assert len(CORE) > 20


@pytest.mark.parametrize('path', CORE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_core_is_free_of_ros(path):
    forbidden = {m for m in imported_modules(path) if is_forbidden_in_core(m)}
    assert not forbidden, f'the core must not import {forbidden}'


def test_the_rule_sees_a_violation():
    assert (
        is_forbidden_in_core('rclpy.node')
        and is_forbidden_in_core('std_msgs.msg')
        and is_forbidden_in_core('av_perception.ros.qos')
    )
    assert not is_forbidden_in_core('av_perception.interfaces') and not is_forbidden_in_core(
        'numpy'
    )


@pytest.mark.parametrize('path', sorted((PACKAGE / 'nodes').glob('*.py')), ids=lambda p: p.name)
def test_nodes_only_convert(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 250


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= 300
