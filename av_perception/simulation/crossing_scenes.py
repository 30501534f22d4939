# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes to render of the people who cross: with faces, voices, a room."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from av_perception.paths import cache_directory
from av_perception.robot_head import load_head
from av_perception.simulation.assets import PHOTOGRAPHS, VOICES, asset_path, ensure_assets
from av_perception.simulation.crossings import crossing
from av_perception.simulation.scene import ConversationConfig, RoomConfig, Scene, TalkerConfig

HEAD = 'simulated'
_DIM = 0.35  # of the light on who walks in the dark
# Everybody stays away from the walls, and who waits outside of the view is still in the room.
_ROOM = RoomConfig(size=(7.0, 9.0, 2.8), head_position=(1.0, 4.5, 1.4), snr_db=20.0)


def crossing_scene(kind: str, seed: int) -> Scene:
    """Cast the walks of a kind: photographs and voices in an order of the seed's own.

    Parameters
    ----------
    kind
        One of `crossings.CROSSINGS`.
    seed
        Of walks, cast, turns of speech and noise, not negative.

    Raises
    ------
    UserError
        When photographs or voices cannot be downloaded.
    """
    head = load_head(HEAD)
    assert head.camera is not None
    walks = crossing(kind, seed, head.camera)
    random = np.random.default_rng([seed, 4])
    photos = random.permutation(sorted(PHOTOGRAPHS)).tolist()
    voices = random.permutation(sorted(VOICES)).tolist()
    talkers = []
    for index, path in enumerate(walks.paths):
        talker = TalkerConfig(index + 1, path, voice=voices[index], photo=photos[index])
        talkers.append(_in_the_dark(talker) if walks.dark else talker)
    return Scene(
        duration=walks.duration_s,
        talkers=tuple(talkers),
        name=f'{kind}_{seed}',
        seed=seed,
        head=HEAD,
        room=_ROOM,
        conversation=ConversationConfig(turn=(1.0, 2.5), pause=0.8),
    )


def _in_the_dark(talker: TalkerConfig) -> TalkerConfig:
    """Take a dimmed copy of the photograph, which is kept in the cache."""
    known = PHOTOGRAPHS[talker.photo]
    dimmed = cache_directory() / 'dimmed' / f'{Path(known.file).stem}.png'
    if not dimmed.is_file():
        dimmed.parent.mkdir(parents=True, exist_ok=True)
        ensure_assets(names=(talker.photo,))
        image = cv2.imread(str(asset_path(talker.photo)))
        # A copy that is cut short must not be found the next time.
        with tempfile.TemporaryDirectory(dir=dimmed.parent) as folder:
            partial = Path(folder) / dimmed.name
            cv2.imwrite(str(partial), cv2.convertScaleAbs(image, alpha=_DIM))
            os.replace(partial, dimmed)
    return replace(talker, photo=str(dimmed), face=known.face)
