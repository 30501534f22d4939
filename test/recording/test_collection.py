# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Which recordings, bags and sounds are in a folder, and whether one has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from av_perception.errors import UserError
from av_perception.recording.collection import (
    find_recordings,
    find_sounds,
    input_files,
    state_of_files,
)


def make(*paths: str) -> None:
    for path in map(Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('x')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths: str) -> dict[str, str]:
    return {one.name: str(one.path) for one in find_recordings(map(Path, paths))}


def test_recordings_and_bags_are_found_in_folders_of_folders():
    make('all/b/recording.yaml', 'all/b/left/000000.png', 'all/b/voices/person_1.flac')
    make('all/night/a/recording.yaml', 'all/night/bag/bag_0.mcap', 'all/night/bag/metadata.yaml')
    make('all/.hidden/recording.yaml', 'all/notes/read_me.txt', 'all/tracks.csv')
    assert found('all') == {'b': 'all/b', 'night/a': 'all/night/a', 'night/bag': 'all/night/bag'}


def test_a_recording_without_its_description_is_a_damaged_one_not_none():
    make('all/whole/recording.yaml', 'all/lost/audio.flac', 'all/silent/left.mp4')
    assert list(found('all')) == ['lost', 'silent', 'whole']


def test_each_is_found_once_whatever_leads_to_it():
    make('all/a/recording.yaml', 'all/b/recording.yaml')
    Path('all/link').symlink_to('a')
    Path('all/a/loop').symlink_to('..')
    Path('all/round').symlink_to('.')
    assert list(found('all', 'all/b', 'all')) == ['a', 'b']


def test_what_is_no_recording_stands_for_itself():
    make('empty/read_me.txt')
    assert found('empty', 'absent') == {'empty': 'empty', 'absent': 'absent'}
    assert list(found('.')) == [Path.cwd().name]


def test_equal_names_are_refused():
    make('x/a/recording.yaml', 'y/a/recording.yaml', 'z/one.wav', 'z/one.flac')
    with pytest.raises(UserError, match='x/a and y/a would both be called a: name the folder'):
        find_recordings([Path('x'), Path('y')])
    with pytest.raises(UserError, match='would both be called one'):
        find_sounds([Path('z')])


def test_sounds_lose_their_ending_and_keep_their_dots():
    make('all/take.2.wav', 'all/low/three.FLAC', 'all/notes.txt')
    names = {one.name: one.path for one in find_sounds([Path('all')])}
    assert names == {'low/three': Path('all/low/three.FLAC'), 'take.2': Path('all/take.2.wav')}


def test_any_changed_input_shows_and_no_output_does():
    make('a/recording.yaml', 'a/audio.flac', 'a/left/000000.png', 'a/right.mp4', 'a/head.yaml')

    def state():
        return state_of_files(input_files(Path('a')))

    before = state()
    assert before['files'] == 5
    make('a/tracks.csv', 'a/tracks.csv.run.json', 'a/voices/person_1.flac', 'a/timeline.png')
    assert state() == before
    seen = [before]
    for change in (
        lambda: make('a/left/000001.png'),
        lambda: Path('a/audio.flac').write_text('longer'),
        lambda: os.utime('a/right.mp4', (2e9, 2e9)),
        lambda: Path('a/head.yaml').unlink(),
    ):
        change()
        assert state() not in seen
        seen.append(state())


def test_files_that_are_not_there_are_left_to_their_reader():
    assert state_of_files(input_files(Path('absent'))) == {'files': 0, 'bytes': 0, 'changed_ns': 0}
