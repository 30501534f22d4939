"""The acoustic map: planted pieces, monotone learning, likelihood against brute force, and a file that cannot be forged."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from av_perception.audio import learning
from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.frontend import AudioFrontEndConfig
from av_perception.audio.learning import AcousticMapConfig, fit_affine_pieces, learn_free_field_map, learn_pieces, training_directions
from av_perception.audio.stft import StftConfig
from av_perception.errors import UserError
from av_perception.geometry import direction_from_angles
from av_perception.heads.profile import MicrophoneArray

ARRAY = MicrophoneArray(((0.035, 0.035, 0.0), (-0.035, 0.035, 0.0), (-0.035, -0.035, 0.0), (0.035, -0.035, 0.0)))
FRONT_END = AudioFrontEndConfig(voice_activity=False)
SMALL = AcousticMapConfig(num_pieces=12, num_azimuths=48, num_elevations=5, iterations=4)


@pytest.fixture(scope='module')
def small_map():
    return learn_free_field_map(ARRAY, SMALL, FRONT_END)


def test_training_directions_cover_the_circle_within_the_elevations():
    directions = training_directions(AcousticMapConfig())
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    elevation = np.degrees(np.arcsin(directions[:, 2]))
    assert elevation.min() > -30 and elevation.max() < 60
    azimuth = np.sort(np.arctan2(directions[:, 1], directions[:, 0]))
    assert np.diff(azimuth).max() < np.radians(1)


def test_planted_affine_pieces_are_recovered():
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    slope, offset = rng.standard_normal((3, 6, 3)), 3 * rng.standard_normal((3, 6))
    label = np.repeat(np.arange(3), 400)
    points = centers[label] + 0.5 * rng.standard_normal((1200, 3))
    values = np.einsum('ngi,ni->ng', slope[label], points) + offset[label] + 0.05 * rng.standard_normal((1200, 6))
    pieces = learn_pieces(points, 3, thickness=1e-3)
    fitted = fit_affine_pieces(pieces.log_joint(points), points, values, noise_variance=1e-6, ridge=1e-6, iterations=20)
    order = [int(np.argmin(np.linalg.norm(pieces.center - c, axis=1))) for c in centers]
    np.testing.assert_allclose(fitted.slope[order], slope, atol=0.03)
    np.testing.assert_allclose(fitted.offset[order], offset, atol=0.1)
    np.testing.assert_allclose(np.sqrt(fitted.variance), 0.05, rtol=0.15)


def test_one_piece_is_ridge_regression():
    rng = np.random.default_rng(1)
    points, values = rng.standard_normal((200, 3)), rng.standard_normal((200, 4))
    fitted = fit_affine_pieces(np.zeros((200, 1)), points, values, noise_variance=0.3, ridge=2.0, iterations=1)
    x, y = points - points.mean(axis=0), values - values.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 2 * np.eye(3), x.T @ y).T
    np.testing.assert_allclose(fitted.slope[0], expected, rtol=1e-6)
    penalised = np.mean((y - x @ expected.T) ** 2, axis=0) + 2 * np.sum(expected ** 2, axis=1) / 200
    np.testing.assert_allclose(fitted.variance[0], penalised + 0.3, rtol=1e-6)


def test_learning_never_lowers_the_penalised_likelihood():
    directions = training_directions(SMALL)
    features = learning.free_field_features(ARRAY, directions, FRONT_END)
    log_joint = learn_pieces(directions, 12, 0.03).log_joint(directions)
    for subband in (0, 6, 15):
        objective = fit_affine_pieces(log_joint, directions, features[:, subband], 0.04, 0.01, 25).objective
        assert np.diff(objective).min() > -1e-7 * abs(objective[-1])


def test_mixture_density_equals_scipy():
    directions = training_directions(SMALL)
    pieces = learn_pieces(directions, 4, 0.03)
    densities = [multivariate_normal(pieces.center[r], np.linalg.inv(pieces.precision[r])) for r in range(4)]
    expected = [[pieces.log_weight[r] + densities[r].logpdf(u) for r in range(4)] for u in directions[:10]]
    np.testing.assert_allclose(pieces.log_joint(directions[:10]), expected, rtol=1e-8)


def test_log_likelihood_equals_brute_force_with_missing_components(small_map):
    rng = np.random.default_rng(2)
    directions = training_directions(SMALL)[[3, 77]]
    vectors = rng.uniform(-1, 1, (16, 48))
    present = rng.random((16, 48)) < 0.6
    found = small_map.log_likelihood(np.where(present, vectors, np.nan), present, directions)
    for k, d in ((0, 0), (9, 1)):
        prior = [np.exp(small_map.log_weight[k, r]) * multivariate_normal(
            small_map.center[k, r], np.linalg.inv(small_map.center_precision[k, r])).pdf(directions[d]) for r in range(12)]
        total = 0.0
        for r in range(12):
            mean = small_map.slope[k, r] @ directions[d] + small_map.offset[k, r]
            density = norm(mean, np.sqrt(small_map.variance[k, r])).pdf(vectors[k])[present[k]]
            total += prior[r] / np.sum(prior) * np.prod(density)
        assert found[k, d] == pytest.approx(np.log(total), rel=1e-8)


def test_no_component_present_says_nothing(small_map):
    nothing = small_map.log_likelihood(np.zeros((16, 48)), np.zeros((16, 48), bool), training_directions(SMALL)[:5])
    np.testing.assert_allclose(nothing, 0, atol=1e-9)
    assert (small_map.clutter_log_density(np.zeros((16, 48), bool)) == 0).all()


def test_noiseless_features_point_home():
    acoustic_map = learn_free_field_map(ARRAY, AcousticMapConfig(iterations=5), FRONT_END)
    candidates = direction_from_angles(np.radians(np.arange(0, 360, 2)), np.radians(5.0))
    everything = np.ones((16, 48), bool)
    for index in (0, 31, 95, 160):
        features = learning.free_field_features(ARRAY, candidates[index:index + 1], FRONT_END)[0]
        best = acoustic_map.log_likelihood(features, everything, candidates).sum(axis=0).argmax()
        assert min((best - index) % 180, (index - best) % 180) <= 2    # 4 degrees


def test_learning_is_deterministic_and_refuses_one_microphone(small_map):
    again = learn_free_field_map(ARRAY, SMALL, FRONT_END)
    np.testing.assert_array_equal(again.slope, small_map.slope)
    with pytest.raises(UserError, match='2 microphones'):
        learn_free_field_map(MicrophoneArray(((0.0, 0.0, 0.0),)), SMALL, FRONT_END)


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


@pytest.mark.parametrize('forgery, word', [
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
    (dict(slope=lambda v: np.array(['text'], dtype=object)), 'read'),
])
def test_forged_files_are_refused(tmp_path, small_map, forgery, word):
    content = {f.name: np.asarray(getattr(small_map, f.name)) for f in dataclasses.fields(AcousticMap)}
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
    first = learning.cached_free_field_map(ARRAY, SMALL, FRONT_END)
    file, = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(learning, 'learn_free_field_map', None)
        np.testing.assert_array_equal(learning.cached_free_field_map(ARRAY, SMALL, FRONT_END).slope, first.slope)
    file.write_bytes(b'spoilt')
    np.testing.assert_array_equal(learning.cached_free_field_map(ARRAY, SMALL, FRONT_END).slope, first.slope)
    assert [p.name for p in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize('bad', [dict(num_pieces=0), dict(num_pieces=1000), dict(elevation_range_deg=(10.0, -10.0)),
                                 dict(feature_noise=0.0), dict(iterations=0)])
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        AcousticMapConfig(**bad)
