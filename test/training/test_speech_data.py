# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Speech to train on: talkers apart, files of any quality, sequences within recordings."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from toy_talkers import RATE, voice, write_talkers

from av_perception.dvae.spectra import FLOOR, PRIOR_TRANSFORM
from av_perception.errors import UserError
from av_perception.training.speech_data import (
    gather_frames,
    read_speech,
    read_talkers,
    sequence_starts,
    split_talkers,
)


def test_talkers_of_the_parts_are_disjoint_and_repeat_with_the_seed(tmp_path):
    write_talkers(tmp_path, 9)
    parts = split_talkers(tmp_path, 2, 3, seed=4)
    names = [{path.name for path in part} for part in (parts.train, parts.check, parts.test)]
    assert [len(part) for part in names] == [4, 2, 3]
    assert len(set.union(*names)) == 9
    assert split_talkers(tmp_path, 2, 3, seed=4) == parts
    assert split_talkers(tmp_path, 2, 3, seed=5) != parts


def test_a_sub_folder_is_a_talker(tmp_path):
    for talker in ('anna', 'bert', 'carl'):
        write_talkers(tmp_path / talker, 2)
    parts = split_talkers(tmp_path, 1, 1, seed=0)
    folders = [{path.parent.name for path in part} for part in (parts.train, parts.check)]
    assert all(len(found) == 1 for found in folders)
    assert folders[0] != folders[1]
    assert len(parts.train) == 2


def test_folders_that_cannot_serve_are_answered(tmp_path):
    with pytest.raises(UserError, match='there is no folder'):
        split_talkers(tmp_path / 'none', 1, 1, seed=0)
    write_talkers(tmp_path, 2)
    with pytest.raises(UserError, match='has 2 talkers'):
        split_talkers(tmp_path, 1, 1, seed=0)


def test_speech_comes_without_silent_ends_at_full_scale_and_at_16_khz(tmp_path):
    sound = np.concatenate([np.zeros(8000), 0.1 * voice(120), np.zeros(8000)])
    path = tmp_path / 'talker.wav'
    soundfile.write(path, np.stack([sound, -sound], axis=1), RATE)
    plain = read_speech(path)
    assert np.abs(plain).max() == pytest.approx(1)
    assert 1.4 * RATE < len(plain) < 1.7 * RATE
    soundfile.write(path, np.repeat(sound, 2), 2 * RATE)
    assert len(read_speech(path)) == pytest.approx(len(plain), abs=512)


def test_files_without_speech_are_left_out_and_broken_ones_named(tmp_path):
    silent = tmp_path / 'silent.wav'
    soundfile.write(silent, np.zeros(RATE * 2), RATE)
    assert not len(read_speech(silent))
    short = tmp_path / 'short.wav'
    soundfile.write(short, voice(100, 0.2), RATE)
    assert not len(read_speech(short))
    holes = tmp_path / 'holes.wav'
    sound = voice(100)
    sound[100:200] = np.nan
    soundfile.write(holes, sound, RATE, subtype='FLOAT')
    assert np.isfinite(read_speech(holes)).all()
    with pytest.raises(UserError, match='no file has speech'):
        gather_frames([silent, short])
    with pytest.raises(UserError, match='no second of speech'):
        read_talkers([silent, short])
    assert len(read_talkers([silent, holes])) == 1
    broken = tmp_path / 'broken.wav'
    broken.write_bytes(b'RIFF')
    with pytest.raises(UserError, match='broken.wav'):
        read_speech(broken)


def test_frames_are_log_powers_above_the_floor(tmp_path):
    path = next(write_talkers(tmp_path, 1).iterdir())
    frames = gather_frames([path, path])
    sound = read_speech(path)
    power = np.abs(PRIOR_TRANSFORM.forward(sound)) ** 2
    assert frames.lengths.tolist() == [len(power)] * 2
    found = frames.log_power[len(power) :].astype(float)
    assert np.allclose(found, np.log(power + FLOOR), atol=1e-2)
    faster = gather_frames([path], speed=1.25)
    assert faster.lengths[0] == pytest.approx(len(power) / 1.25, abs=3)


def test_sequences_lie_within_recordings_and_cover_them():
    lengths = np.array([7, 2, 12, 4])
    owner = np.repeat(np.arange(4), lengths)
    rng = np.random.default_rng(0)
    seen = np.zeros(len(owner), bool)
    for _ in range(20):
        starts = sequence_starts(lengths, 4, rng)
        assert len(starts) == 1 + 0 + 3 + 1
        rows = starts[:, None] + np.arange(4)
        assert (owner[rows] == owner[starts][:, None]).all()
        assert len(np.unique(rows)) == rows.size
        seen[rows.ravel()] = True
    assert seen[owner != 1].all()
    assert not seen[owner == 1].any()


def test_single_frames_are_all_taken_once():
    starts = sequence_starts(np.array([3, 5]), 1, np.random.default_rng(0))
    assert sorted(starts) == list(range(8))
    assert list(starts) != list(range(8))
