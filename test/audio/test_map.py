# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The acoustic map: planted pieces, monotone learning, brute force, an unforgeable file."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from av_perception.audio import map_learning as learning
from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import learn_geometric_map, learn_pieces
from av_perception.audio.training_examples import (
    AcousticMapConfig,
    geometric_features,
    training_directions,
)
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.spectral.stft import StftConfig

ARRAY = MicrophoneArray(
    ((0.035, 0.035, 0.0), (-0.035, 0.035, 0.0), (-0.035, -0.035, 0.0), (0.035, -0.035, 0.0))
)
FRONT_END = AudioFrontEndConfig(voice_activity=False)
SMALL = AcousticMapConfig(num_pieces=12, num_azimuths=48, num_elevations=5, iterations=4)


@pytest.fixture(scope='module')
def small_map():
    return learn_geometric_map(ARRAY, SMALL, FRONT_END)


def test_training_directions_cover_the_circle_within_the_elevations():
    directions = training_directions(AcousticMapConfig(), ARRAY)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    elevation = np.degrees(np.arcsin(directions[:, 2]))
    assert elevation.min() > -30 and elevation.max() < 60
    azimuth = np.sort(np.arctan2(directions[:, 1], directions[:, 0]))
    assert np.diff(azimuth).max() < np.radians(1)


@pytest.mark.parametrize(
    'coordinates, azimuth, elevation',
    [
        (((0, 0.1, 0), (0, -0.1, 0)), 90, 15),  # two ears
        (((0.1, 0, 0), (0, 0, 0), (-0.1, 0, 0)), 180, 15),  # a line ahead tells front from back
        (((0.1, 0.1, 0), (-0.1, 0.1, 0), (0, -0.1, 0)), 180, 60),  # a level triangle
        (((0, 0.1, 0.1), (0, -0.1, 0.1), (0, 0, -0.1)), 90, 60),  # an upright one that faces ahead
        (((0.1, 0, 0.1), (-0.1, 0, 0.1), (0, 0, -0.1)), 180, 60),  # one that faces sideways
        (((0, 0.1, 0.1), (0, -0.1, 0.1), (0, 0, -0.1), (0.1, 0, 0)), 180, 60),
    ],
)  # a body
def test_maps_keep_to_what_an_array_can_tell(coordinates, azimuth, elevation):
    ranges = AcousticMapConfig().ranges_deg(
        MicrophoneArray(tuple(tuple(map(float, c)) for c in coordinates))
    )
    assert (ranges[0][1], ranges[1][1]) == (azimuth, elevation)
    asked = AcousticMapConfig(azimuth_range_deg=(-20.0, 30.0), elevation_range_deg=(0.0, 10.0))
    assert asked.ranges_deg(ARRAY) == ((-20.0, 30.0), (0.0, 10.0))


def test_the_kind_of_regression_reaches_the_map():
    small = dataclasses.replace(SMALL, num_pieces=6)
    tied = learn_geometric_map(
        ARRAY, dataclasses.replace(small, variance='tied', equal_volume=True), FRONT_END
    )
    assert np.ptp(tied.variance, axis=(1, 2)).max() < 1e-12 and np.ptp(tied.log_weight) < 1e-12
    plain = learn_geometric_map(ARRAY, dataclasses.replace(small, latent_size=0), FRONT_END)
    hidden = learn_geometric_map(ARRAY, dataclasses.replace(small, latent_size=2), FRONT_END)
    # What w explains is still not known to who uses the map.
    np.testing.assert_allclose(hidden.variance.mean(), plain.variance.mean(), rtol=0.1)


def test_a_map_knows_where_it_was_taught(small_map):
    assert small_map.covers(training_directions(SMALL, ARRAY)).all()
    assert not small_map.covers(np.array([[0.0, 0.0, -1.0], [0.0, 0.0, 1.0]])).any()
    front = learn_geometric_map(
        ARRAY, dataclasses.replace(SMALL, azimuth_range_deg=(-45.0, 45.0)), FRONT_END
    )
    azimuths = np.arange(-180, 180, 10)
    covered = azimuths[front.covers(direction_from_angles(np.radians(azimuths), 0.1))]
    assert set(range(-40, 41, 10)) <= set(covered) <= set(range(-70, 71, 10))


def test_expected_features_are_those_taught(small_map):
    directions = training_directions(SMALL, ARRAY)[::7]
    exact = geometric_features(ARRAY, directions, FRONT_END)
    assert np.abs(small_map.expected_features(directions) - exact)[:, :8].mean() < 0.05


def test_mixture_density_equals_scipy():
    directions = training_directions(SMALL, ARRAY)
    pieces = learn_pieces(directions, dataclasses.replace(SMALL, num_pieces=4))
    densities = [
        multivariate_normal(pieces.center[r], np.linalg.inv(pieces.precision[r])) for r in range(4)
    ]
    expected = [
        [pieces.log_weight[r] + densities[r].logpdf(u) for r in range(4)] for u in directions[:10]
    ]
    np.testing.assert_allclose(pieces.log_joint(directions[:10]), expected, rtol=1e-8)


def test_log_likelihood_equals_brute_force_with_missing_components(small_map):
    rng = np.random.default_rng(2)
    directions = training_directions(SMALL, ARRAY)[[3, 77]]
    vectors = rng.uniform(-1, 1, (16, 48))
    present = rng.random((16, 48)) < 0.6
    found = small_map.log_likelihood(np.where(present, vectors, np.nan), present, directions)
    for k, d in ((0, 0), (9, 1)):
        prior = [
            np.exp(small_map.log_weight[k, r])
            * multivariate_normal(
                small_map.center[k, r], np.linalg.inv(small_map.center_precision[k, r])
            ).pdf(directions[d])
            for r in range(12)
        ]
        total = 0.0
        for r in range(12):
            mean = small_map.slope[k, r] @ directions[d] + small_map.offset[k, r]
            density = norm(mean, np.sqrt(small_map.variance[k, r])).pdf(vectors[k])[present[k]]
            total += prior[r] / np.sum(prior) * np.prod(density)
        assert found[k, d] == pytest.approx(np.log(total), rel=1e-8)


