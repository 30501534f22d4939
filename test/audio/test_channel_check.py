# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Channels that are dead, clipped, offset, copied, exchanged or turned are named.

Planted faults, simulated arrays, real recordings.
"""

import itertools
import json

import numpy as np
import pytest
import soundfile
from known_sounds import RATE, heard

from av_perception.audio.channel_check import KnownSound, check_order, telling_azimuth
from av_perception.audio.channel_faults import ChannelCheckConfig, ChannelFault, channel_faults
from av_perception.cli import sound_check
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray


def reordered(sound, order):
    return KnownSound(sound.samples[:, list(order)], sound.sample_rate, sound.azimuth)


@pytest.mark.parametrize(
    'spoil, word',
    [
        (lambda x: np.zeros_like(x), 'dead'),
        (lambda x: 1e-4 * x, 'dead'),
        (lambda x: np.clip(30 * x, -1, 1), 'clips'),
        (lambda x: x + 0.3, 'DC'),
        (lambda x: 0.05 * x, 'dB quieter'),
        (lambda x: np.where(np.arange(len(x)) == 5, np.nan, x), 'not numbers'),
    ],
)
def test_a_spoilt_channel_is_named(spoil, word):
    samples = 0.1 * np.random.default_rng(0).standard_normal((RATE, 4)).clip(-4, 4)
    assert channel_faults(samples) == {}
    samples[:, 2] = spoil(samples[:, 2])
    faults = channel_faults(samples)
    assert word in faults[2].text and (
        set(faults) == {2} or word == 'clips'
    )  # what clips makes the others look quiet


def test_a_copied_channel_is_named():
    samples = 0.1 * np.random.default_rng(1).standard_normal((RATE, 3))
    samples[:, 2] = samples[:, 0]
    assert channel_faults(samples) == {2: ChannelFault('is a copy of channel 0')}


@pytest.mark.slow
@pytest.mark.parametrize('name', ['nao', 'pepper', 'respeaker'])
def test_every_order_is_found_from_a_telling_direction(name):
    array = load_head(name).microphones
    azimuth = np.degrees(telling_azimuth(array))
    sound = heard(array, azimuth, np.random.default_rng(2))
    for order in itertools.permutations(range(4)):
        found = check_order([reordered(sound, np.argsort(order))], array)
        assert found.orders == (order,)
        assert bool(found.problem) == (order != (0, 1, 2, 3))


def test_one_clap_is_enough():
    """5 ms of noise in two seconds of a quiet room."""
    array, rng = load_head('respeaker').microphones, np.random.default_rng(12)
    clap = np.zeros(2 * RATE)
    clap[RATE : RATE + 80] = 3 * rng.standard_normal(80)
    found = check_order([reordered(heard(array, 65, rng, signal=clap), (1, 0, 2, 3))], array)
    assert found.orders == ((1, 0, 2, 3),) and found.problem


def test_two_directions_tell_what_one_cannot():
    array = load_head('respeaker').microphones
    rng = np.random.default_rng(3)
    sounds = [reordered(heard(array, azimuth, rng), (3, 2, 1, 0)) for azimuth in (180, 90)]
    alone = check_order(sounds[:1], array)
    assert not alone.problem and len(alone.orders) == 4
    both = check_order(sounds, array)
    assert (
        both.orders == ((3, 2, 1, 0),)
        and 'order' in both.problem
        and 'left and right' in both.problem
    )


@pytest.mark.parametrize('turn, words', [(90, 'turned by 90'), (-45, 'turned by -45')])
def test_a_turned_array_is_named(turn, words):
    array = load_head('respeaker').microphones
    found = check_order(
        [
            KnownSound(
                heard(array, a - turn, np.random.default_rng(4)).samples, RATE, np.radians(a)
            )
            for a in (20, 130)
        ],
        array,
    )
    assert words in found.problem


def test_a_mirrored_head_is_named():
    array = load_head('kemar').microphones
    found = check_order([reordered(heard(array, 50, np.random.default_rng(5)), (1, 0))], array)
    assert found.orders == ((1, 0),) and 'left and right are exchanged' in found.problem


def test_microphones_are_found_among_more_channels():
    array = load_head('respeaker').microphones
    rng = np.random.default_rng(6)
    sound = heard(array, np.degrees(telling_azimuth(array)), rng)
    other = 0.05 * rng.standard_normal((len(sound.samples), 1))
    found = check_order(
        [
            KnownSound(
                np.concatenate([other, sound.samples, other[::-1]], axis=1), RATE, sound.azimuth
            )
        ],
        array,
    )
    assert found.orders == ((1, 2, 3, 4),)


def test_exchanges_are_found_in_arrays_too_large_to_try_every_order():
    rng = np.random.default_rng(7)
    array = MicrophoneArray(tuple(map(tuple, rng.uniform(-0.1, 0.1, (12, 3)))))
    sounds = [heard(array, azimuth, rng, 0.8) for azimuth in (10, 100, -140)]
    order = np.arange(12)
    order[[2, 9]] = order[[9, 2]]
    found = check_order([reordered(s, order) for s in sounds], array)
    assert found.orders[0] == tuple(order)


def test_noise_from_everywhere_fits_nothing():
    array = load_head('respeaker').microphones
    samples = 0.1 * np.random.default_rng(8).standard_normal((2 * RATE, 4))
    assert 'fit no order' in check_order([KnownSound(samples, RATE, 0.5)], array).problem


@pytest.mark.parametrize(
    'samples, word',
    [
        (np.zeros((RATE, 4)), 'no sound'),
        (np.zeros((10, 4)), 'too short'),
        (np.ones((RATE, 3)), 'shape'),
    ],
)
def test_unusable_sound_is_refused(samples, word):
    with pytest.raises(UserError, match=word):
        check_order([KnownSound(samples, RATE, 0.0)], load_head('respeaker').microphones)


@pytest.mark.parametrize(
    'bad', [dict(dead_db=10.0), dict(lowest_hz=0.0), dict(least_fit=0.0), dict(loud_db=-1.0)]
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        ChannelCheckConfig(**bad)


@pytest.mark.parametrize('distance', ['50cm', '150cm', '250cm'])
def test_real_recordings_with_exchanged_channels(distance, data_directory):
    """From straight behind the square tells its front pair from its rear pair.

    4 of 24 orders are alike, the other 20 are wrong.
    """
    array = load_head('respeaker').microphones
    samples, rate = soundfile.read(
        next((data_directory / 'array_respeaker4' / 'a180e20' / distance).glob('*.flac'))
    )
    assert channel_faults(samples) == {}
    for order in itertools.permutations(range(4)):
        found = check_order(
            [KnownSound(samples[:, np.argsort(order)], rate, np.pi, np.radians(20))], array
        )
        same_rear = {order[1], order[2]} == {1, 2}
        assert (
            order in found.orders and len(found.orders) == 4 and bool(found.problem) != same_rear
        )


def doctor(path, sound, *arguments):
    """The exit status of the command for sound from 65 degrees."""
    soundfile.write(path, sound.samples, sound.sample_rate, subtype='FLOAT')
    return main(
        ['doctor', '--head', 'respeaker', '--sound', str(path), '--azimuth', '65', *arguments]
    )


def test_the_command_names_the_order(tmp_path, capsys):
    array = load_head('respeaker').microphones
    sound = heard(array, 65, np.random.default_rng(9))
    figures = tmp_path / 'found.json'
    assert doctor(tmp_path / 'a.wav', sound, '--json', str(figures)) == 0
    assert json.loads(figures.read_text())[-1]['well'] is True
    exchanged = reordered(sound, (1, 0, 2, 3))
    assert doctor(tmp_path / 'b.wav', exchanged, '--json', str(figures)) == 1
    assert 'channels 1,0,2,3' in json.loads(figures.read_text())[-1]['text']


def test_the_command_leaves_the_order_alone_when_a_channel_is_dead(tmp_path, capsys):
    sound = heard(load_head('respeaker').microphones, 65, np.random.default_rng(10))
    sound.samples[:, 1] = 0
    assert doctor(tmp_path / 'a.wav', sound) == 1
    text = capsys.readouterr().out
    assert 'channel 1' in text and 'dead' in text and 'mend the channels' in text


@pytest.mark.parametrize(
    'arguments',
    [
        ['--azimuth', '3'],
        ['--head', 'nao', '--sound', 'a.wav'],
        ['--head', 'nao', '--sound', 'absent.wav', '--azimuth', '3'],
    ],
)
def test_wrong_arguments_are_one_clear_line(arguments, capsys):
    assert main(['doctor', *arguments]) == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_a_live_clap_is_checked(monkeypatch, capsys):
    """A stand-in for the sound card, which no test machine has."""
    array = load_head('respeaker').microphones
    sound = heard(array, 65, np.random.default_rng(11))

    class Card:
        def __init__(self, device, num_channels, sample_rate):
            self.sample_rate = sample_rate

        def start(self, chunk_size, now_ns, on_chunk, on_event, on_error, latency_s):
            for start in range(0, len(sound.samples), chunk_size):
                on_chunk(
                    AudioChunk(
                        0,
                        RATE,
                        start,
                        sound.samples[start : start + chunk_size].astype(np.float32),
                    )
                )

        def stop(self):
            pass

    monkeypatch.setattr(sound_check, 'SoundCard', Card)
    monkeypatch.setattr(sound_check, '_RECORD_S', 0.0)
    assert main(['doctor', '--head', 'respeaker', '--azimuth', '65']) == 0
    assert main(['doctor', '--head', 'respeaker', '--azimuth', '-65']) == 1
    assert 'mirrored' in capsys.readouterr().out
