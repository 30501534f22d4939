# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The rules that keep the code readable: who may import whom, and how long things may grow."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'av_perception'
FILES = sorted(PACKAGE.rglob('*.py'))
SHELL = ('nodes', 'ros', 'cli')  # everything else is the core
FOUNDATIONS = (
    'errors',
    'files',
    'array_files',
    'config',
    'paths',
    'interfaces',
    'geometry',
    'numerics',
    'spectral',
)
# Which other folders the files of a folder may import. What is not here may import nothing.
ALLOWED = {
    '__init__': ('api',),
    'files': ('errors',),
    'array_files': ('files',),
    'config': ('errors', 'files'),
    'paths': ('errors', 'files'),
    'interfaces': (),
    'geometry': ('errors',),
    'numerics': ('errors',),
    'spectral': ('errors', 'numerics'),
    'networks': ('errors', 'files', 'array_files', 'paths'),
    'robot_head': ('errors', 'files', 'config', 'paths', 'geometry'),
    'recording': (
        'errors',
        'files',
        'array_files',
        'config',
        'interfaces',
        'geometry',
        'robot_head',
    ),
    'audio': (*FOUNDATIONS, 'robot_head', 'recording'),
    'vision': (*FOUNDATIONS, 'networks', 'robot_head', 'recording'),
    'synchronization': ('interfaces', 'geometry', 'audio'),
    'tracking': (*FOUNDATIONS, 'robot_head', 'audio', 'synchronization'),
    'lips': (*FOUNDATIONS, 'networks', 'vision', 'dvae', 'enhancement', 'audio_visual'),
    'diarization': (*FOUNDATIONS, 'robot_head', 'audio', 'lips'),
    'separation': (*FOUNDATIONS, 'robot_head', 'audio', 'diarization'),
    'enhancement': (*FOUNDATIONS, 'networks', 'dvae'),
    'audio_visual': (*FOUNDATIONS, 'networks', 'dvae', 'enhancement'),
    'head_pose': (*FOUNDATIONS, 'networks', 'robot_head'),
    'dvae': ('errors', 'array_files', 'numerics', 'spectral', 'networks'),
    'training': (
        *FOUNDATIONS,
        'networks',
        'recording',
        'evaluation',
        'dvae',
        'motion_forecast',
        'audio_visual',
        'lips',
    ),
    'hri': ('interfaces', 'geometry'),
    'attention': ('interfaces', 'geometry'),
    'motion_forecast': (*FOUNDATIONS, 'networks', 'dvae'),
    'clustering': FOUNDATIONS,
    'two_microphones': (*FOUNDATIONS, 'robot_head', 'audio', 'synchronization'),
    'calibration': (*FOUNDATIONS, 'robot_head', 'recording', 'audio', 'two_microphones'),
    'simulation': (*FOUNDATIONS, 'robot_head', 'recording', 'audio'),
    'evaluation': (*FOUNDATIONS, 'recording'),
    'pipelines': (
        *FOUNDATIONS,
        'robot_head',
        'recording',
        'audio',
        'vision',
        'synchronization',
        'tracking',
        'diarization',
        'separation',
        'two_microphones',
        'head_pose',
        'attention',
        'lips',
    ),
    'visualization': (
        *FOUNDATIONS,
        'robot_head',
        'recording',
        'audio',
        'vision',
        'evaluation',
    ),
    'web_view': ('errors', 'interfaces', 'geometry', 'visualization'),
}
ANYTHING_OF_THE_CORE = ('benchmarks', 'api')
MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 400
MAX_NODE_LINES = 260


def folder_of(path: Path) -> str:
    """The first part below the package: a folder, or a module that stands alone."""
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Full names of all modules a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ''} | {f'{node.module}.{alias.name}' for alias in node.names}
    return frozenset(names)


def imported_files(path: Path) -> set[Path]:
    """The files of the package that a file imports."""
    files = set()
    for name in imported_modules(path):
        if not name.startswith('av_perception.'):
            continue
        target = ROOT.joinpath(*name.split('.'))
        files |= {p for p in (target.with_suffix('.py'), target / '__init__.py') if p.is_file()}
    return files - {path}


def is_forbidden_in_core(module: str) -> bool:
    root = module.split('.')[0]
    if root in ('rclpy', 'launch', 'launch_ros') or root.endswith(('_msgs', '_interfaces')):
        return True
    return module.startswith(tuple(f'av_perception.{part}' for part in SHELL))


CORE = [path for path in FILES if folder_of(path) not in SHELL]


@pytest.mark.parametrize('path', CORE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_core_is_free_of_ros(path):
    forbidden = {m for m in imported_modules(path) if is_forbidden_in_core(m)}
    assert not forbidden, f'the core must not import {forbidden}'


def test_the_rule_sees_a_violation():
    for module in ('rclpy.node', 'std_msgs.msg', 'av_perception.ros.qos'):
        assert is_forbidden_in_core(module)
    for module in ('av_perception.interfaces', 'numpy'):
        assert not is_forbidden_in_core(module)


@pytest.mark.parametrize('path', CORE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_folders_import_only_whom_they_may(path):
    folder = folder_of(path)
    if folder in ANYTHING_OF_THE_CORE:
        return
    others = {folder_of(p) for p in imported_files(path)} - {folder, '__init__'}
    assert others <= set(ALLOWED.get(folder, ())), f'{folder} must not import {sorted(others)}'


def test_no_file_imports_itself_through_others():
    arrows = {path: imported_files(path) for path in FILES if path.name != '__init__.py'}
    done: set[Path] = set()

    def visit(path: Path, trail: tuple[Path, ...]) -> None:
        assert path not in trail, ' -> '.join(p.name for p in (*trail, path))
        if path in done:
            return
        for other in sorted(arrows.get(path, ())):
            visit(other, (*trail, path))
        done.add(path)

    for path in arrows:
        visit(path, ())


@pytest.mark.parametrize('path', sorted((PACKAGE / 'nodes').glob('*.py')), ids=lambda p: p.name)
def test_nodes_only_convert(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= MAX_NODE_LINES


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding='utf-8').splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(tree_of(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f'{node.name} has {length} lines'


def test_every_source_file_names_its_license():
    folders = ('av_perception', 'launch', 'test', 'tools')
    found = [path for folder in folders for path in (ROOT / folder).rglob('*.py')]
    sources = [path for path in found if 'build' not in path.parts]  # generated
    without = [
        str(path.relative_to(ROOT))
        for path in sources
        if 'SPDX-License-Identifier: Apache-2.0' not in path.read_text(encoding='utf-8')[:200]
    ]
    assert not without


def test_tests_weigh_at_least_three_fifths_of_the_source():
    source = sum(len(p.read_text(encoding='utf-8').splitlines()) for p in FILES)
    tests = sum(
        len(p.read_text(encoding='utf-8').splitlines()) for p in (ROOT / 'test').rglob('*.py')
    )
    assert tests >= 0.6 * source


def test_there_is_one_version():
    text = (PACKAGE / '__init__.py').read_text(encoding='utf-8')
    version = re.search(r"__version__ = '([^']+)'", text).group(1)
    package_xml = (ROOT / 'package.xml').read_text(encoding='utf-8')
    assert f'<version>{version}</version>' in package_xml
    citation = (ROOT / 'CITATION.cff').read_text(encoding='utf-8')
    assert f'\nversion: {version}\n' in citation
