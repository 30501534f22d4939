# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices in noise of every kind, for which the clean voice is known.

Voices are of the development data, noises too where they were recorded. Priors of speech are not
trained on the talkers for reports, nor on those for tuning; the crowd is of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from av_perception.errors import UserError
from av_perception.simulation.noise import fan, servo

RATE = 16000
SNRS_DB = (-5.0, 0.0, 5.0, 10.0)
RECORDED = {
    'rain': 'esc10/Rain_*.ogg',
    'sea waves': 'esc10/Sea_waves_*.ogg',
    'helicopter': 'esc10/Helicopter_*.ogg',
    'chainsaw': 'esc10/Chainsaw_*.ogg',
    'clock': 'esc10/Clock_tick_*.ogg',
    'dog': 'esc10/Dog_bark_*.ogg',
    'dishes': 'doing_the_dishes.flac',
}
KINDS = (*RECORDED, 'fan', 'servos', 'crowd')
ODD_KINDS = ('servos', 'crowd', 'dog')  # that change faster than noise is followed
_TALKERS_OF_A_CROWD = 12
_SPLIT_SEED = 5
_NUM_REPORTED = 25
_NUM_TUNING = 12
_LEVEL = 0.05  # root mean square of a voice


@dataclass(frozen=True)
class NoisyClip:
    """kind: of the noise; snr_db: over the whole clip; mixture, voice: (N,) at 16 kHz."""

    kind: str
    snr_db: float
    mixture: np.ndarray
    voice: np.ndarray

    @property
    def duration_s(self) -> float:
        """Of the sound."""
        return len(self.mixture) / RATE


def talkers(data: Path) -> list[Path]:
    """List one utterance of each talker. Raises UserError without any."""
    files = sorted((data / 'speech' / 'librispeech_train').glob('*.flac'))
    if not files:
        raise UserError(f'there are no voices in {data}: AV_PERCEPTION_DATA must name the data')
    return files


def split_talkers(data: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """Talkers for reports, for tuning, and those that priors are trained on."""
    files = talkers(data)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(files))
    shuffled = [files[k] for k in order]
    held = _NUM_REPORTED + _NUM_TUNING
    return shuffled[:_NUM_REPORTED], shuffled[_NUM_REPORTED:held], shuffled[held:]


def make_clips(
    data: Path, count: int, duration_s: float, seed: int = 0, reported: bool = True
) -> list[NoisyClip]:
    """Mix clips, each of another talker, over all kinds of noise and all SNRs.

    Parameters
    ----------
    data
        Folder of the development data.
    count, duration_s
        How many, and how long each is [s].
    seed
        Of the pieces of noise.
    reported
        Whether with the talkers for reports, or with others.

    Returns
    -------
    list of NoisyClip

    Raises
    ------
    UserError
        When there are no voices, or no noises.
    """
    reporting, tuning, _ = split_talkers(data)
    voices = reporting if reported else tuning
    return [_clip(data, voices, index, duration_s, seed) for index in range(count)]


def _clip(data: Path, voices: list[Path], index: int, duration_s: float, seed: int) -> NoisyClip:
    random = np.random.default_rng((seed, index))
    kind = KINDS[index % len(KINDS)]
    # (all SNRs for each kind in the course of forty clips)
    snr_db = SNRS_DB[(index + index // len(KINDS)) % len(SNRS_DB)]
    count = round(duration_s * RATE)
    voice = stretch(read_sound(voices[index % len(voices)]), count, random)
    voice = voice * (_LEVEL / max(voice.std(), 1e-9))
    noise = _noise(kind, data, count, random)
    noise = noise * (_LEVEL * 10 ** (-snr_db / 20) / max(noise.std(), 1e-9))
    return NoisyClip(kind, snr_db, voice + noise, voice)


def _noise(kind: str, data: Path, count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) of one kind."""
    if kind == 'fan':
        return fan(count, RATE, random)
    if kind == 'servos':
        return servo(count, RATE, random) + 0.01 * random.standard_normal(count)
    if kind == 'crowd':
        others = split_talkers(data)[2]
        chosen = random.choice(len(others), _TALKERS_OF_A_CROWD, replace=False)
        sounds = [stretch(read_sound(others[k]), count, random) for k in chosen]
        return np.sum([sound / max(sound.std(), 1e-9) for sound in sounds], axis=0)
    files = sorted((data / 'noise').glob(RECORDED[kind]))
    if not files:
        raise UserError(f'there is no noise {RECORDED[kind]} in {data / "noise"}')
    return stretch(read_sound(files[random.integers(len(files))]), count, random)


def read_sound(path: Path) -> np.ndarray:
    """(N,) one channel at 16 kHz."""
    samples, rate = soundfile.read(path, dtype='float64', always_2d=True)
    samples = samples.mean(axis=1)
    if rate == RATE:
        return samples
    divisor = gcd(rate, RATE)
    return resample_poly(samples, RATE // divisor, rate // divisor)


def stretch(samples: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) from a random place; what is too short is repeated."""
    if len(samples) < count:
        samples = np.tile(samples, -(-count // len(samples)))
    start = random.integers(len(samples) - count + 1)
    return samples[start : start + count]
