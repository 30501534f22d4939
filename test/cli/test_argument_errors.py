# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Wrong command lines: exit status 2 and one line that says what to do, before any work."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import soundfile

from av_perception import __version__
from av_perception.cli.main import VERBS, build_parser, main
from av_perception.errors import UserError, describe


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where commands run: a sound of two channels, an empty bag, and a folder of nothing."""
    monkeypatch.chdir(tmp_path)
    soundfile.write('two.wav', np.zeros((1600, 2)), 16000)
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').touch()
    (tmp_path / 'nothing').mkdir()
    return tmp_path


@pytest.mark.parametrize(
    'words, told',
    [
        ('localize two.wav', 'does not say where its microphones are: add --head NAME'),
        ('localize absent.wav', 'there is no recording absent.wav: give a WAV or FLAC'),
        ('localize two.wav --head toaster', "no file 'toaster' and no head of that name; known:"),
        ('localize two.wav --head nao --max-sources 0', '--max-sources must be at least 1, not 0'),
        ('localize two.wav --head nao', '2 channels, the head profile has 4 microphones'),
        ('localize nothing', 'nothing is not a recording: it holds no recording.yaml'),
        ('track nothing', 'nothing is not a recording: it holds no recording.yaml'),
        ('track nothing --head nao', '--head is for bags: a recording folder names its head'),
        ('track bag', 'bag is a bag, which does not know its head: add --head NAME'),
        ('track absent.mcap', 'absent.mcap is a bag, which does not know its head'),
        ('track nothing -o absent/tracks.csv', 'there is no folder'),
        ('track nothing --plot nothing', 'cannot write nothing: it is a folder, name a file'),
        ('simulate absent -o out', "no file 'absent' and no scene of that name; known:"),
        ('simulate short -o out --duration 0', 'duration must lie in 0.2..7200 s, not 0.0'),
        ('simulate short -o out --duration nan', 'duration must lie in 0.2..7200 s, not nan'),
        ('replay bag --rate nan', '--rate must be a positive number, not nan'),
        ('replay bag --rate inf', '--rate must be a positive number, not inf'),
        ('replay bag --wait nan', '--wait must be a number of seconds, not nan'),
        ('evaluate a.csv b.csv --match-distance nan', '--match-distance must be a positive'),
        ('evaluate a.csv b.csv --match-distance inf', '--match-distance must be a positive'),
        ('evaluate a.csv b.csv --match-distance 0', '--match-distance must be a positive'),
        ('demo -o two.wav', 'cannot write to two.wav: it is a file, name a folder'),
        ('benchmark end-to-end --load -1', '--load must not be negative'),
        ('benchmark faults --rounds 0', '--rounds must lie in 1..100, not 0'),
        ('benchmark soak --minutes 0', '--minutes must lie in 0.5..1440, not 0.0'),
        (
            'evaluate a.csv',
            'name two files, TRACKS and TRUTH, or folders of recordings: not a.csv',
        ),
        ('evaluate a.csv b.csv', 'cannot read a.csv: No such file'),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(words, told, folder, capsys):
    before = sorted(folder.rglob('*'))
    assert main(words.split()) == 2
    output, error = capsys.readouterr()
    assert error.startswith('av-perception: error: ') and told in error
    assert error.count('\n') == 1 and 'Traceback' not in error + output
    assert sorted(folder.rglob('*')) == before


@pytest.mark.parametrize(
    'words, told',
    [
        ('', 'required: VERB'),
        ('dance', "invalid choice: 'dance'"),
        ('localize', 'required: RECORDING'),
        ('localize a.wav --max-sources two', "argument --max-sources: invalid int value: 'two'"),
        ('simulate short', 'required: -o/--output'),
        ('simulate short -o out --seed -1', 'argument --seed: must not be negative'),
        ('simulate short -o out --seed one', "invalid seed value: 'one'"),
        ('demo --seed -3', 'argument --seed: must not be negative'),
        ('track a --mode fast', "argument --mode: invalid choice: 'fast'"),
        ('evaluate', 'required: PATH'),
        ('record -o bag --storage tape', "argument --storage: invalid choice: 'tape'"),
        ('replay bag --rate fast', "argument --rate: invalid float value: 'fast'"),
        ('benchmark nothing', "invalid choice: 'nothing'"),
        ('calibrate', 'are required'),
        ('localize a b', 'unrecognized arguments: b'),
        ('up nao --namespace 9x', "argument --namespace: '9x' is no namespace of ROS"),
        ('up nao --namespace rö', "argument --namespace: 'rö' is no namespace of ROS"),
        ('view --namespace a//b', "argument --namespace: 'a//b' is no namespace of ROS"),
        ('doctor --graph --namespace a-b', "argument --namespace: 'a-b' is no namespace"),
    ],
)
def test_what_the_parser_refuses_comes_with_the_usage(words, told, folder, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    output, error = capsys.readouterr()
    assert caught.value.code == 2 and output == ''
    assert error.startswith('usage: av-perception') and told in error.splitlines()[-1]


@pytest.mark.parametrize('verb', VERBS)
def test_the_help_of_every_verb_shows_how_it_is_called(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*verb.split(), '--help'])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert text.startswith(f'usage: av-perception {verb}')
    assert f'av-perception {verb.split()[0]}' in text.partition('\n\n')[2], 'an example'


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as caught:
        main(['--version'])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f'av-perception {__version__}\n'


def test_only_the_chosen_verb_is_imported():
    options = build_parser('track').parse_args(['track', 'here'])
    assert options.run.__module__ == 'av_perception.cli.track'
    assert not hasattr(build_parser('track').parse_args(['demo']), 'run')


@pytest.mark.parametrize('picture', ['localize two.wav --plot', 'evaluate a.csv b.csv --timeline'])
@pytest.mark.parametrize('target', ['absent/p.png', 'nothing', 'two.wav/p.png'])
def test_a_picture_that_cannot_be_written_is_refused_before_the_work(
    picture, target, folder, capsys
):
    """Regression: the sound was localized, the tracks were evaluated, and then the place refused.

    The inputs are wrong too: who works first complains of them.
    """
    assert main([*picture.split(), target]) == 2
    assert capsys.readouterr().err.startswith(f'av-perception: error: cannot write {target}: ')


class Ends(Exception):
    """Nothing that a verb expects."""


@pytest.mark.parametrize(
    'error, status, told',
    [
        (UserError('plug it in'), 2, 'av-perception: error: plug it in\n'),
        (KeyboardInterrupt(), 130, ''),
        (
            OSError(errno.ENOSPC, 'No space left on device', '/full/x'),
            2,
            'av-perception: error: cannot write /full/x: No space left on device; make room there '
            'or write elsewhere\n',
        ),
        (
            PermissionError(errno.EACCES, 'Permission denied', '/secret'),
            2,
            'av-perception: error: cannot use /secret: Permission denied; check the path and its '
            'permissions\n',
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_ends_a_verb_has_its_status_and_its_line(error, status, told, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr('av_perception.cli.main._drop_output', lambda: None)
    monkeypatch.setattr('av_perception.cli.track.run', fail)
    assert main(['track', 'here']) == status
    assert capsys.readouterr().err == told


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(options):
        raise Ends('a bug')

    monkeypatch.setattr('av_perception.cli.track.run', fail)
    with pytest.raises(Ends, match='a bug'):
        main(['track', 'here'])


def test_arguments_for_ros_are_left_to_ros(monkeypatch):
    seen = []
    monkeypatch.setattr('av_perception.cli.track.run', lambda options: seen.append(options) or 0)
    assert main(['track', 'here', '--ros-args', '-r', '__ns:=/robot']) == 0
    assert [str(path) for path in seen[0].recordings] == ['here']


def test_an_error_is_described_in_one_line_with_its_place():
    assert describe(UserError('two\n  lines')) == 'two lines'
    assert describe(ValueError()) == 'ended by itself: ValueError'
    try:
        raise ValueError('first\nsecond')
    except ValueError as error:
        text = describe(error)
    assert text.startswith('ended by itself: ValueError: first second (test_argument_errors.py, ')
    assert '\n' not in text


@pytest.mark.parametrize(
    'words, lost',
    [
        ('enhance two.wav -o two.wav', 'two.wav'),
        ('enhance two.wav -o out.wav --noise ./two.wav', 'two.wav'),
        ('localize two.wav --head head.yaml --json head.yaml', 'head.yaml'),
        ('track rec -o rec/truth.csv', 'truth.csv'),
        ('track rec --json rec/recording.yaml', 'recording.yaml'),
        ('evaluate rec/tracks.csv rec --json rec/tracks.csv', 'tracks.csv'),
        ('track bag --head nao -o bag/bag_0.mcap', 'bag_0.mcap'),
    ],
)
def test_enhance_wrote_over_the_recording_that_it_read(words, lost, folder, capsys):
    (folder / 'rec').mkdir()
    for name in ('head.yaml', 'rec/truth.csv', 'rec/recording.yaml', 'rec/tracks.csv'):
        (folder / name).write_text('mine')
    (folder / 'bag' / 'bag_0.mcap').write_text('mine')
    before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
    assert main(words.split()) == 2
    told = capsys.readouterr().err
    assert f'{lost} is read and would be written over' in told and told.count('\n') == 1
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    'words, told',
    [
        ('up simulated --source file', 'add --recording FOLDER'),
        ('up simulated --source file --recording absent', 'there is no recording absent'),
        ('up respeaker --recording nothing', 'add --source file'),
        ('up respeaker --source file --recording nothing', 'holds no recording.yaml'),
    ],
)
def test_up_without_a_recording_to_play_ran_on_deaf_and_blind(words, told, folder, capsys):
    pytest.importorskip('rclpy')
    assert main(words.split()) == 2
    assert told in capsys.readouterr().err


def test_a_sound_file_is_told_how_to_become_a_recording(folder, capsys):
    assert main(['track', 'two.wav']) == 2
    assert 'put it there as audio.wav' in capsys.readouterr().err


def test_localize_with_one_microphone_ended_in_a_traceback(folder, capsys):
    soundfile.write(folder / 'one.wav', np.zeros(16000), 16000)
    (folder / 'one.yaml').write_text('{name: one, microphones: {coordinates: [[0.0, 0.0, 0.0]]}}')
    assert main(['localize', 'one.wav', '--head', 'one.yaml']) == 2
    assert 'one microphone, which hears no directions' in capsys.readouterr().err
