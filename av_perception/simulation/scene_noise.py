# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What noise a scene has beside that of its microphones, and how it is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.errors import UserError
from av_perception.recording.sound_file import read_sound
from av_perception.simulation.assets import resample
from av_perception.spectral.transform import spectra_of
from av_perception.spectral.windows import hann

DIFFUSE = 'diffuse'
POINT = 'point'
SPEECH_SHAPED = 'speech_shaped'
WHITE = 'white'
FAN = 'fan'
SERVO = 'servo'
GENERATED = (SPEECH_SHAPED, WHITE, FAN, SERVO)
_SHAPE_WINDOW = 512  # samples over which the spectrum of speech is averaged


@dataclass(frozen=True)
class SceneNoise:
    """A noise in the room. Raises ValueError."""

    #: diffuse: from all around, near the walls; point: from `position`
    kind: str
    #: [dB] mean speech at the microphones over this noise, -20..100
    snr_db: float
    #: speech_shaped (noise with the mean spectrum of the scene's voices), white, fan, servo, or a
    #: sound file, which repeats when it ends
    sound: str = SPEECH_SHAPED
    #: [m] of a point, in the head's base frame
    position: tuple[float, float, float] | None = None

    def __post_init__(self):
        if self.kind not in (DIFFUSE, POINT):
            raise ValueError(f"kind of noise must be diffuse or point, not '{self.kind}'")
        if not -20.0 <= self.snr_db <= 100.0:
            raise ValueError(f'snr_db of noise must lie in -20..100 dB, not {self.snr_db}')
        if not self.sound:
            raise ValueError('sound of noise must be a kind of noise or a sound file')
        if (self.kind == POINT) != (self.position is not None):
            raise ValueError('noise of kind point needs a position, and no other has one')


def shaped_like(
    voices: Sequence[np.ndarray], num_samples: int, random: np.random.Generator
) -> np.ndarray:
    """Make noise with the mean spectrum of voices.

    Parameters
    ----------
    voices
        (N,) each; windows without sound do not count.
    num_samples
        How long the noise is.
    random
        Draws it.

    Returns
    -------
    np.ndarray
        (num_samples,)
    """
    window = hann(_SHAPE_WINDOW)
    power = np.zeros(_SHAPE_WINDOW // 2 + 1)
    for voice in voices:
        padded = np.pad(voice, (0, _SHAPE_WINDOW))
        power += np.mean(np.abs(spectra_of(padded, window, _SHAPE_WINDOW // 2)) ** 2, axis=0)
    spectrum = np.fft.rfft(random.normal(size=num_samples))
    place = np.linspace(0.0, len(power) - 1.0, len(spectrum))
    gain = np.sqrt(np.interp(place, np.arange(len(power)), power))
    return np.fft.irfft(spectrum * gain, num_samples)


def read_noise(path: str, num_samples: int, sample_rate: int) -> np.ndarray:
    """Read a recorded noise, its channels averaged, repeated as often as it takes.

    Parameters
    ----------
    path
        Of the sound file.
    num_samples
        How many are wanted.
    sample_rate
        [Hz] wanted.

    Returns
    -------
    np.ndarray
        (num_samples,)

    Raises
    ------
    UserError
        When it cannot be read, is silent or not finite.
    """
    try:
        channels, rate = read_sound(path)
    except UserError as error:
        raise UserError(f'the noise {path} is not a readable sound file: {error}') from error
    samples = channels.mean(axis=1)
    if not len(samples) or not np.isfinite(samples).all() or np.ptp(samples) == 0:
        raise UserError(f'the noise {path} is empty, silent or not finite: choose another file')
    return np.resize(resample(samples, rate, sample_rate), num_samples)
