# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered scenes are kept, and an edited scene is another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from av_perception.robot_head import load_head
from av_perception.simulation import cache
from av_perception.simulation.scene import RoomConfig


@dataclass(frozen=True)
class Talker:
    voice: str
    photo: str = ''
    clip: str = ''


@dataclass(frozen=True)
class Scene:
    talkers: tuple
    room: RoomConfig = field(default_factory=RoomConfig)
    noise: tuple = ()

    def load_head(self):
        return load_head('simulated')


def test_a_scene_is_rendered_once_and_again_when_its_files_change(tmp_path, monkeypatch):
    """Regression: the key knew names only, so an edited voice played the old rendering."""
    voice, rendered = tmp_path / 'voice.wav', []
    voice.write_bytes(b'one')
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(cache, 'load_scene', lambda name: Scene((Talker(str(voice)),)))
    monkeypatch.setattr(
        cache,
        'simulate',
        lambda scene, folder, seed, progress: (
            rendered.append(seed),
            Path(folder).mkdir(parents=True),
        ),
    )
    monkeypatch.setattr(cache.Recording, 'open', lambda folder: folder)
    first = cache.simulated_recording('mine')
    assert cache.simulated_recording('mine') == first and len(rendered) == 1
    assert cache.simulated_recording('mine', seed=3) != first
    voice.write_bytes(b'two')
    assert cache.simulated_recording('mine') != first and len(rendered) == 3


def test_a_planted_mouth_is_another_scene_and_photographs_are_those_from_before():
    """Regression: a field for mouths made all renderings that were kept worthless."""
    from dataclasses import replace

    from av_perception.simulation.scene import load_scene

    scene = load_scene('short')
    plain = cache._digest(scene, None)
    planted = replace(scene, talkers=tuple(replace(t, mouth=True) for t in scene.talkers))
    assert cache._digest(planted, None) != plain
    assert "'mouth'" not in repr(cache.described(scene)) and "'mouth'" in repr(
        cache.described(planted)
    )
