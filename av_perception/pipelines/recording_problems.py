# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What is doubtful about the sound and the images of a recording that can be tracked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from av_perception.audio.sound_problems import sound_problems
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.vision.front_end import VisualFrontEndConfig

LOOKED_AT_S = 30.0  # of sound, from its beginning
DOUBTFUL_SHARE = 0.1  # of the images
# Beside the faces that stand upright, so many that do not are no chance.
UPSIDE_DOWN_SHARE = 1.0


class SoundSample:
    """Keeps the beginning of the sound, and says what is wrong with it.

    Parameters
    ----------
    microphones
        Of the head; they name the channels.
    """

    def __init__(self, microphones: MicrophoneArray):
        self._microphones = microphones
        self._pieces: list[np.ndarray] = []
        self._length = 0
        self._rate = 0

    def take(self, chunk: AudioChunk) -> None:
        """Take a chunk; those of another rate than the first one's are left out."""
        self._rate = self._rate or chunk.sample_rate
        if chunk.sample_rate != self._rate or self._length >= LOOKED_AT_S * self._rate:
            return
        self._pieces.append(np.asarray(chunk.samples, np.float32))
        self._length += len(chunk.samples)

    @property
    def length_s(self) -> float:
        """How much sound was kept [s]."""
        return self._length / self._rate if self._rate else 0.0

    @property
    def problems(self) -> list[str]:
        """Sentences; none of a head that heard nothing at all."""
        if not self._pieces:
            return []
        return sound_problems(np.concatenate(self._pieces), self._rate, self._microphones)


def image_problems(counters: Mapping[str, int]) -> list[str]:
    """Say what most images have in common that they should not.

    Parameters
    ----------
    counters
        Of the visual front end.

    Returns
    -------
    list of str
        Sentences.
    """
    images = counters['images']
    problems = []
    if counters['upside_down'] > UPSIDE_DOWN_SHARE * counters['faces']:
        problems.append(
            f'{counters["upside_down"]} faces stand on their heads: is the camera mounted upside '
            'down? Then turn its images by 180 degrees before they come here, left and right '
            'exchanged, too'
        )
    if counters['too_many']:
        problems.append(
            f'{counters["too_many"]} faces were left out: of each image the best '
            f'{VisualFrontEndConfig.max_faces} are taken'
        )
    for name, text in (
        ('over_exposed', 'are over-exposed: lower the exposure of the camera'),
        ('noise', 'hold nothing but noise: is it dark?'),
    ):
        if counters[name] > DOUBTFUL_SHARE * images:
            problems.append(f'{counters[name]} of {images} images {text}')
    return problems
