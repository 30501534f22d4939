# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Held-out scenes are of every kind, and nobody in them was heard before."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from av_perception.benchmarks.held_out_scenes import (
    HEARD_BEFORE,
    KINDS,
    class_of,
    held_out_draws,
    held_out_voices,
)
from av_perception.benchmarks.separation_scenes import (
    FIRST_REPORTED,
    SCENES,
    make_scene,
    speaker_of,
    voice_files,
)
from av_perception.errors import UserError


def test_every_combination_is_there_once_and_has_a_class():
    assert len(KINDS) == 36 and len({kind.label for kind in KINDS}) == 36
    assert Counter(map(class_of, KINDS)) == {
        'sitting, overlap 50 %': 6,
        'sitting, overlap 100 %': 6,
        'moving, overlap 50 %': 12,
        'moving, overlap 100 %': 12,
    }
    assert {kind.array for kind in KINDS} == {'4.6 cm'}


def test_no_two_scenes_have_the_same_seed():
    drawn = list(held_out_draws(KINDS, 3))
    assert len({seed for _, seed in drawn}) == len(drawn) == 108
    # Of a part of the kinds each scene is the same as of all of them.
    assert set(held_out_draws(KINDS[5:9], 2)) < set(drawn)


def test_nobody_was_heard_before(data_directory):
    speakers = {speaker_of(file) for file in held_out_voices(data_directory)}
    tuned = {speaker_of(file) for file in voice_files(data_directory, reported=False)}
    assert len(speakers) == 29 and min(speakers) >= FIRST_REPORTED
    assert not speakers & HEARD_BEFORE and not speakers & tuned
    files = voice_files(data_directory, reported=True)
    for kind in SCENES:  # whose first draws have been reported all along
        chosen = np.random.default_rng(0).choice(len(files), kind.talkers, replace=False)
        assert {speaker_of(files[k]) for k in chosen} <= HEARD_BEFORE


def test_too_few_voices_are_refused(tmp_path):
    folder = tmp_path / 'speech' / 'librispeech_train'
    folder.mkdir(parents=True)
    for name in ('F_7059-1-0', 'M_8629-1-0', 'M_8975-1-0', 'F_19-1-0'):
        (folder / f'{name}.flac').touch()
    with pytest.raises(UserError, match='2 voices that were not heard before'):
        held_out_voices(tmp_path)


@pytest.mark.parametrize('least_deg', [10.0, 119.0])
def test_people_sit_at_least_as_far_apart_as_the_kind_says(data_directory, least_deg):
    kind = replace(KINDS[3], least_apart_deg=least_deg)
    assert kind.talkers == 3
    files = voice_files(data_directory, reported=False)[:3]
    scene = make_scene(kind, 0.2, data_directory, 1, files=files)
    flat = scene.directions[0, :, :2]
    flat = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    apart_deg = np.degrees(np.arccos(np.sort((flat @ flat.T)[np.triu_indices(3, 1)])))
    assert apart_deg.min() >= least_deg - 1e-6
    if least_deg > 100:  # three people have no more than 120 degrees each
        assert apart_deg.max() <= 122
    else:
        assert apart_deg.max() > 122
