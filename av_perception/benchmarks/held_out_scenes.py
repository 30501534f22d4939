# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes of every kind that streams must work in, with voices that no choice was made on.

Two and three people sit, walk or change places; rooms ring for 0.2 to 0.4 s; half of the time or
all of it more than one talks. Every scene draws voices and places of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from av_perception.benchmarks.separation_scenes import (
    CHANGING,
    STANDING,
    WALKING,
    SceneKind,
    speaker_of,
    voice_files,
)
from av_perception.errors import UserError

#: Speakers for reports who were heard while masks, hearing or their scenes were made.
HEARD_BEFORE = frozenset(
    (6529, 6531, 6563, 6836, 6880, 6925, 7190, 7278, 7312, 7367, 7511, 7517, 7780, 7794)
    + (7800, 8063, 8088, 8098, 8108, 8226, 8419, 8425, 8468, 8609, 8747, 8770, 8975)
)
LEAST_APART_DEG = 30.0  # shoulder to shoulder, 1.3 m away
_LEAST_VOICES = 3  # as many people as talk in a scene

#: Every combination, once.
KINDS = tuple(
    SceneKind(
        talkers=talkers,
        motion=motion,
        t60_s=t60_s,
        overlap=overlap,
        least_apart_deg=LEAST_APART_DEG,
    )
    for motion, overlap, talkers, t60_s in product(
        (STANDING, WALKING, CHANGING), (0.5, 1.0), (2, 3), (0.2, 0.3, 0.4)
    )
)


def held_out_voices(data: Path) -> list[Path]:
    """List one utterance of each speaker who was not heard before.

    Raises
    ------
    UserError
        When the data hold too few of them.
    """
    files = [f for f in voice_files(data, reported=True) if speaker_of(f) not in HEARD_BEFORE]
    if len(files) < _LEAST_VOICES:
        raise UserError(
            f'{data} holds {len(files)} voices that were not heard before, and scenes of three '
            'people need 3: AV_PERCEPTION_DATA must name the whole data'
        )
    return files


def class_of(kind: SceneKind) -> str:
    """Name the class of a scene: whether people move, and how long several talk at once."""
    motion = 'sitting' if kind.motion == STANDING else 'moving'
    return f'{motion}, overlap {100 * kind.overlap:.0f} %'


def held_out_draws(kinds: tuple[SceneKind, ...], draws: int) -> Iterator[tuple[SceneKind, int]]:
    """Go through kinds and the seeds of their scenes, of which no two are alike.

    Parameters
    ----------
    kinds
        Some of `KINDS`.
    draws
        Scenes of each kind.

    Yields
    ------
    tuple
        Kind and seed, all draws of one kind in a row.
    """
    for kind in kinds:
        for draw in range(draws):
            yield kind, KINDS.index(kind) + draw * len(KINDS)
