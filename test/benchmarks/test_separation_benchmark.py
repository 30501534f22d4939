# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison of separation methods: scenes, scores, and a small run of the command."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from av_perception.benchmarks.separation_methods import (
    BEST_MICROPHONE,
    MASKS,
    STREAMS,
    Trial,
    best_microphone,
    best_order,
    oracle_masks,
)
from av_perception.benchmarks.separation_scenes import (
    ARRAYS,
    CHANGING,
    RATE,
    SCENES,
    SceneKind,
    SeparationScene,
    array_of,
    diffuse_noise,
    make_scene,
    turns,
    voice_files,
)
from av_perception.benchmarks.separation_scores import (
    SeparationRow,
    references_of,
    si_sdr,
    silent_level_db,
)
from av_perception.benchmarks.separation_tables import separation_tables
from av_perception.benchmarks.word_errors import (
    spoken_words,
    word_error_rate,
    word_errors,
)
from av_perception.cli.main import main

EARS = next(kind for kind in reversed(SCENES) if kind.array == 'two ears')


@pytest.mark.parametrize('talkers', [2, 3])
@pytest.mark.parametrize('overlap', [0.0, 0.25, 0.5, 0.75, 1.0])
def test_turns_overlap_as_asked(talkers, overlap):
    times = (np.arange(20000) + 0.5) / 20000
    floor = sum((times >= start) & (times < end) for start, end in turns(talkers, overlap))
    assert np.mean(floor >= 2) == pytest.approx(overlap, abs=0.01)
    assert floor.min() >= 1


def test_si_sdr_is_that_of_planted_noise_whatever_the_level():
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((20000, 2))
    noise = rng.standard_normal((20000, 2))
    noise -= reference * np.sum(noise * reference, axis=0) / np.sum(reference**2, axis=0)
    noise *= np.linalg.norm(reference, axis=0) / np.linalg.norm(noise, axis=0)
    found = si_sdr(7.0 * (reference + noise * [0.1, 1.0]), reference)
    assert found == pytest.approx([20.0, 0.0])


@pytest.mark.parametrize(
    'words, reference, errors',
    [
        ('', 'a b', 2),
        ('a b', '', 2),
        ('a b c', 'a b c', 0),
        ('a x c', 'a b c', 1),
        ('a c', 'a b c', 1),
        ('x a b c', 'a b c', 1),
        ('b c d a', 'a b c d', 2),
    ],
)
def test_word_errors_are_an_edit_distance(words, reference, errors):
    assert word_errors(words.split(), reference.split()) == errors


@pytest.mark.slow
def test_a_recognizer_hears_the_words_of_a_voice_and_not_in_noise(data_directory):
    pytest.importorskip('pocketsphinx')
    sound, _ = soundfile.read(voice_files(data_directory, reported=True)[0], stop=3 * RATE)
    voice = sound[:, None]
    spoken = spoken_words(voice)
    assert len(spoken[0]) >= 3 and word_error_rate(voice, spoken) == 0
    noise = np.random.default_rng(0).standard_normal(voice.shape)
    assert word_error_rate(noise, spoken) > 0.7


def test_the_best_order_is_found():
    rng = np.random.default_rng(1)
    references = rng.standard_normal((1000, 3))
    mixed = -2.0 * references[:, [2, 0, 1]] + 0.1 * rng.standard_normal((1000, 3))
    ordered = best_order(mixed, references)
    np.testing.assert_allclose(ordered, mixed[:, [1, 2, 0]])


