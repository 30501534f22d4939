# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Ids do not begin again where a killed tracker left off."""

from __future__ import annotations

import os
import stat
import time

import pytest

from av_perception.ros.id_memory import FRESH_S, IdMemory


@pytest.fixture()
def memory(tmp_path):
    return lambda name='/tracker', domain=7: IdMemory(name, domain, tmp_path)


def test_the_successor_of_a_killed_tracker_goes_on(memory):
    memory().keep(4)
    assert memory().highest == 4


def test_after_an_orderly_end_ids_begin_at_1(memory):
    ending = memory()
    ending.keep(4)
    ending.forget()
    assert memory().highest == 0
    ending.forget()


def test_other_names_and_domains_are_others(memory):
    memory().keep(4)
    assert memory('/left/tracker').highest == 0
    assert memory(domain=8).highest == 0


def test_yesterdays_note_means_nothing(memory, tmp_path):
    memory().keep(4)
    (note,) = tmp_path.iterdir()
    old = time.time() - 2 * FRESH_S
    os.utime(note, (old, old))
    assert memory().highest == 0


@pytest.mark.parametrize('text', ['', 'ids\n', '-3\n', '99999999999999999999\n', '\0' * 30])
def test_a_damaged_note_means_nothing(memory, tmp_path, text):
    memory().keep(4)
    (note,) = tmp_path.iterdir()
    note.write_text(text)
    assert memory().highest == 0


def test_a_link_is_not_followed(memory, tmp_path):
    memory().keep(4)
    (note,) = tmp_path.iterdir()
    other = tmp_path / 'other'
    other.write_text('9\n')
    note.unlink()
    note.symlink_to(other)
    forged = memory()
    forged.keep(5)
    assert other.read_text() == '9\n' and memory().highest == 0


def test_the_note_is_for_its_user_only_and_seldom_written(memory, tmp_path):
    kept = memory()
    kept.keep(1)
    (note,) = tmp_path.iterdir()
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    written_ns = note.stat().st_mtime_ns
    for _ in range(100):
        kept.keep(1)
    assert note.stat().st_mtime_ns == written_ns


def test_a_folder_that_cannot_be_written_hands_nothing_over(tmp_path):
    kept = IdMemory('/tracker', 7, tmp_path / 'missing')
    kept.keep(4)
    assert kept.highest == 4, 'in this process it is known'
