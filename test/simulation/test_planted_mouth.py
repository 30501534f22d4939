# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A planted mouth shows what the voice does, where the mouth is, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.simulation.cutout import Cutout
from av_perception.simulation.lip_scenes import Face, lip_scenes
from av_perception.simulation.planted_mouth import BANDS_HZ, PlantedMouth, band_levels
from av_perception.simulation.scene import TalkerConfig

RATE = 16000


def tone(frequency, seconds=1.0, level=1.0):
    return level * np.sin(2 * np.pi * frequency * np.arange(int(RATE * seconds)) / RATE)


def plain_face() -> Cutout:
    texture = np.full((120, 100, 4), 200, np.uint8)
    texture[..., 3] = 255
    return Cutout(texture, np.array([50.0, 50.0]), np.array([0.0675, 0.0877]))


@pytest.mark.parametrize('band', range(len(BANDS_HZ)))
def test_levels_are_those_of_their_bands(band):
    sound = np.concatenate([np.zeros(RATE), tone(np.mean(BANDS_HZ[band]))])
    levels = band_levels(sound, RATE)
    assert levels.shape == (200, len(BANDS_HZ)) and levels.min() >= 0 and levels.max() <= 1
    assert levels[150, band] > 0.95 and levels[50, band] == 0.0


def test_levels_fall_with_the_sound_and_silence_is_no_error():
    sound = np.concatenate([tone(300.0), tone(300.0, level=0.1)])
    levels = band_levels(sound, RATE)
    assert levels[50, 0] - levels[150, 0] == pytest.approx(20 / 45, abs=0.01), '20 dB of 45'
    assert np.isfinite(band_levels(np.zeros(RATE), RATE)).all()


def test_the_mouth_opens_with_the_voice_and_the_rest_of_the_face_stays():
    mouth = PlantedMouth(np.concatenate([np.zeros(RATE), tone(300.0)]), RATE)
    face = plain_face()
    shut, wide = mouth.on(face, 0.5), mouth.on(face, 1.5)
    changed = {}
    for name, view in (('shut', shut), ('wide', wide)):
        rows, columns = np.nonzero((view.texture != face.texture).any(axis=2))
        assert np.abs(columns.mean() - 50) < 1.0 and 68 < rows.mean() < 77, 'below the middle'
        assert columns.min() > 30 and columns.max() < 70
        changed[name] = np.ptp(rows)
        assert (view.texture[..., 3] == 255).all()
    assert changed['wide'] > 1.8 * changed['shut']
    assert (face.texture[..., :3] == 200).all(), 'the view itself is kept'


def test_times_beyond_the_sound_are_those_of_its_end():
    mouth = PlantedMouth(tone(300.0), RATE)
    assert np.array_equal(
        mouth.on(plain_face(), 9.0).texture, mouth.on(plain_face(), 0.99).texture
    )


def test_scenes_let_everybody_speak_twice_and_alone():
    faces = [Face('astronaut')] * 9
    scenes = lip_scenes(faces, ['narrator'] * 9, mouth=True)
    assert [len(scene.talkers) for scene in scenes] == [4, 4]
    spans = sorted(span for talker in scenes[0].talkers for span in talker.turns)
    assert len(spans) == 8 and all(a[1] < b[0] for a, b in zip(spans, spans[1:]))
    assert all(talker.mouth for talker in scenes[0].talkers)


def test_a_clip_has_a_mouth_of_its_own():
    with pytest.raises(ValueError, match='moves already'):
        TalkerConfig(1, ((0.0, 1.0, 0.0, 0.0),), clip='a.mpg', face=(0, 0, 9, 9), mouth=True)
