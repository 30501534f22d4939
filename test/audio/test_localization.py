# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Localization of sources in simulated rooms and real recordings; the command's manners."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from acoustic_maps import RATE
from scipy.signal import resample_poly

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig, extract_features
from av_perception.audio.localization import LocalizationConfig, analysis_of, localize
from av_perception.audio.map_learning import head_map
from av_perception.audio.training_examples import AcousticMapConfig
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles, wrap_angle
from av_perception.robot_head import load_head

DATA = Path(
    os.environ.get('AV_PERCEPTION_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data')
)
RESPEAKER = DATA / 'array_respeaker4'
needs_recordings = pytest.mark.skipif(
    not RESPEAKER.is_dir(), reason=f'no recordings at {RESPEAKER}: set AV_PERCEPTION_DATA'
)
QUIET = AudioFrontEndConfig(voice_activity=False)


@pytest.fixture(scope='module')
def acoustic_map(tmp_path_factory):
    """The simulated head's map, learnt once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('AV_PERCEPTION_CACHE', str(tmp_path_factory.mktemp('cache')))
        return head_map(load_head('simulated').microphones, AcousticMapConfig(), QUIET)


def speech_like(rng, seconds):
    """Noise with roughly the spectrum and the syllables of speech.

    4 Hz bursts that fall off above 500 Hz.
    """
    from scipy.signal import butter, lfilter

    noise = lfilter(*butter(1, 800 / (RATE / 2)), rng.standard_normal(round(seconds * RATE)))
    syllables = np.repeat(rng.random(round(seconds * 8)) < 0.6, RATE // 8)[: len(noise)]
    return noise * np.convolve(syllables, np.hanning(800) / 400, mode='same')


def room_sound(signals, azimuths_deg, rng):
    """(samples, 4): sources at 1.8 m around the simulated head in a room of T60 0.3 s."""
    import pyroomacoustics as pra

    size = (6.0, 5.0, 2.8)
    absorption, order = pra.inverse_sabine(0.3, size)
    room = pra.ShoeBox(size, fs=RATE, materials=pra.Material(absorption), max_order=min(order, 15))
    head = np.array([2.7, 2.3, 1.3])
    for signal, azimuth in zip(signals, np.radians(azimuths_deg)):
        room.add_source(head + 1.8 * direction_from_angles(azimuth, 0.05), signal=signal)
    room.add_microphone_array((head + load_head('simulated').microphones.positions).T)
    room.simulate()
    sound = room.mic_array.signals.T
    return (sound + 0.005 * np.std(sound) * rng.standard_normal(sound.shape)).astype(np.float32)


def features_of(sound):
    front_end = AudioFrontEnd(QUIET, sound.shape[1], RATE)
    return list(
        extract_features(
            front_end, lambda start, count: sound[start : start + count], len(sound), RATE
        )
    )


@pytest.mark.slow
def test_turns_in_a_room_are_given_to_the_true_talker(acoustic_map):
    """Two talkers 35 degrees apart take turns of 1.5 s.

    The sub-bands of nearly every frame prefer the one who speaks.
    """
    rng = np.random.default_rng(4)
    azimuths, turn = np.array([40.0, 75.0]), round(1.5 * RATE)
    first, second = speech_like(rng, 6), speech_like(rng, 6)
    speaker = np.arange(len(first)) // turn % 2
    sound = room_sound([first * (speaker == 0), second * (speaker == 1)], azimuths, rng)
    candidates = direction_from_angles(np.radians(azimuths), 0.05)
    right = []
    for features in features_of(sound):
        sample = round(features.stamp_ns * 1e-9 * RATE)
        if features.valid.sum() < 2 or sample >= len(speaker) or sample % turn < 0.15 * RATE:
            continue
        likelihood = acoustic_map.log_likelihood(features.vectors, features.present, candidates)[
            features.valid
        ].sum(axis=0)
        right.append(likelihood.argmax() == speaker[sample])
    assert len(right) > 40
    assert np.mean(right) > 0.9


def test_two_talkers_at_once_are_both_found(acoustic_map):
    rng = np.random.default_rng(5)
    sound = room_sound([speech_like(rng, 5), speech_like(rng, 5)], [-100.0, -30.0], rng)
    found = localize(features_of(sound), acoustic_map, LocalizationConfig(max_sources=2))
    azimuths = np.degrees([s.azimuth for s in found.sources])
    assert len(azimuths) == 2
    for truth in (-100.0, -30.0):
        assert np.abs(azimuths - truth).min() < 10


def test_silence_is_refused(acoustic_map):
    with pytest.raises(UserError, match='no sound'):
        localize(features_of(np.zeros((RATE, 4), np.float32)), acoustic_map, LocalizationConfig())
    with pytest.raises(UserError, match='no sound'):
        localize([], acoustic_map, LocalizationConfig())


@pytest.mark.parametrize(
    'bad',
    [
        dict(max_sources=0),
        dict(separation_deg=0.0),
        dict(onset_fade=1.0),
        dict(band_db=-1.0),
        dict(num_directions=0),
        dict(candidates=0),
        dict(min_gain=-1.0),
        dict(min_share=1.0),
        dict(highest_deg=100.0),
        dict(max_reflections=-1),
    ],
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        LocalizationConfig(**bad)


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('command_cache')


def localized(sound, figures, *arguments, head='respeaker'):
    """The exit status of the command, and the figures that it wrote."""
    status = main(['localize', str(sound), '--head', head, '--json', str(figures), *arguments])
    return status, json.loads(figures.read_text())


@pytest.mark.slow
@needs_recordings
@pytest.mark.parametrize('distance', ['50cm', '150cm', '250cm'])
def test_real_recordings_of_one_source(distance, tmp_path, monkeypatch, cache, capsys):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    (recording,) = (RESPEAKER / 'a180e20' / distance).iterdir()
    arguments = ['--max-sources', '3', '--plot', str(tmp_path / 'out.png')]
    status, result = localized(recording, tmp_path / 'out.json', *arguments)
    (source,) = result['sources']
    assert status == 0
    assert abs(np.degrees(wrap_angle(np.radians(source['azimuth_deg'] - 180)))) < 3
    assert abs(source['elevation_deg'] - 20) < 10
    assert source['confidence'] > 0.6 and len(result['frames']) > 30
    assert (tmp_path / 'out.png').read_bytes()[:4] == b'\x89PNG'
    assert 'azimuth' in capsys.readouterr().out


@pytest.mark.slow
@needs_recordings
@pytest.mark.parametrize('distance', ['50cm', '150cm', '250cm'])
@pytest.mark.parametrize(
    'folder, truth',
    [('a180e20_a225e35', (180, 225)), ('a180e20_a225e35_a270e50', (180, 225, 270))],
)
def test_real_recordings_of_several_sources_at_once(
    folder, truth, distance, tmp_path, monkeypatch, cache
):
    """All are found within 10 degrees and nothing else, although twice as many may be."""
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    (recording,) = (RESPEAKER / folder / distance).iterdir()
    status, result = localized(recording, tmp_path / 'out.json', '--max-sources', '6')
    assert status == 0
    azimuths = np.array([s['azimuth_deg'] % 360 for s in result['sources']])
    assert len(azimuths) == len(truth) and not result['problems']
    assert all(np.abs(azimuths - azimuth).min() < 10 for azimuth in truth)
    assert all(s['confidence'] > 0.8 for s in result['sources'])


def spoilt(samples, how):
    """A real recording, spoilt."""
    samples = samples.copy()
    if how == 'order':
        return samples[:, [1, 0, 2, 3]]
    if how == 'dead':
        samples[:, 2] = 0
    elif how == 'dead reference':
        samples[:, 0] = 0
    elif how == 'clipped':
        samples[:, 1] = np.clip(40 * samples[:, 1], -1, 1)
    elif how == 'DC':
        samples[:, 3] += 0.3
    elif how == 'narrow':
        samples = resample_poly(resample_poly(samples, 1, 2), 2, 1)
    return samples


@pytest.mark.slow
@needs_recordings
@pytest.mark.parametrize(
    'how, word, told',
    [
        ('order', 'order', False),
        ('dead', 'channel 2 is dead', True),
        ('dead reference', 'channel 0 is dead', False),
        ('clipped', 'channel 1 clips', True),
        ('DC', 'channel 3 has a constant offset', True),
        ('narrow', 'no sound above 4', True),
    ],
)
def test_what_is_wrong_with_the_sound_is_named(how, word, told, tmp_path, monkeypatch, cache):
    """Of two real sources at 180 and 225 degrees the fault is named.

    No source is confidently wrong; where the rest suffices (`told`), one is right.
    """
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    (recording,) = (RESPEAKER / 'a180e20_a225e35' / '150cm').iterdir()
    sound = written(tmp_path / 'a.wav', spoilt(soundfile.read(recording)[0], how))
    status, result = localized(sound, tmp_path / 'out.json', '--max-sources', '3')
    assert any(word in problem for problem in result['problems']), result['problems']
    error = [
        np.abs((s['azimuth_deg'] - np.array([180, 225]) + 180) % 360 - 180).min()
        for s in result['sources']
    ]
    assert not any(e > 20 and s['confidence'] > 0.7 for e, s in zip(error, result['sources'])), (
        result['sources']
    )
    assert not told or status == 0 and min(error) < 10


@pytest.mark.slow
@needs_recordings
def test_a_turned_array_tells_directions_of_the_head(tmp_path, monkeypatch, cache):
    """The array upright and turned by 90 degrees.

    The sound is that of a source at its own 180 degrees: upward on the head.
    """
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    profile = (Path(__file__).resolve().parents[2] / 'config/heads/respeaker.yaml').read_text()
    turned = tmp_path / 'turned.yaml'
    turned.write_text(
        profile.replace(
            '  frame: microphone_array\n',
            '  frame: microphone_array\n  orientation_rpy_deg: [0.0, 0.0, 90.0]\n',
        )
    )
    (recording,) = (RESPEAKER / 'a180e20' / '50cm').iterdir()
    status, result = localized(recording, tmp_path / 'out.json', head=str(turned))
    (source,) = result['sources']
    assert status == 0 and abs(source['azimuth_deg'] + 90) < 3


@pytest.mark.slow
def test_noise_from_everywhere_has_no_direction(tmp_path, monkeypatch, cache):
    """Of independent noise that comes and goes no source is claimed with confidence."""
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    rng = np.random.default_rng(7)
    noise = (
        0.05
        * rng.standard_normal((4 * RATE, 4))
        * (0.02 + (np.arange(4 * RATE) // (RATE // 4) % 2))[:, None]
    )
    sound = written(tmp_path / 'a.wav', noise)
    _, result = localized(sound, tmp_path / 'out.json', '--max-sources', '3')
    assert result['problems'] and all(s['confidence'] < 0.6 for s in result['sources'])


@pytest.mark.slow
def test_a_map_of_a_file_brings_its_own_analysis(acoustic_map, tmp_path, monkeypatch, cache):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    assert (
        analysis_of(acoustic_map).stft.window == 256
        and analysis_of(acoustic_map).subbands.width == 8
    )
    acoustic_map.save(tmp_path / 'map.npz')
    rng = np.random.default_rng(8)
    sound = written(tmp_path / 'a.wav', 0.3 * room_sound([speech_like(rng, 3)], [70.0], rng))
    arguments = [
        'localize',
        sound,
        '--head',
        'simulated',
        '--map',
        str(tmp_path / 'map.npz'),
        '--json',
        str(tmp_path / 'out.json'),
    ]
    assert main(arguments) == 0
    (source,) = json.loads((tmp_path / 'out.json').read_text())['sources']
    assert abs(source['azimuth_deg'] - 70) < 5
    arguments[3] = 'respeaker'
    assert main(arguments) == 2


def written(path, samples):
    soundfile.write(path, samples, RATE, subtype='FLOAT')
    return str(path)


@pytest.mark.parametrize(
    'samples, word',
    [
        (np.ones((RATE, 1)), '1 channel'),
        (np.ones((RATE, 6)), '6 channel'),
        (np.zeros((RATE, 4)), 'no sound'),
        (np.zeros((0, 4)), 'no sound'),
        (np.full((RATE, 4), np.nan), 'no sound'),
    ],
)
def test_unusable_sound_is_one_clear_line(samples, word, tmp_path, monkeypatch, cache, capsys):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(cache))
    assert main(['localize', written(tmp_path / 'a.wav', samples), '--head', 'respeaker']) == 2
    message = capsys.readouterr().err
    assert word in message and message.count('\n') == 1


def test_wrong_arguments_are_one_clear_line(tmp_path, capsys):
    sound = written(tmp_path / 'a.wav', np.zeros((RATE, 4)))
    (tmp_path / 'text.wav').write_text('no sound file')
    for arguments in (
        [str(tmp_path / 'absent.wav')],
        [sound],
        [sound, '--head', 'nobody'],
        [str(tmp_path / 'text.wav'), '--head', 'simulated'],
        [str(tmp_path)],
        [sound, '--head', 'simulated', '--max-sources', '0'],
    ):
        assert main(['localize', *arguments]) == 2
        message = capsys.readouterr().err
        assert message.startswith('av-perception: error: ') and message.count('\n') == 1
