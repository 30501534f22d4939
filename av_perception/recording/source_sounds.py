# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What a rendered mixture is made of, in the folder `sources` of its recording.

person_<id>.flac is what a person gives the microphones, room and all; noise.flac is that of
microphones and room: their sum is the mixture. dry_<id>.flac is the voice itself, up to a factor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from av_perception.errors import UserError
from av_perception.recording.sound_file import open_sound, read_samples

FOLDER = 'sources'
_NAMES = re.compile(r'(person_\d+|dry_\d+|noise)\.flac')
_DRY_PEAK = 0.9


@dataclass(frozen=True)
class SourceSounds:
    """The parts of a mixture; N samples, M microphones.

    Attributes
    ----------
    images
        (N, M) of every person by id, as the microphones hear them.
    dry
        (N,) of every person by id: what was uttered.
    noise
        (N, M) of microphones and room.
    """

    images: dict[int, np.ndarray]
    dry: dict[int, np.ndarray]
    noise: np.ndarray


def write_sources(recording: str | Path, sources: SourceSounds, sample_rate: int) -> None:
    """Write the parts beside the mixture, with 24 bits.

    Parameters
    ----------
    recording
        Its folder.
    sources
        Of that recording.
    sample_rate
        [Hz]

    Raises
    ------
    UserError
        When the folder cannot be written.
    """
    sounds = {f'person_{key}': image for key, image in sources.images.items()}
    for key, dry in sources.dry.items():
        sounds[f'dry_{key}'] = dry * (_DRY_PEAK / max(float(np.abs(dry).max()), 1e-9))
    sounds['noise'] = sources.noise
    folder = Path(recording) / FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for name, samples in sounds.items():
            path = str(folder / f'{name}.flac')
            soundfile.write(path, samples, sample_rate, subtype='PCM_24')
    except (OSError, RuntimeError) as error:
        raise UserError(f'cannot write the sounds of the sources in {folder}: {error}') from error


def read_sources(recording: str | Path) -> SourceSounds:
    """Read the parts of a mixture.

    Parameters
    ----------
    recording
        Its folder.

    Returns
    -------
    SourceSounds
        float32.

    Raises
    ------
    UserError
        When they are not there, or cannot be read.
    """
    folder = Path(recording) / FOLDER
    images: dict[int, np.ndarray] = {}
    dry: dict[int, np.ndarray] = {}
    for path in sorted(folder.glob('*.flac')):
        kind, _, key = path.stem.partition('_')
        is_number = key.isascii() and key.isdigit()  # int() takes no superscripts
        if kind == 'person' and is_number:
            images[int(key)] = _read(path)
        elif kind == 'dry' and is_number:
            dry[int(key)] = _read(path)[:, 0]
    if not images:
        raise UserError(
            f'{recording} does not hold the sounds of its sources: render it with '
            '`av-perception simulate SCENE -o FOLDER --images`'
        )
    return SourceSounds(images, dry, _read(folder / 'noise.flac'))


def clear_sources(recording: Path) -> None:
    """Delete the parts of an older mixture, and nothing else."""
    folder = recording / FOLDER
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _NAMES.fullmatch(path.name):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _read(path: Path) -> np.ndarray:
    """(N, channels) float32."""
    with open_sound(path) as sound:
        return read_samples(sound, 0, sound.frames)
