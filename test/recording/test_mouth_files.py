# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Mouths in files come back, are their owner's alone, and are refused when damaged."""

from __future__ import annotations

import numpy as np
import pytest
from planted_mouths import banded_voice, showing_mouths
from planted_voices import START_NS

from av_perception.errors import UserError
from av_perception.recording.mouth_files import read_mouths, write_mouths

MOUTHS = list(showing_mouths(banded_voice(0.4, 1), START_NS, 1))


def test_mouths_come_back_and_are_private(tmp_path):
    [path] = write_mouths(tmp_path / 'mouths', {3: MOUTHS, 4: []}, START_NS)
    assert path.name == 'person_3.npz' and path.stat().st_mode & 0o077 == 0
    found = read_mouths(path)
    assert len(found) == len(MOUTHS)
    for (stamp_ns, crop), (found_ns, back) in zip(MOUTHS, found):
        assert abs(found_ns - (stamp_ns - START_NS)) <= 1
        assert np.array_equal(back.mouth, crop.mouth) and np.array_equal(back.box, crop.box)
        assert back.reliability == crop.reliability and np.isnan(back.opening)


def test_files_that_hold_no_mouths_are_refused(tmp_path):
    [path] = write_mouths(tmp_path, {1: MOUTHS}, START_NS)
    arrays = dict(np.load(path))
    np.savez(tmp_path / 'cut.npz', **{**arrays, 'mouth': arrays['mouth'][:3]})
    with pytest.raises(UserError, match='damaged'):
        read_mouths(tmp_path / 'cut.npz')
    np.savez(tmp_path / 'other.npz', weights=np.zeros(3))
    (tmp_path / 'text.npz').write_text('no zip')
    for name in ('other.npz', 'text.npz', 'absent.npz'):
        with pytest.raises(UserError, match='holds no mouths'):
            read_mouths(tmp_path / name)


def test_hostile_numbers_are_not_relied_on(tmp_path):
    [path] = write_mouths(tmp_path, {1: MOUTHS[:3]}, START_NS)
    arrays = dict(np.load(path))
    arrays['reliability'][:] = (np.nan, 7.0, -1.0)
    arrays['time_s'][:] = (0.08, np.nan, 0.0)
    np.savez(path, **arrays)
    found = read_mouths(path)
    assert [stamp_ns for stamp_ns, _ in found] == [0, 80_000_000], 'in order of time'
    assert [crop.reliability for _, crop in found] == [0.0, 0.0]
