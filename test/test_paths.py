# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The files that ship with the package are found wherever pip has put them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from av_perception.cli.benchmarks import diarization
from av_perception.paths import resolve_resource

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = (
    'setup.py',
    'setup.cfg',
    'pyproject.toml',
    'package.xml',
    'README.md',
    'MANIFEST.in',
    'requirements-ros.txt',
)
FOLDERS = ('av_perception', 'config', 'launch', 'resource')
QUESTION = """
from av_perception.paths import resolve_resource, share_directory
print(share_directory())
print(resolve_resource('nao', 'heads'))
"""


def run(*command: object, **environment: str) -> subprocess.CompletedProcess:
    """Run a command outside of the checkout, as a user who has sourced nothing."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ('AMENT_PREFIX_PATH', 'PYTHONPATH')
    }
    return subprocess.run(
        [str(part) for part in command],
        env={**kept, 'PIP_DISABLE_PIP_VERSION_CHECK': '1', **environment},
        cwd='/',
        capture_output=True,
        text=True,
        timeout=300,
    )


def install(python: Path | str, wheel: Path, *where: object, **environment: str) -> None:
    options = ('--quiet', '--no-deps', '--no-index', '--ignore-installed', '--no-compile')
    pip = (sys.executable, '-m', 'pip', '--python', python, 'install')
    done = run(*pip, *options, *where, wheel, **environment)
    assert done.returncode == 0, done.stderr


def shipped_files(python: Path | str, **environment: str) -> tuple[Path, Path]:
    """The share directory and a head profile, as the installed package finds them."""
    done = run(python, '-c', QUESTION, **environment)
    assert done.returncode == 0, done.stderr
    share, profile = (Path(line) for line in done.stdout.splitlines())
    return share, profile


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """A wheel of this tree, built without network in a copy of it."""
    for module in ('pip', 'setuptools', 'wheel'):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f'no {module} in this environment')
    tree = tmp_path_factory.mktemp('tree')
    for name in SHIPPED:
        shutil.copy(ROOT / name, tree)
    for name in FOLDERS:
        ignored = shutil.ignore_patterns('__pycache__')
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    options = ('--quiet', '--no-deps', '--no-build-isolation', '--wheel-dir', tree / 'dist')
    done = run(sys.executable, '-m', 'pip', 'wheel', *options, tree)
    assert done.returncode == 0, done.stderr
    (built,) = (tree / 'dist').glob('av_perception-*.whl')
    return built


@pytest.mark.slow
def test_a_wheel_in_an_environment_finds_its_files(wheel, tmp_path):
    venv.create(tmp_path / 'env', with_pip=False)
    python = tmp_path / 'env' / 'bin' / 'python'
    install(python, wheel)
    share, profile = shipped_files(python)
    assert share == tmp_path / 'env' / 'share' / 'av_perception'
    assert profile == share / 'config' / 'heads' / 'nao.yaml' and profile.is_file()


@pytest.mark.slow
@pytest.mark.parametrize('option', ['--prefix', '--target'])
def test_a_wheel_in_another_prefix_finds_its_files(wheel, tmp_path, option):
    install(sys.executable, wheel, option, tmp_path / 'elsewhere')
    (package,) = (tmp_path / 'elsewhere').rglob('av_perception/paths.py')
    share, profile = shipped_files(sys.executable, PYTHONPATH=str(package.parents[1]))
    assert tmp_path in share.parents and profile.is_file()
    assert (share / 'launch' / 'head.launch.py').is_file()


@pytest.mark.slow
def test_a_wheel_of_one_user_finds_its_files(wheel, tmp_path):
    python = getattr(sys, '_base_executable', sys.executable)  # environments know no user
    if run(python, '-m', 'pip', '--version').returncode:
        pytest.skip(f'{python} has no pip')
    environment = {'PYTHONUSERBASE': str(tmp_path), 'PIP_BREAK_SYSTEM_PACKAGES': '1'}
    install(python, wheel, '--user', **environment)
    share, profile = shipped_files(python, **environment)
    assert share == tmp_path / 'share' / 'av_perception' and profile.is_file()


def test_an_installation_without_its_files_is_one_line(tmp_path):
    """The message says what to do, and the package alone is no reason for a traceback."""
    for name in ('__init__.py', 'errors.py', 'files.py', 'paths.py'):
        target = tmp_path / 'av_perception' / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / 'av_perception' / name, target)
    question = (
        'import sys, site\n'
        f'sys.prefix = {str(tmp_path)!r}\n'
        f'site.getuserbase = lambda: {str(tmp_path)!r}\n'
        'import sysconfig\n'
        f'sysconfig.get_path = lambda scheme: {str(tmp_path)!r}\n'
        'from av_perception.errors import UserError\n'
        'from av_perception.paths import share_directory\n'
        'try:\n    share_directory()\nexcept UserError as error:\n    print(error)\n'
    )
    done = run(sys.executable, '-c', question, PYTHONPATH=str(tmp_path))
    assert 'the config folder of av_perception was not found' in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_the_scenes_of_a_benchmark_are_found_in_their_folder():
    """`benchmark diarization` ended at `small_array/turns`: a name was one without a folder."""
    names = [name.partition(':')[0] for name in diarization.SCENES + diarization.SCENES_OF_DATA]
    assert any('/' in name for name in names)
    for name in names:
        assert resolve_resource(name, 'scenes').stem == Path(name).name
