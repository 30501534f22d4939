# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Microphone calibration: planted positions, the bound that no estimator beats, outliers, what
cannot be observed, the command.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from clustering_scenes import places_around, sound_at

from av_perception.calibration.calibration_places import (
    COLUMNS,
    measure,
    read_places,
    still_places,
)
from av_perception.calibration.microphone_calibration import (
    CalibrationConfig,
    Measurements,
    _Problem,
    calibrate,
)
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.interfaces import Face, VisualFeatures
from av_perception.recording.recording import RecordingInfo, RecordingWriter
from av_perception.robot_head import load_head
from av_perception.two_microphones.microphone_pair import speed_of_sound

PAIR = np.array([[0.0, 0.06, 0.0], [0.0, -0.06, 0.0]])
SQUARE = np.array(load_head('simulated').microphones.coordinates)
NOISE_S, FRAMES = 15e-6, 50  # of one time difference; one second of them at each place


def planted(seed, microphones, azimuth_deg, frames=FRAMES, noise_s=NOISE_S, places=30):
    """Measurements of microphones whose true place the profile misses by 2 cm as a whole and 1.5
    mm each; (measurements, profile).
    """
    rng = np.random.default_rng(seed)
    sources, pairs = (
        places_around(places, rng, azimuth_deg),
        np.stack(np.triu_indices(len(microphones), 1), axis=1),
    )
    arrival = np.linalg.norm(sources[:, None] - microphones, axis=2) / speed_of_sound()
    arrival = arrival + rng.normal(
        0, noise_s / np.sqrt(2), (frames, *arrival.shape)
    )  # so that a difference has noise_s
    itds = (arrival[..., pairs[:, 0]] - arrival[..., pairs[:, 1]]).mean(0)
    profile = microphones + rng.normal(0, 0.02, 3) + rng.normal(0, 0.0015, microphones.shape)
    return Measurements(
        sources, pairs, itds, np.full(itds.shape, noise_s / np.sqrt(frames))
    ), profile


@pytest.mark.parametrize('microphones', [PAIR, SQUARE], ids=['pair', 'square'])
def test_planted_microphones_are_found_to_five_millimeters(microphones):
    """30 places at arm's length, one second of time differences with 15 us of noise at each."""
    errors = []
    for seed in range(12):
        result = calibrate(*planted(seed, microphones, 60.0))
        assert result.accepted and result.converged
        errors.append(np.linalg.norm(result.positions - microphones, axis=1))
    assert np.sqrt(np.mean(np.square(errors))) <= 0.005


@pytest.mark.parametrize('azimuth_deg', [35.0, 90.0])
def test_the_errors_are_those_the_covariance_claims(azimuth_deg):
    """The covariance is the Cramer-Rao bound with the priors: normalised errors near one mean that
    nothing better can be had from the data.
    """
    config = CalibrationConfig(position_sd=0.02)  # as the profiles are drawn
    normalized = []
    for seed in range(30):
        result = calibrate(*planted(seed, PAIR, azimuth_deg), config)
        error = (result.positions - PAIR).ravel()
        normalized.append(error @ np.linalg.solve(result.covariance, error) / error.size)
    assert 0.7 < np.mean(normalized) < 1.3


def test_one_noisy_difference_per_place_cannot_give_five_millimeters():
    """With 15 us left in the mean of every place the bound itself is above 15 mm, and the result
    says so.
    """
    result = calibrate(*planted(0, PAIR, 35.0, frames=1))
    assert np.sqrt((result.position_sd**2).sum(1)).min() > 0.015
    assert (
        result.data_share[0] < 0.3
        and result.itd_sd(np.array([[2.0, 0.5, 0.0]]), (0, 1))[0] < 15e-6
    ), 'the ITDs themselves are well predicted'


def test_the_jacobian_is_right():
    measurements, profile = planted(3, SQUARE, 60.0)
    problem = _Problem(measurements.usable(), profile, CalibrationConfig())
    for part in (problem.measured, problem.priors):
        residual, jacobian = part(SQUARE)
        for k in range(SQUARE.size):
            step = np.zeros(SQUARE.size)
            step[k] = 1e-6
            difference = (
                part(SQUARE + step.reshape(-1, 3))[0] - part(SQUARE - step.reshape(-1, 3))[0]
            ) / 2e-6
            np.testing.assert_allclose(jacobian[:, k], difference, rtol=1e-5, atol=1e-3)


