# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Every reader of files is fed what is no such file: one line says so, never a traceback."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from hostile_files import (
    ALLOWED,
    DAMAGES,
    NUM_IMAGES,
    PARTS,
    RATE,
    READERS,
    cut,
    read_recording,
    read_sound,
    write_headerless_sound,
    write_recording,
    write_sound,
    write_video,
)

from av_perception.audio.channel_faults import channel_faults
from av_perception.audio.responses import read_schedule
from av_perception.calibration.calibration_places import read_places
from av_perception.cli.main import main
from av_perception.config import read_yaml
from av_perception.errors import UserError
from av_perception.recording import Recording, TruthTable


def expect_one_line(read, path: Path) -> None:
    """Only UserError may come out, in one line; some damage hurts nobody."""
    try:
        read(path)
    except UserError as error:
        text = str(error)
        assert text.strip() and '\n' not in text and not re.search(r'Traceback|<class', text)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Puts a whole file of a kind into a folder; it, and what lies beside it, is written once."""
    written = {}

    def put(name, write, path):
        if name not in written:
            folder = tmp_path_factory.mktemp('whole')
            write(folder / path.name)
            written[name] = folder
        shutil.copytree(written[name], path.parent, dirs_exist_ok=True)
        return path

    return put


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('name', READERS)
def test_a_hostile_file_is_one_line(name, damage, tmp_path, whole):
    file_name, write, read = READERS[name]
    path = whole(name, write, tmp_path / file_name)
    DAMAGES[damage](path)
    expect_one_line(read, path)


@pytest.mark.parametrize('damage', ['empty', 'random', 'text', 'a folder', 'unreadable', 'absent'])
@pytest.mark.parametrize('name', READERS)
def test_what_is_no_such_file_is_refused(name, damage, tmp_path, whole):
    file_name, write, read = READERS[name]
    path = whole(name, write, tmp_path / file_name)
    DAMAGES[damage](path)
    if (name, damage) in ALLOWED:
        read(path)
        return
    with pytest.raises(UserError):
        read(path)


@pytest.mark.parametrize(
    'name', [name for name in READERS if name not in ('headerless sound', 'clip')]
)
def test_the_whole_file_is_read(name, tmp_path):
    file_name, write, read = READERS[name]
    write(tmp_path / file_name)
    read(tmp_path / file_name)


@pytest.mark.parametrize('damage', DAMAGES)
@pytest.mark.parametrize('part', PARTS)
def test_a_hostile_part_of_a_recording_is_one_line(part, damage, tmp_path, whole):
    whole('a recording', write_recording, tmp_path / 'r')
    DAMAGES[damage](tmp_path / 'r' / part)
    expect_one_line(read_recording, tmp_path / 'r')


# ---- one regression test for each thing that went wrong


@pytest.mark.parametrize(
    'arguments',
    [
        'localize odas.raw --head respeaker',
        'doctor --head respeaker --sound odas.raw --azimuth 0',
        'calibrate acoustic --head respeaker --recording odas.raw --directions s.csv -o m.npz',
    ],
)
def test_headerless_sound_is_told_how_to_become_a_wav(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_headerless_sound(tmp_path / 'odas.raw')
    (tmp_path / 's.csv').write_text('start,end,azimuth_deg,elevation_deg\n0,1,30,0\n')
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err.strip()
    assert '\n' not in error and 'no header' in error and 'sox' in error and 'odas.wav' in error


def test_a_flac_file_that_is_cut_names_the_sample(tmp_path):
    write_sound(tmp_path / 'a.flac')
    cut(0.5)(tmp_path / 'a.flac')
    with pytest.raises(UserError, match='again'):
        read_sound(tmp_path / 'a.flac')


def test_a_key_that_is_twice_in_a_yaml_file_is_named(tmp_path):
    (tmp_path / 'a.yaml').write_text('a: 1\nb: {c: 2, c: 3}\n')
    with pytest.raises(UserError, match="'c' is there twice"):
        read_yaml(tmp_path / 'a.yaml')


SPREADSHEETS = {
    'byte order mark': '\ufeffstart,end,x,y,z\n0,1.5,0.5,0,0.1\n',
    'blanks': ' start , end, x ,y,z \n 0 , 1.5,0.5, 0,0.1 \n',
    'carriage returns': 'start,end,x,y,z\r\n0,1.5,0.5,0,0.1\r\n\r\n',
    'old line ends': 'start,end,x,y,z\r0,1.5,0.5,0,0.1\r',
    'empty rows': '\nstart,end,x,y,z\n\n0,1.5,0.5,0,0.1\n,,,,\n',
    'semicolons': 'start;end;x;y;z\n0;1.5;0.5;0;0.1\n',
    'decimal commas': '\ufeffstart;end;x;y;z\r\n0;1,5;0,5;0;0,1\r\n',
    'tabs': 'start\tend\tx\ty\tz\n0\t1.5\t0.5\t0\t0.1\n',
    'quotes': '"start","end","x","y","z"\n"0","1.5","0.5","0","0.1"\n',
}


@pytest.mark.parametrize('style', SPREADSHEETS)
def test_every_table_is_read_as_a_spreadsheet_saves_it(style, tmp_path):
    path = tmp_path / 'a.csv'
    text = SPREADSHEETS[style]
    path.write_bytes(text.encode())
    (place,) = read_places(path)
    assert (place.start_s, place.end_s, *place.position) == (0, 1.5, 0.5, 0, 0.1)
    path.write_bytes(re.sub('x(.+?)y(.+?)z', r'azimuth_deg\1elevation_deg\2room', text).encode())
    np.testing.assert_array_equal(read_schedule(path), [[0, 1.5, 0.5, 0]])
    path.write_bytes(
        re.sub('start(.+?)end', r'time\1id', text).replace('1.5', '3').replace('1,5', '3').encode()
    )
    with pytest.raises(UserError, match="'speaking' is missing"):
        TruthTable.read(path)


@pytest.mark.parametrize('header', ['start,end,x,y,z,x', 'start;end,x;y;z', 'start end x y z'])
def test_headers_that_could_mean_two_things_are_refused(header, tmp_path):
    (tmp_path / 'a.csv').write_text(f'{header}\n0,1,0.5,0,0.1,3\n')
    with pytest.raises(UserError):
        read_places(tmp_path / 'a.csv')


def test_a_video_of_another_container_is_read_and_what_is_not_read_is_named(tmp_path):
    write_recording(tmp_path / 'r')
    (tmp_path / 'r' / 'left.mp4').unlink()
    told = Recording.open(tmp_path / 'r').problem
    assert 'speaks of them (frame_rate)' in told
    write_video(tmp_path / 'r' / 'left.mkv')
    assert Recording.open(tmp_path / 'r').num_frames == NUM_IMAGES
    (tmp_path / 'r' / 'right.h264').write_bytes(b'x')
    with pytest.raises(UserError, match='right.h264 is not used'):
        Recording.open(tmp_path / 'r')
    (tmp_path / 'r' / 'right.h264').unlink()
    write_video(tmp_path / 'r' / 'left.avi')
    with pytest.raises(UserError, match='both left.avi and left.mkv'):
        Recording.open(tmp_path / 'r')


def test_integers_stored_as_floats_are_no_gain_to_be_turned_down():
    random = np.random.default_rng(7)
    integers = np.round(8000 * random.uniform(-4, 4, (RATE, 2)))
    for fault in channel_faults(integers).values():
        assert 'integers stored as floats' in fault.text and fault.usable
    assert not channel_faults(integers / 32768)
    overdriven = np.clip(random.standard_normal((RATE, 2)), -1, 1)
    assert all('turn its gain down' in fault.text for fault in channel_faults(overdriven).values())
