# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Maps from measured responses.

Planted SOFA files and sessions, hostile files, and a dummy head in a measured room.
"""

import json

import h5py
import numpy as np
import pytest
import soundfile
from measured_sessions import KEMAR, RATE, impulse_responses, session

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import learn_map
from av_perception.audio.propagation import array_response
from av_perception.audio.responses import (
    MeasuredTransfer,
    aligned,
    densified,
    fit_to_geometry,
    measure_session,
    read_schedule,
)
from av_perception.audio.sofa import read_sofa
from av_perception.audio.sub_bands import subband_vectors
from av_perception.audio.training_examples import (
    AcousticMapConfig,
    geometric_features,
    measured_examples,
)
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import load_head

FRONT_END = AudioFrontEndConfig(voice_activity=False)
FREQUENCIES = FRONT_END.stft.frequencies
ROUND = np.array(
    [(azimuth, elevation) for elevation in (-10, 0, 10) for azimuth in range(-90, 91, 5)], float
)


def write_sofa(path, angles_deg, responses, rate, cartesian=False, delay=None):
    """A SOFA file as laboratories write them; azimuth as given."""
    position = np.column_stack(
        [angles_deg[:, 0] % 360, angles_deg[:, 1], np.ones(len(angles_deg))]
    )
    if cartesian:
        position = 1.4 * direction_from_angles(*np.radians(angles_deg.T))
    with h5py.File(path, 'w') as file:
        file['Data.IR'], file['Data.SamplingRate'] = responses, [rate]
        file['Data.Delay'] = np.zeros((1, responses.shape[1])) if delay is None else delay
        file['SourcePosition'] = position
        file['SourcePosition'].attrs['Type'] = np.bytes_('cartesian' if cartesian else 'spherical')
    return path


@pytest.mark.parametrize('rate', [16000, 44100, 48000])
@pytest.mark.parametrize('cartesian', [False, True])
def test_a_sofa_file_gives_the_transfer_functions_it_was_made_of(rate, cartesian, tmp_path):
    directions = direction_from_angles(*np.radians(ROUND.T))
    measured = read_sofa(
        write_sofa(
            tmp_path / 'a.sofa', ROUND, impulse_responses(KEMAR, directions, rate), rate, cartesian
        ),
        KEMAR,
        FREQUENCIES,
    )
    np.testing.assert_allclose(measured.directions, directions, atol=1e-9)
    exact = relative_transfer(array_response(KEMAR, directions, FREQUENCIES))
    inner = FREQUENCIES < 0.4 * rate
    assert np.sqrt(np.mean(np.abs(measured.transfer - exact)[:, inner] ** 2)) < 0.03


def test_delays_of_the_file_count(tmp_path):
    directions = direction_from_angles(*np.radians(ROUND.T))
    responses = impulse_responses(KEMAR, directions, RATE)
    shifted = np.roll(responses, 3, axis=2)
    shifted[:, 1] = np.roll(responses[:, 1], -2, axis=1)
    write_sofa(tmp_path / 'plain.sofa', ROUND, responses, RATE)
    write_sofa(tmp_path / 'late.sofa', ROUND, shifted, RATE, delay=np.array([[0.0, 5.0]]))
    plain = read_sofa(tmp_path / 'plain.sofa', KEMAR, FREQUENCIES)
    late = read_sofa(tmp_path / 'late.sofa', KEMAR, FREQUENCIES)
    # The planted responses end at 7 kHz.
    np.testing.assert_allclose(late.transfer[:, :96], plain.transfer[:, :96], atol=0.05)


def test_bins_above_the_band_of_the_file_are_unknown(tmp_path):
    directions = direction_from_angles(*np.radians(ROUND.T))
    measured = read_sofa(
        write_sofa(tmp_path / 'a.sofa', ROUND, impulse_responses(KEMAR, directions, 8000), 8000),
        KEMAR,
        FREQUENCIES,
    )
    assert (
        np.isnan(measured.transfer[:, FREQUENCIES > 4000]).all()
        and np.isfinite(measured.transfer[:, FREQUENCIES <= 4000]).all()
    )


def test_the_room_is_cut_off(tmp_path):
    directions = direction_from_angles(*np.radians(ROUND.T))
    responses = impulse_responses(KEMAR, directions, RATE, 4000)
    echoing = responses + 0.5 * np.roll(responses, 400, axis=2)[::-1]
    write_sofa(tmp_path / 'clean.sofa', ROUND, responses, RATE)
    write_sofa(tmp_path / 'cut.sofa', ROUND, echoing, RATE)
    clean = read_sofa(tmp_path / 'clean.sofa', KEMAR, FREQUENCIES)
    cut = read_sofa(tmp_path / 'cut.sofa', KEMAR, FREQUENCIES)
    np.testing.assert_allclose(cut.transfer[:, :96], clean.transfer[:, :96], atol=0.03)


@pytest.mark.parametrize('mirror', [False, True])
def test_files_whose_azimuth_grows_to_the_right_are_recognized(mirror, tmp_path):
    responses = impulse_responses(KEMAR, direction_from_angles(*np.radians(ROUND.T)), RATE)
    written = ROUND * [-1, 1] if mirror else ROUND
    measured, mirrored = aligned(
        read_sofa(write_sofa(tmp_path / 'a.sofa', written, responses, RATE), KEMAR, FREQUENCIES),
        KEMAR,
        FREQUENCIES,
    )
    assert mirrored is mirror
    np.testing.assert_allclose(
        measured.directions, direction_from_angles(*np.radians(ROUND.T)), atol=1e-9
    )
    assert fit_to_geometry(measured, KEMAR, FREQUENCIES) > 0.95


def test_azimuths_are_mirrored_in_the_base_frame():
    """The chest array's own y axis points up: mirroring must not turn it upside down."""
    array = load_head('ari').microphones
    base = direction_from_angles(np.radians([-40.0, 10.0, 60.0]), np.radians([-5.0, 0.0, 20.0]))
    measured = MeasuredTransfer(
        array.base_from_array.inverse().rotate(base), np.zeros((3, 128, 3), complex)
    ).mirrored(array)
    np.testing.assert_allclose(
        array.base_from_array.rotate(measured.directions), base * [1, -1, 1], atol=1e-12
    )