def test_diffuse_noise_has_the_coherence_of_a_diffuse_field():
    rng = np.random.default_rng(2)
    array = array_of('20 cm')
    noise = diffuse_noise(array, rng.standard_normal((8 * RATE, 1)), rng)
    frames = np.fft.rfft(noise[: len(noise) // 512 * 512].reshape(-1, 512, 4), axis=1)
    cross = np.mean(frames[..., 0].conj() * frames[..., 1], axis=0)
    power = np.mean(np.abs(frames[..., :2]) ** 2, axis=0)
    coherence = (cross / np.sqrt(power[:, 0] * power[:, 1])).real
    frequency = np.fft.rfftfreq(512, 1 / RATE)
    expected = np.sinc(2 * frequency * 0.2 / 343) / 1.02
    band = slice(8, 100)
    assert np.sqrt(np.mean((coherence - expected)[band] ** 2)) < 0.12


def test_arrays_are_as_wide_as_they_are_called():
    for name, width_m in zip(ARRAYS, (0.0457, 0.2, 0.175)):
        positions = array_of(name).positions
        sides = np.linalg.norm(positions[1:] - positions[0], axis=1)
        assert sides.min() == pytest.approx(width_m, abs=2e-4)


def test_nobody_is_in_tuning_and_in_report(data_directory):
    tuned, reported = (voice_files(data_directory, r) for r in (False, True))
    assert len(reported) > 30 and not set(tuned) & set(reported)


@pytest.mark.slow
@pytest.mark.parametrize('kind', [SceneKind(overlap=0.5), EARS], ids=['room', 'ears'])
def test_a_scene_is_the_sum_of_its_parts(data_directory, kind):
    scene = make_scene(kind, 1.5, data_directory, 3)
    total = scene.images.sum(axis=2) + scene.noise
    np.testing.assert_allclose(scene.mixture, total, atol=1e-12)
    speech = scene.images.sum(axis=2)[scene.dry.any(axis=1)]
    snr_db = 10 * np.log10(np.mean(speech**2) / np.mean(scene.noise**2))
    assert snr_db == pytest.approx(kind.snr_db, abs=0.1)
    trial = Trial(scene)
    error = np.arccos(np.clip(np.sum(trial.directions * scene.directions, axis=2), -1, 1))
    assert 0.5 < np.degrees(np.sqrt(np.mean(error**2))) < 5
    assert si_sdr(oracle_masks(trial), scene.references).min() > 5


def test_the_best_microphone_is_not_blamed_for_hearing_earlier():
    """A regression: its voice was compared with the image at another microphone."""
    rng = np.random.default_rng(4)
    count = RATE
    voices = rng.standard_normal((count, 2))
    images = np.stack([voices, np.roll(voices, 2, axis=0)], axis=1)
    noise = np.array([1.0, 0.3]) * rng.standard_normal((count, 2))
    directions = np.tile(np.eye(3)[:2], (26, 1, 1))
    mixture = images.sum(axis=2) + noise
    kind = SceneKind()
    scene = SeparationScene(kind, array_of('4.6 cm'), mixture, images, noise, voices, directions)
    heard = best_microphone(Trial(scene))
    assert (heard == mixture[:, [1]]).all()
    found = si_sdr(heard, references_of(scene, BEST_MICROPHONE))
    assert found == pytest.approx(-10 * np.log10(1.09), abs=0.2)
    assert si_sdr(heard, scene.references).max() < -10


def planted_scene(kind, images, noise=0.0):
    """Two talkers in the directions x and y, with given images (N, I, J)."""
    mixture = images.sum(axis=2) + noise
    directions = np.tile(np.eye(3)[:2], (len(images) // 640 + 1, 1, 1))
    array = array_of('4.6 cm')
    return SeparationScene(kind, array, mixture, images, 0 * mixture, images[:, 0], directions)


def test_who_is_silent_is_measured_only_while_others_speak():
    rng = np.random.default_rng(6)
    voices = rng.standard_normal((3 * RATE, 2))
    voices[RATE:, 0] = 0.0
    voices[2 * RATE :, 1] = 0.0
    scene = planted_scene(SceneKind(), np.repeat(voices[:, None], 4, axis=1))
    streams = 0.1 * scene.mixture[:, :2] + voices
    streams[2 * RATE :, 0] = 5.0  # nobody speaks there: no matter
    found = silent_level_db(streams, scene)
    assert found[0] == pytest.approx(-20, abs=0.1)
    assert np.isnan(found[1]), 'who speaks whenever anybody does is never silent'


def test_live_streams_are_measured_with_late_tracks_on_the_samples_they_belong_to():
    rng = np.random.default_rng(7)
    array = array_of('4.6 cm')
    voices = rng.standard_normal((RATE, 2)) * (np.arange(RATE)[:, None] // 1600 % 2 == [0, 1])
    advance = array.positions @ np.eye(3)[:2].T / 343.0
    frequency = np.fft.rfftfreq(RATE, 1 / RATE)
    phase = np.exp(2j * np.pi * frequency[:, None, None] * advance)
    images = np.fft.irfft(np.fft.rfft(voices, axis=0)[:, None] * phase, RATE, axis=0)
    scene = planted_scene(SceneKind(), 0.05 * images, 1e-4 * rng.standard_normal((RATE, 4)))
    found = Trial(scene).result(STREAMS)
    gain = si_sdr(found[6400:], scene.references[6400:])
    assert gain.min() > 4.0


def test_streams_of_two_ears_are_compared_with_what_the_nearer_ear_hears():
    rng = np.random.default_rng(8)
    images = rng.standard_normal((1280, 2, 2))
    nothing = np.zeros((1280, 2))
    ways = np.tile([[0.5, 0.8, 0.0], [0.5, -0.8, 0.0]], (3, 1, 1))
    ears = array_of('two ears')
    scene = SeparationScene(SceneKind(), ears, images.sum(axis=2), images, nothing, nothing, ways)
    for method in (STREAMS, MASKS, 'masks, LSA', 'masks, LSA alone'):
        found = references_of(scene, method)
        assert np.array_equal(found, np.stack([images[:, 0, 0], images[:, 1, 1]], axis=1))
    assert np.array_equal(references_of(scene, 'Wiener'), images[:, 0])


@pytest.mark.slow
def test_who_changes_places_ends_where_the_other_was(data_directory):
    kind = SceneKind(motion=CHANGING, overlap=0.5)
    scene = make_scene(kind, 1.0, data_directory, 2)
    ways = scene.directions[..., :2] / np.linalg.norm(scene.directions[..., :2], axis=2)[..., None]
    np.testing.assert_allclose(ways[-1], ways[0, ::-1], atol=2e-2)
    apart = np.degrees(np.arccos(np.clip(np.sum(ways[:, 0] * ways[:, 1], axis=1), -1, 1)))
    step = np.abs(np.diff(apart)).max()  # of one another, in 40 ms
    assert apart[0] > 44 and apart.min() < step, 'they come into one line'


def test_tables_hold_scenes_means_and_the_streams():
    def row(scene, method, gain, least, **more):
        return SeparationRow(scene, method, gain + 1, gain, least, 5.0, 1.5, 0.8, 0.1, **more)

    nothing = [float('nan')] * 7
    rows = [
        row('a', BEST_MICROPHONE, 0.0, 0.0),
        row(
            'a',
            STREAMS,
            8.0,
            6.0,
            word_errors=0.5,
            least_stoi_gain=0.1,
            silent_db=-30.0,
            num_words=30.0,
        ),
        row(
            'a',
            STREAMS,
            6.0,
            5.0,
            word_errors=0.3,
            least_stoi_gain=-0.02,
            silent_db=-20.0,
            num_words=10.0,
        ),
        SeparationRow('b', BEST_MICROPHONE, *nothing),
        row('b', STREAMS, 4.0, 3.0, word_errors=0.2, least_stoi_gain=0.3, num_words=60.0),
    ]
    lines = separation_tables(rows).splitlines()
    assert f'| scene | {BEST_MICROPHONE} | {STREAMS} |' == lines[0]
    assert '| a | 1.0 | 8.0 (+5.0) |' in lines and '| b |  | 5.0 (+3.0) |' in lines
    assert '| gain [dB] | 0.0 | 6.0 |' in lines
    assert '| words wrong | words | best microphone | live streams |' in lines
    assert '| a | 40 |  | 45% |' in lines and '| all | 100 |  | 30% |' in lines
    assert '| a | 7.0 | 5.0 | 0.80 | -0.02 | -20 |' in lines
    assert '| b | 4.0 | 3.0 | 0.80 | +0.30 |  |' in lines


@pytest.mark.slow
def test_a_small_run_of_the_command(data_directory, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(data_directory))
    for package in ('pesq', 'pystoi', 'fast_bss_eval'):
        pytest.importorskip(package)
    words = ['benchmark', 'separation', '--quick', '--duration', '2', '--json']
    words += [str(tmp_path / 'rows.json'), '--plot', str(tmp_path / 'gains.png')]
    words += ['--examples', str(tmp_path / 'sounds'), '--markdown', str(tmp_path / 'tables.md')]
    methods = ['best microphone', 'masks', 'oracle masks']
    assert main([*words, '--methods', *methods]) == 0
    rows = json.loads((tmp_path / 'rows.json').read_text())['rows']
    assert [row['method'] for row in rows] == 3 * methods
    assert all(row['gain_db'] == 0 for row in rows if row['method'] == 'best microphone')
    for masks, oracle in zip(rows[1::3], rows[2::3]):
        assert 0 < masks['gain_db'] < oracle['gain_db']
    assert (tmp_path / 'gains.png').is_file()
    assert SCENES[0].label in (tmp_path / 'tables.md').read_text()
    assert len(list((tmp_path / 'sounds').rglob('*.flac'))) == 3 * (1 + 2 * 4)
    assert 'SI-SDR' in capsys.readouterr().out

    # What is done is not heard again.
    monkeypatch.setattr('av_perception.cli.benchmarks.separation.make_scene', pytest.fail)
    assert main([*words, '--resume', '--methods', *methods[:2]]) == 0
    assert json.loads((tmp_path / 'rows.json').read_text())['rows'] == rows
