# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes of photographs who speak one after the other, with planted mouths or with their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from av_perception.errors import UserError
from av_perception.simulation.assets import PHOTOGRAPHS
from av_perception.simulation.clips import read_clip_images
from av_perception.simulation.scene import RoomConfig, Scene, TalkerConfig

PEOPLE_OF_A_SCENE = 4
_PLACES = ((0.95, 0.52, 0.05), (1.0, 0.18, 0.08), (0.95, -0.17, 0.04), (0.97, -0.5, 0.06))
_TURN_S = 3.0
_PAUSE_S = 0.6
_TURNS = 2  # of each person

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Face:
    """A photograph, name of an asset or a file, and the box of the face where it is no asset."""

    photo: str
    box: Box | None = None


def known_faces() -> list[Face]:
    """Give the photographs that the suite can fetch."""
    return [Face(name) for name in PHOTOGRAPHS]


def still_of(clip: Path, box: Box, folder: Path) -> Face:
    """Write the first image of a clip, its mouth at rest, to a folder. Raises UserError."""
    images, _ = read_clip_images(clip)
    path = folder / f'{clip.stem}.png'
    folder.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), images[0]):
        raise UserError(f'cannot write {path}')
    return Face(str(path), box)


def lip_scenes(
    faces: Sequence[Face], voices: Sequence[str], mouth: bool, seed: int = 0
) -> list[Scene]:
    """Make scenes of four people each who take turns of three seconds, two of each.

    Parameters
    ----------
    faces, voices
        Of the people, as many of the one as of the other; who is left over by fours stays away.
    mouth
        Whether mouths are drawn that show what the voices do.
    seed
        Of the noise.
    """
    scenes = []
    for first in range(0, len(faces) - PEOPLE_OF_A_SCENE + 1, PEOPLE_OF_A_SCENE):
        talkers = []
        for n in range(PEOPLE_OF_A_SCENE):
            face = faces[first + n]
            turns = []
            for k in range(_TURNS):
                start = 1.0 + (k * PEOPLE_OF_A_SCENE + n) * (_TURN_S + _PAUSE_S)
                turns.append((start, start + _TURN_S))
            talkers.append(
                TalkerConfig(
                    id=first + n + 1,
                    waypoints=((0.0, *_PLACES[n]),),
                    voice=voices[first + n],
                    photo=face.photo,
                    face=face.box,
                    mouth=mouth,
                    turns=tuple(turns),
                )
            )
        length_s = 1.0 + _TURNS * PEOPLE_OF_A_SCENE * (_TURN_S + _PAUSE_S)
        room = RoomConfig(t60=0.2, snr_db=30.0)
        name = f'{"lips" if mouth else "photographs"}_{first // PEOPLE_OF_A_SCENE}'
        scenes.append(Scene(length_s, tuple(talkers), name=name, seed=seed, room=room))
    return scenes