def test_phases_of_another_head_are_refused():
    rng = np.random.default_rng(0)
    transfer = np.exp(2j * np.pi * rng.random((40, 128, 1))) / np.sqrt(2)
    with pytest.raises(UserError, match='do not fit'):
        aligned(
            MeasuredTransfer(direction_from_angles(rng.uniform(-1, 1, 40), 0.0), transfer),
            KEMAR,
            FREQUENCIES,
        )


def test_directions_between_measurements_are_interpolated_with_the_geometry():
    """Every 15 degrees of a head 8 % larger than the profile's.

    Between them the features are right where phases turn by half a circle.
    """
    from dataclasses import replace

    larger = replace(
        KEMAR,
        coordinates=((0.0, 0.0945, 0.0), (0.0, -0.0945, 0.0)),
        sphere=replace(KEMAR.sphere, radius=0.0945),
    )
    directions = direction_from_angles(np.radians(np.arange(-90, 91, 15)), 0.0)
    measured = MeasuredTransfer(
        directions, relative_transfer(array_response(larger, directions, FREQUENCIES))
    )
    measured.transfer[3, 5] = np.nan
    dense = densified(measured, KEMAR, FREQUENCIES, 200)
    exact = relative_transfer(array_response(larger, dense.directions, FREQUENCIES))
    assert 150 < len(dense.directions) < 300 and np.isfinite(dense.transfer).all()
    assert np.sqrt(np.mean(np.abs(dense.transfer - exact)[:, FREQUENCIES < 4000] ** 2)) < 0.05
    nearest = np.arccos(np.clip(dense.directions @ directions.T, -1, 1)).min(axis=1)
    assert np.degrees(nearest).max() > 6 and np.abs(dense.directions[:, 2]).max() < 1e-9


def test_a_session_of_white_noise_gives_the_transfer_functions():
    angles = [(azimuth, 0.0) for azimuth in range(-80, 81, 40)]
    samples, schedule = session(KEMAR, angles, np.random.default_rng(1))
    measured = measure_session(
        schedule, KEMAR, FRONT_END, lambda s, c: samples[s : s + c], len(samples), RATE
    )
    exact = subband_vectors(
        relative_transfer(array_response(KEMAR, measured.directions, FREQUENCIES)),
        FRONT_END.subbands,
    )
    found = subband_vectors(measured.transfer, FRONT_END.subbands)
    np.testing.assert_allclose(
        measured.directions,
        direction_from_angles(np.radians([a for a, _ in angles]), 0.0),
        atol=1e-9,
    )
    assert np.sqrt(np.mean((found - exact)[:, :14] ** 2)) < 0.06


def test_a_silent_place_is_named():
    samples, schedule = session(KEMAR, [(0.0, 0.0), (40.0, 0.0)], np.random.default_rng(2))
    samples[RATE:] = 0
    with pytest.raises(UserError, match='nothing was heard from 1.0 to 2.0 s'):
        measure_session(
            schedule, KEMAR, FRONT_END, lambda s, c: samples[s : s + c], len(samples), RATE
        )
    with pytest.raises(UserError, match='the sound after 1.0 s'):
        measure_session(schedule, KEMAR, FRONT_END, lambda s, c: samples[s : s + c], RATE, RATE)


def test_features_never_heard_are_not_trusted():
    directions = direction_from_angles(*np.radians(ROUND.T))
    measured = MeasuredTransfer(
        directions, relative_transfer(array_response(KEMAR, directions, FREQUENCIES))
    )
    measured.transfer[:, 120:] = np.nan
    config = AcousticMapConfig(num_pieces=12, iterations=4)
    taught = learn_map(
        KEMAR,
        *measured_examples(KEMAR, measured, config, FRONT_END),
        config,
        FRONT_END,
        'sofa',
        'x',
    )
    assert taught.variance[15].min() >= 1 and taught.variance[:15].max() < 1
    with pytest.raises(UserError, match='0 of 111 measured directions'):
        measured_examples(
            KEMAR, measured, AcousticMapConfig(azimuth_range_deg=(100.0, 120.0)), FRONT_END
        )