def test_wrong_differences_do_not_pull():
    measurements, profile = planted(1, SQUARE, 60.0)
    clean = calibrate(measurements, profile)
    measurements.itds[[3, 11, 17, 25]] += np.array([3e-4, -2e-4, 1.5e-4, 4e-4])[:, None]
    spoilt = calibrate(measurements, profile)
    assert np.abs(spoilt.positions - clean.positions).max() < 0.004
    assert spoilt.inlier_share == pytest.approx(26 / 30, abs=0.05)


def test_noise_larger_than_claimed_widens_the_covariance():
    measurements, profile = planted(2, PAIR, 90.0, frames=1)
    honest = calibrate(measurements, profile)
    boastful = calibrate(
        Measurements(
            measurements.sources, measurements.pairs, measurements.itds, measurements.sds / 10
        ),
        profile,
    )
    assert boastful.position_sd.max() > 0.6 * honest.position_sd.max()


def test_a_wrong_order_of_channels_is_noticed():
    measurements, profile = planted(0, SQUARE, 60.0)
    result = calibrate(measurements, profile[[1, 3, 0, 2]])
    assert result.fits and not result.plausible and not result.accepted


@pytest.mark.parametrize('keep', [0, 1, 2])
def test_too_little_is_answered_from_the_profile(keep):
    measurements, profile = planted(0, PAIR, 60.0)
    few = Measurements(
        measurements.sources[:keep],
        measurements.pairs,
        measurements.itds[:keep],
        measurements.sds[:keep],
    )
    result = calibrate(few, profile)
    assert np.isfinite(result.positions).all() and np.isfinite(result.covariance).all()
    assert result.accepted == (keep > 0) and result.data_share[0] == pytest.approx(0.0, abs=1e-9)


def test_degenerate_measurements_are_answered():
    measurements, profile = planted(0, SQUARE, 60.0, places=8)
    measurements.sources[1], measurements.sources[2] = (
        np.nan,
        SQUARE[0],
    )  # unknown, and on a microphone
    measurements.itds[3], measurements.sds[4] = np.nan, 0.0
    measurements.sources[5:] = measurements.sources[5]
    result = calibrate(measurements, profile)
    assert (
        np.isfinite(result.positions).all()
        and np.isfinite(result.covariance).all()
        and np.isfinite(result.data_share).all()
    )
    with pytest.raises(ValueError, match='start'):
        calibrate(measurements, profile[:1])


def test_still_places_are_those_where_the_target_rested():
    def image(time_s, position, score=0.9):
        bystander = Face(np.zeros(4), 0.5, np.zeros((5, 2)), np.array([1.0, 1.0, 3.0]), np.eye(3))
        return time_s, VisualFeatures(
            1,
            (
                bystander,
                Face(np.zeros(4), score, np.zeros((5, 2)), np.asarray(position, float), np.eye(3)),
            ),
        )

    images = [image(0.04 * k, [0, 0, 0.5]) for k in range(40)]  # still for 1.6 s
    images += [image(1.6 + 0.04 * k, [0.02 * k, 0, 0.5]) for k in range(20)]  # carried
    images += [image(2.4 + 0.04 * k, [0.4, 0.1, 0.4]) for k in range(10)]  # too short
    images += [(2.8, VisualFeatures(1)), image(2.84, [np.nan, 0, 0])]
    images += [image(5.0 + 0.04 * k, [0.4, 0.1, 0.4]) for k in range(30)]  # still, after a hole
    first, second = still_places(images)
    np.testing.assert_allclose(first.position, [0, 0, 0.5], atol=0.01)
    assert (
        (first.start_s, second.start_s) == (pytest.approx(0.1), pytest.approx(5.1))
        and first.end_s < 1.7
        and second.end_s < 6.2
    )
    np.testing.assert_allclose(second.position, [0.4, 0.1, 0.4])