def test_no_component_present_says_nothing(small_map):
    nothing = small_map.log_likelihood(
        np.zeros((16, 48)), np.zeros((16, 48), bool), training_directions(SMALL, ARRAY)[:5]
    )
    np.testing.assert_allclose(nothing, 0, atol=1e-9)
    assert (small_map.clutter_log_density(np.zeros((16, 48), bool)) == 0).all()


@pytest.mark.slow
def test_noiseless_features_point_home():
    acoustic_map = learn_geometric_map(ARRAY, AcousticMapConfig(iterations=5), FRONT_END)
    candidates = direction_from_angles(np.radians(np.arange(0, 360, 2)), np.radians(5.0))
    everything = np.ones((16, 48), bool)
    for index in (0, 31, 95, 160):
        features = geometric_features(ARRAY, candidates[index : index + 1], FRONT_END)[0]
        best = acoustic_map.log_likelihood(features, everything, candidates).sum(axis=0).argmax()
        assert min((best - index) % 180, (index - best) % 180) <= 2  # 4 degrees


def test_learning_is_deterministic_and_refuses_one_microphone(small_map):
    again = learn_geometric_map(ARRAY, SMALL, FRONT_END)
    np.testing.assert_array_equal(again.slope, small_map.slope)
    with pytest.raises(UserError, match='2 microphones'):
        learn_geometric_map(MicrophoneArray(((0.0, 0.0, 0.0),)), SMALL, FRONT_END)


def test_file_round_trip_and_check(tmp_path, small_map):
    small_map.save(tmp_path / 'map.npz')
    loaded = AcousticMap.load(tmp_path / 'map.npz')
    for field in dataclasses.fields(AcousticMap):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(small_map, field.name))
    loaded.check(ARRAY, FRONT_END)
    with pytest.raises(UserError, match='geometry_hash'):
        loaded.check(MicrophoneArray(ARRAY.coordinates[::-1]), FRONT_END)
    with pytest.raises(UserError, match='hop'):
        loaded.check(ARRAY, dataclasses.replace(FRONT_END, stft=StftConfig(hop=64)))


@pytest.mark.parametrize(
    'forgery, word',
    [
        (dict(format_version=np.array(99)), 'version'),
        (dict(format_version=np.array([1, 1])), 'version'),
        (dict(variance=lambda v: -v), 'variance'),
        (dict(slope=lambda v: np.full_like(v, np.nan)), 'slope'),
        (dict(offset=lambda v: v[:, :1]), 'offset'),
        (dict(center_precision=lambda v: -v), 'positive definite'),
        (dict(center_log_det_precision=lambda v: v + 1), 'log_det'),
        (dict(num_microphones=np.array(5)), 'feature size'),
        (dict(sample_rate=np.array(1.5)), 'sample_rate'),
        (dict(geometry_hash=np.array(3)), 'geometry_hash'),
        (dict(kind=np.array(3)), 'kind'),
        (dict(slope=lambda v: np.array(['text'], dtype=object)), 'read'),
    ],
)
def test_forged_files_are_refused(tmp_path, small_map, forgery, word):
    content = {
        f.name: np.asarray(getattr(small_map, f.name)) for f in dataclasses.fields(AcousticMap)
    }
    for name, change in forgery.items():
        content[name] = change(content[name]) if callable(change) else change
    np.savez(tmp_path / 'forged.npz', **content)
    with pytest.raises(UserError, match=word):
        AcousticMap.load(tmp_path / 'forged.npz')


@pytest.mark.parametrize('content', [b'', b'no zip at all', b'PK\x03\x04 broken'])
def test_rubbish_and_absent_files_are_refused(tmp_path, content):
    path = tmp_path / 'map.npz'
    with pytest.raises(UserError):
        AcousticMap.load(path)
    path.write_bytes(content)
    with pytest.raises(UserError):
        AcousticMap.load(path)


def test_a_single_array_file_is_refused(tmp_path):
    np.save(tmp_path / 'map.npy', np.zeros(3))
    with pytest.raises(UserError):
        AcousticMap.load(tmp_path / 'map.npy')


def test_cache_is_used_and_a_spoilt_file_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path))
    first = learning.head_map(ARRAY, SMALL, FRONT_END)
    (file,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(learning, 'learn_map', None)
        np.testing.assert_array_equal(
            learning.head_map(ARRAY, SMALL, FRONT_END).slope, first.slope
        )
        turned = dataclasses.replace(ARRAY, orientation_rpy_deg=(0.0, 0.0, 90.0), frame='other')
        assert learning.head_map(turned, SMALL, FRONT_END).geometry_hash == first.geometry_hash
    file.write_bytes(b'spoilt')
    np.testing.assert_array_equal(learning.head_map(ARRAY, SMALL, FRONT_END).slope, first.slope)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    'bad',
    [
        dict(num_pieces=0),
        dict(num_pieces=1000),
        dict(elevation_range_deg=(10.0, -10.0)),
        dict(feature_noise=0.0),
        dict(iterations=0),
        dict(variance='full'),
        dict(latent_size=-1),
        dict(azimuth_range_deg=(50.0, 10.0)),
    ],
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        AcousticMapConfig(**bad)