@pytest.mark.parametrize(
    'text, word',
    [
        ('start,end,azimuth_deg\n0,1,2\n', 'columns'),
        ('start,end,azimuth_deg,elevation_deg\n0,1,left,0\n', 'number'),
        ('start,end,azimuth_deg,elevation_deg\n', 'place'),
        ('start,end,azimuth_deg,elevation_deg\n0,0.1,5,0\n', '0.6 s'),
        ('start,end,azimuth_deg,elevation_deg\n0,nan,5,0\n', 'place'),
        ('start,end,azimuth_deg,elevation_deg\n0,1\n', 'number'),
    ],
)
def test_unusable_schedules_are_one_clear_line(text, word, tmp_path):
    (tmp_path / 'a.csv').write_text(text)
    with pytest.raises(UserError, match=word) as caught:
        read_schedule(tmp_path / 'a.csv')
    assert '\n' not in str(caught.value)


@pytest.mark.slow
def test_the_command_learns_from_all_sources(tmp_path, capsys):
    samples, schedule = session(
        KEMAR, [(azimuth, 0.0) for azimuth in range(-90, 91, 15)], np.random.default_rng(3), 0.8
    )
    soundfile.write(tmp_path / 'noise.wav', samples, RATE, subtype='FLOAT')
    np.savetxt(
        tmp_path / 'places.csv',
        schedule,
        delimiter=',',
        header='start,end,azimuth_deg,elevation_deg',
        comments='',
    )
    write_sofa(
        tmp_path / 'k.sofa',
        ROUND * [-1, 1],
        impulse_responses(KEMAR, direction_from_angles(*np.radians(ROUND.T)), RATE),
        RATE,
    )
    for kind, arguments in (
        ('rigid-sphere', []),
        ('free-field', ['--model', 'free-field']),
        ('sofa', ['--sofa', str(tmp_path / 'k.sofa')]),
        (
            'recording',
            [
                '--recording',
                str(tmp_path / 'noise.wav'),
                '--directions',
                str(tmp_path / 'places.csv'),
            ],
        ),
    ):
        output = [
            '-o',
            str(tmp_path / 'map.npz'),
            '--json',
            str(tmp_path / 'map.json'),
            '--pieces',
            '12',
        ]
        output += ['--plot', str(tmp_path / 'map.png')] * (kind == 'recording')
        assert main(['calibrate', 'acoustic', '--head', 'kemar', *arguments, *output]) == 0
        figures = json.loads((tmp_path / 'map.json').read_text())
        taught = AcousticMap.load(tmp_path / 'map.npz')
        taught.check(KEMAR, FRONT_END)
        assert figures['kind'] == taught.kind == kind and figures['median_azimuth_error_deg'] < 2
        directions = direction_from_angles(np.radians([-60.0, 0.0, 45.0]), 0.0)
        if kind != 'free-field':
            assert (
                np.abs(
                    taught.expected_features(directions)
                    - geometric_features(KEMAR, directions, FRONT_END)
                )[:, :6].mean()
                < 0.1
            )
    assert (
        'grows to the right' in capsys.readouterr().out
        and (tmp_path / 'map.png').read_bytes()[:4] == b'\x89PNG'
    )


@pytest.mark.parametrize(
    'arguments, word',
    [
        (['--sofa', 'rubbish.sofa'], 'cannot read'),
        (['--sofa', 'absent.sofa'], 'cannot read'),
        (['--sofa', 'empty.sofa'], 'Data.IR'),
        (['--sofa', 'flat.sofa'], 'shape'),
        (['--sofa', 'silent.sofa'], 'silent'),
        (['--sofa', 'three.sofa'], '3 receivers'),
        (['--sofa', 'nan.sofa'], 'not finite'),
        (['--model', 'free-field', '--sofa', 'x'], 'choose one'),
        (['--recording', 'x.wav'], 'belong together'),
        (['--pieces', '0'], 'num_pieces'),
        (['--azimuths', '50', '10'], 'azimuth_range'),
        (['--head', 'respeaker', '--model', 'rigid-sphere'], 'sphere'),
    ],
)
def test_unusable_arguments_are_one_clear_line(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'rubbish.sofa').write_text('no HDF5')
    h5py.File('empty.sofa', 'w').close()
    write_sofa('flat.sofa', ROUND, np.zeros((len(ROUND), 2)), RATE)
    write_sofa('silent.sofa', ROUND, np.zeros((len(ROUND), 2, 10)), RATE)
    write_sofa('three.sofa', ROUND, np.zeros((len(ROUND), 3, 10)), RATE)
    write_sofa('nan.sofa', ROUND, np.full((len(ROUND), 2, 10), np.nan), RATE)
    assert main(['calibrate', 'acoustic', '--head', 'kemar', '-o', 'map.npz', *arguments]) == 2
    message = capsys.readouterr().err
    assert word in message and message.count('\n') == 1