@pytest.mark.parametrize('sample_rate', [16000, 48000])
def test_differences_are_measured_from_sound(sample_rate):
    head = load_head('simulated')
    rng = np.random.default_rng(0)
    position = np.array([0.4, 0.25, 0.1])
    from av_perception.calibration.calibration_places import Place

    sound = sound_at(position, sample_rate, rng, head, sample_rate=sample_rate)
    result = measure(
        [Place(0.0, 1.0, position), Place(1.0, 1.01, position)],
        lambda a, b: sound[: round((b - a) * sample_rate)],
        sample_rate,
        SQUARE,
    )
    arrival = np.linalg.norm(SQUARE - position, axis=1) / speed_of_sound()
    np.testing.assert_allclose(
        result.itds[0], arrival[result.pairs[:, 0]] - arrival[result.pairs[:, 1]], atol=0.3e-6
    )
    assert np.isnan(result.itds[1]).all(), 'too short to measure'


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    """A loudspeaker at 12 places heard by microphones that are not where the profile says;
    (folder, true coordinates).
    """
    folder, rng = tmp_path_factory.mktemp('calibration'), np.random.default_rng(5)
    head = load_head('simulated')
    true = SQUARE + np.array([0.004, -0.003, 0.002]) + rng.normal(0, 0.001, SQUARE.shape)
    places = places_around(12, rng, 80.0)
    optical = head.camera.base_from_optical.inverse().apply(places)
    with RecordingWriter(folder / 'sound', RecordingInfo('simulated', 16000, 0.5)) as writer:
        for place in places:
            writer.write_audio(
                sound_at(place, 16000, rng, microphones=true) + rng.normal(0, 0.01, (16000, 4))
            )
    with open(folder / 'places.csv', 'w', newline='') as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows([0.6 + k, 1.4 + k, *p] for k, p in enumerate(optical))
    return folder, true


def test_the_command_writes_a_profile_with_the_true_places(recording, tmp_path):
    folder, true = recording
    output, figures = tmp_path / 'head.yaml', tmp_path / 'figures.json'
    assert (
        main(
            [
                'calibrate',
                'microphones',
                str(folder / 'sound'),
                '--positions',
                str(folder / 'places.csv'),
                '-o',
                str(output),
                '--json',
                str(figures),
            ]
        )
        == 0
    )
    profile = load_head(str(output))
    assert np.abs(profile.microphones.positions - true).max() < 0.002
    assert profile.camera == load_head('simulated').camera
    content = json.loads(figures.read_text())
    assert (
        content['places'] == 12
        and content['residual_us'] < 5
        and np.all(np.array(content['sd_mm']) < 3)
    )


def test_the_command_refuses_places_in_the_wrong_frame(recording, tmp_path, capsys):
    """Regression: the residual is as small as in the right frame, since an array elsewhere
    explains the sounds.
    """
    folder, _ = recording
    command = [
        'calibrate',
        'microphones',
        str(folder / 'sound'),
        '--positions',
        str(folder / 'places.csv'),
        '-o',
        str(tmp_path / 'head.yaml'),
    ]
    assert main([*command, '--frame', 'base']) == 1
    assert (
        'in the right frame' in ' '.join(capsys.readouterr().out.split())
        and not (tmp_path / 'head.yaml').exists()
    )


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'must have the columns start,end,x,y,z'),
        ('start,end,x,y\n0,1,0,0\n', 'must have the columns start,end,x,y,z'),
        ('start,end,x,y,z\n0,1,0,0,a\n', 'line 2'),
        ('start,end,x,y,z\n1,1,0,0,0\n', 'line 2'),
        ('start,end,x,y,z\n0,1,0,0\n', 'line 2'),
        ('start,end,x,y,z\n0,1,nan,0,0\n', 'line 2'),
    ],
)
def test_a_broken_list_of_places_is_refused_by_line(tmp_path, text, message):
    path = tmp_path / 'places.csv'
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_places(path)


def test_the_command_says_what_is_missing(recording, tmp_path, capsys):
    folder, _ = recording
    (tmp_path / 'few.csv').write_text('start,end,x,y,z\n0.6,1.4,0,0,0.5\n')
    for extra, message in (
        ([], 'no images'),
        (['--positions', str(tmp_path / 'few.csv')], 'at 1 places'),
        (['--position-sd', '-1'], 'position_sd'),
    ):
        assert (
            main(
                [
                    'calibrate',
                    'microphones',
                    str(folder / 'sound'),
                    '-o',
                    str(tmp_path / 'x.yaml'),
                    *extra,
                ]
            )
            == 2
        )
        assert message in ' '.join(capsys.readouterr().err.split())
    assert yaml.safe_load((folder / 'sound' / 'recording.yaml').read_text())['head'] == 'simulated'
