# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The variational inference against independent solutions: textbook Kalman filters and full enumeration of the assignments."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from av_perception.interfaces import AudioFeatures
from av_perception.tracking.association.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.association.audio_statistics import AudioEvidence, AudioStatistics
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.inference.dynamics_update import DynamicsConfig, ProcessNoise
from av_perception.tracking.inference.variational_frame import InferenceConfig, VariationalFrame
from av_perception.tracking.state_space.interface import LinearMap, Measurements, Prediction

FIXED = DynamicsConfig(prior_weight=np.inf)


class LinearModel:
    """Constant velocity in 3-D, observed linearly: the camera sees H s, the array 'hears' J s + u0."""

    state_size, location, log_visual_volume = 6, slice(0, 3), np.inf

    def __init__(self, rng):
        self.transition = np.eye(6) + np.kron([[0, 0.04], [0, 0]], np.eye(3))
        self.noise = np.kron([[0.04**3 / 3, 0.04**2 / 2], [0.04**2 / 2, 0.04]], np.eye(3))
        self.visual, self.direction, self.origin = (
            rng.normal(size=(3, 6)),
            rng.normal(size=(3, 6)),
            rng.normal(size=3),
        )

    def predict(self, mean, covariance):
        return Prediction(
            mean @ self.transition.T,
            self.transition @ covariance @ self.transition.T,
            np.tile(self.noise, (len(mean), 1, 1)),
        )

    def visual_map(self, mean):
        return LinearMap(
            mean @ self.visual.T, np.tile(self.visual, (len(mean), 1, 1)), np.ones(len(mean), bool)
        )

    def direction_map(self, mean):
        return LinearMap(
            mean @ self.direction.T + self.origin,
            np.tile(self.direction, (len(mean), 1, 1)),
            np.ones(len(mean), bool),
        )


def small_map(rng, subbands=3, pieces=1, features=4, spread=1.0):
    """A map with random affine pieces and an impossible or a unit-range clutter."""
    center = rng.normal(size=(subbands, pieces, 3)) * spread
    return SimpleNamespace(
        log_weight=np.full((subbands, pieces), -np.log(pieces)),
        center=center,
        center_precision=np.tile(np.eye(3), (subbands, pieces, 1, 1)),
        center_log_det_precision=np.zeros((subbands, pieces)),
        slope=rng.normal(size=(subbands, pieces, features, 3)),
        offset=rng.normal(size=(subbands, pieces, features)),
        variance=rng.uniform(0.1, 0.5, (subbands, pieces, features)),
        log_range=np.full(features, np.log(2.0)),
    )


def features_of(vectors):
    shape = vectors.shape
    return AudioFeatures(
        0, 1.0, vectors, np.ones(shape, bool), np.ones(shape[0]), np.ones(shape[0], bool)
    )


def kalman_update(mean, covariance, observed, matrix, offset, noise):
    """Textbook update of y = matrix s + offset + noise."""
    gain = covariance @ matrix.T @ np.linalg.inv(matrix @ covariance @ matrix.T + noise)
    rest = np.eye(len(mean)) - gain @ matrix
    return mean + gain @ (
        observed - matrix @ mean - offset
    ), rest @ covariance @ rest.T + gain @ noise @ gain.T


@pytest.mark.parametrize(
    'seen, heard, error_deg',
    [(True, False, 0.0), (False, True, 0.0), (True, True, 0.0), (True, True, 10.0)],
)
def test_one_person_without_clutter_is_an_exact_kalman_filter(seen, heard, error_deg):
    """100 frames; the shared direction error acts as one noise common to all sub-bands."""
    rng = np.random.default_rng(3)
    model, acoustic_map = LinearModel(rng), small_map(rng)
    acoustic_map.log_range = np.full(4, np.inf)
    tables, config = (
        AudioStatistics(acoustic_map, 1.0),
        AudioConfig(tempering=1.0, direction_error_deg=error_deg, share_prior=np.inf),
    )
    mean, covariance = rng.normal(size=(1, 6)), np.eye(6)[None]
    oracle_mean, oracle_covariance = mean[0], covariance[0]
    slope, offset = acoustic_map.slope[:, 0].reshape(12, 3), acoustic_map.offset[:, 0].ravel()
    sound_noise = (
        np.diag(acoustic_map.variance.ravel()) + np.radians(error_deg) ** 2 * slope @ slope.T
    )
    for _ in range(100):
        face, noise, vectors = (
            rng.normal(size=3),
            np.diag(rng.uniform(0.01, 0.1, 3)),
            rng.normal(size=(3, 4)),
        )
        prediction = model.predict(mean, covariance)
        oracle_mean = model.transition @ oracle_mean
        oracle_covariance = model.transition @ oracle_covariance @ model.transition.T + model.noise
        vision = audio = None
        if seen:
            vision = VisualAssociation(
                Measurements(face[None], noise[None]),
                model.visual_map(prediction.mean),
                np.zeros((1, 1)),
                np.inf,
                np.ones(1, bool),
            )
            oracle_mean, oracle_covariance = kalman_update(
                oracle_mean, oracle_covariance, face, model.visual, np.zeros(3), noise
            )
        if heard:
            audio = AudioAssociation(
                config,
                tables.evidence(features_of(vectors)),
                model.direction_map(prediction.mean),
                np.ones(1, bool),
            )
            oracle_mean, oracle_covariance = kalman_update(
                oracle_mean,
                oracle_covariance,
                vectors.ravel(),
                slope @ model.direction,
                slope @ model.origin + offset,
                sound_noise,
            )
        posterior = VariationalFrame(
            prediction, ProcessNoise(FIXED, prediction.base_noise), np.eye(6)[None], vision, audio
        ).run(InferenceConfig())
        mean, covariance = prediction.mean + posterior.deviation, posterior.covariance
        np.testing.assert_allclose(mean[0], oracle_mean, atol=1e-10)
        np.testing.assert_allclose(covariance[0], oracle_covariance, atol=1e-10)


def tiny_frame(seed, error_deg=0.0):
    """Two people, three faces, two sub-bands, two pieces, well separated; returns the frame and what the enumeration needs."""
    rng = np.random.default_rng(seed)
    model, acoustic_map = (
        LinearModel(rng),
        small_map(rng, subbands=2, pieces=2, features=5, spread=4.0),
    )
    acoustic_map.log_range = np.full(5, np.log(20.0))
    mean, covariance = (
        rng.normal(size=(2, 6)) + np.array([[3.0], [-3.0]]),
        np.tile(0.05 * np.eye(6), (2, 1, 1)),
    )
    prediction = model.predict(mean, covariance)
    truth = prediction.mean + rng.normal(0, 0.1, (2, 6))
    faces = np.stack(
        [model.visual @ truth[0], model.visual @ truth[1], rng.normal(0, 5, 3)]
    ) + rng.normal(0, 0.1, (3, 3))
    directions = truth @ model.direction.T + model.origin
    pieces = [
        int(np.argmin(((directions[k] - acoustic_map.center[k]) ** 2).sum(-1))) for k in range(2)
    ]
    clean = [
        acoustic_map.slope[k, r] @ directions[k] + acoustic_map.offset[k, r]
        for k, r in enumerate(pieces)
    ]
    vectors = np.stack(clean) + rng.normal(0, 0.3, (2, 5))
    noise = np.tile(0.01 * np.eye(3), (3, 1, 1))
    vision = VisualAssociation(
        Measurements(faces, noise),
        model.visual_map(prediction.mean),
        np.zeros((3, 2)),
        np.log(1e4),
        np.ones(2, bool),
    )
    config = AudioConfig(tempering=1.0, direction_error_deg=error_deg, share_prior=np.inf)
    audio = AudioAssociation(
        config,
        AudioStatistics(acoustic_map, 1.0).evidence(features_of(vectors)),
        model.direction_map(prediction.mean),
        np.ones(2, bool),
    )
    frame = VariationalFrame(
        prediction,
        ProcessNoise(FIXED, prediction.base_noise),
        np.tile(np.eye(6), (2, 1, 1)),
        vision,
        audio,
    )
    return frame, (model, acoustic_map, prediction, faces, noise, vectors, np.radians(error_deg))


def exact_log_evidence(model, acoustic_map, prediction, faces, noise, vectors, error_sd) -> float:
    """Sum over all assignments of faces and (sub-band, piece) pairs; each term is one Gaussian marginal per person."""
    covariance = prediction.propagated + prediction.base_noise
    predicted_direction = prediction.mean @ model.direction.T + model.origin
    distance = ((predicted_direction[:, None, None] - acoustic_map.center) ** 2).sum(-1)
    piece_log = -0.5 * distance - logsumexp(-0.5 * distance, axis=-1, keepdims=True)
    audio_choices = [(0, 0)] + [(n, r) for n in (1, 2) for r in range(2)]
    terms = []
    for choice in itertools.product(range(3), range(3), range(3), audio_choices, audio_choices):
        owners, sounds = choice[:3], choice[3:]
        total = -5 * np.log(3.0) + owners.count(0) * -np.log(1e4)
        for person in (1, 2):
            blocks = [
                (faces[m], model.visual, np.zeros(3), noise[m], np.zeros((3, 3)))
                for m in range(3)
                if owners[m] == person
            ]
            for k, (owner, r) in enumerate(sounds):
                if owner == person:
                    slope = acoustic_map.slope[k, r]
                    blocks.append(
                        (
                            vectors[k],
                            slope @ model.direction,
                            slope @ model.origin + acoustic_map.offset[k, r],
                            np.diag(acoustic_map.variance[k, r]),
                            slope,
                        )
                    )
                    total += piece_log[person - 1, k, r]
            if blocks:
                observed, matrix, offset, error = (
                    np.concatenate([b[i] for b in blocks]) for i in (0, 1, 2, 4)
                )
                sizes = np.cumsum([0] + [len(b[0]) for b in blocks])
                full = matrix @ covariance[person - 1] @ matrix.T + error_sd**2 * error @ error.T
                for b, low, high in zip(blocks, sizes[:-1], sizes[1:]):
                    full[low:high, low:high] += b[3]
                total += multivariate_normal.logpdf(
                    observed, matrix @ prediction.mean[person - 1] + offset, full
                )
        total += sum(-5 * np.log(20.0) for owner, _ in sounds if owner == 0)
        terms.append(total)
    return float(logsumexp(terms))


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('error_deg', [0.0, 15.0])
def test_lower_bound_rises_and_stays_just_below_the_enumerated_evidence(seed, error_deg):
    frame, problem = tiny_frame(seed, error_deg)
    evidence = exact_log_evidence(*problem)
    frame.assign_faces(first=True)
    frame.assign_subbands(first=True)
    frame.estimate_states()
    bounds = [frame.lower_bound()]
    for _ in range(15):
        for update in (
            lambda: frame.assign_faces(False),
            lambda: frame.assign_subbands(False),
            frame.estimate_states,
        ):
            update()
            bounds.append(frame.lower_bound())
    assert np.all(np.diff(bounds) > -1e-9)
    assert bounds[-1] <= evidence + 1e-9
    assert evidence - bounds[-1] < 0.5


def test_first_audio_step_is_the_exact_marginal_of_each_subband():
    frame, (model, acoustic_map, prediction, _, _, vectors, error_sd) = tiny_frame(1, 15.0)
    covariance = prediction.propagated + prediction.base_noise
    got = frame._audio.predicted_log_likelihood(covariance).reshape(2, -1)[:, 1:].reshape(2, 2, 2)
    direction = prediction.mean @ model.direction.T + model.origin
    for k, n in itertools.product(range(2), range(2)):
        distance = ((direction[n] - acoustic_map.center[k]) ** 2).sum(-1)
        prior = -0.5 * distance - logsumexp(-0.5 * distance)
        expected = []
        for r in range(2):
            slope = acoustic_map.slope[k, r]
            spread = model.direction @ covariance[n] @ model.direction.T + error_sd**2 * np.eye(3)
            expected.append(
                multivariate_normal.logpdf(
                    vectors[k],
                    slope @ direction[n] + acoustic_map.offset[k, r],
                    np.diag(acoustic_map.variance[k, r]) + slope @ spread @ slope.T,
                )
                + prior[r]
                - np.log(3)
            )
        np.testing.assert_allclose(np.sort(got[k, n]), np.sort(expected), atol=1e-9)


def test_absent_components_do_not_count():
    """A component that is not present must act as if the map had one feature less, for people and clutter."""
    rng = np.random.default_rng(0)
    full = small_map(rng, subbands=2, pieces=2, features=5)
    reduced = SimpleNamespace(**vars(full))
    for name in ('slope', 'offset', 'variance'):
        setattr(reduced, name, getattr(full, name)[:, :, :4])
    reduced.log_range = full.log_range[:4]
    vectors = rng.normal(size=(2, 5))
    masked = AudioFeatures(
        0, 1.0, vectors, np.arange(5)[None] < np.array([[4], [4]]), np.ones(2), np.ones(2, bool)
    )
    a, b = (
        AudioStatistics(full, 0.3).evidence(masked),
        AudioStatistics(reduced, 0.3).evidence(features_of(vectors[:, :4])),
    )
    np.testing.assert_allclose(a.statistics, b.statistics, atol=1e-12)
    np.testing.assert_allclose(a.log_clutter, b.log_clutter)


def test_far_faces_and_tiny_covariances_stay_in_the_log_domain():
    rng = np.random.default_rng(0)
    model = LinearModel(rng)
    faces = np.array([[1e6, -1e6, 1e6], [0.0, 0.0, 0.0], [1e-3, 0, 0]])
    vision = VisualAssociation(
        Measurements(faces, np.tile(1e-6 * np.eye(3), (3, 1, 1))),
        model.visual_map(np.zeros((2, 6))),
        np.zeros((3, 2)),
        20.0,
        np.ones(2, bool),
    )
    unit = np.tile(np.eye(6), (2, 1, 1))
    for log in (
        vision.predicted_log_likelihood(unit),
        vision.expected_log_likelihood(np.zeros((2, 6)), unit),
    ):
        alpha = vision.responsibilities(log)
        assert np.isfinite(alpha).all()
        np.testing.assert_allclose(alpha.sum(1), 1, atol=1e-12)
        assert alpha[0, 0] == 1.0


def test_no_observation_is_pure_prediction():
    rng = np.random.default_rng(0)
    model = LinearModel(rng)
    prediction = model.predict(rng.normal(size=(3, 6)), np.tile(np.eye(6), (3, 1, 1)))
    posterior = VariationalFrame(
        prediction,
        ProcessNoise(FIXED, prediction.base_noise),
        np.tile(np.eye(6), (3, 1, 1)),
        None,
        None,
    ).run(InferenceConfig())
    assert not posterior.deviation.any()
    np.testing.assert_allclose(
        posterior.covariance, prediction.propagated + prediction.base_noise, atol=1e-12
    )
    assert (np.linalg.eigvalsh(posterior.covariance - prediction.propagated)[:, 0] > -1e-12).all()


def test_relabeling_people_permutes_the_posterior():
    rng = np.random.default_rng(0)
    model = LinearModel(rng)
    mean, covariance = rng.normal(size=(4, 6)), np.tile(0.3 * np.eye(6), (4, 1, 1))
    faces, order = rng.normal(size=(5, 3)), np.array([2, 0, 3, 1])
    results = []
    for index in (np.arange(4), order):
        prediction = model.predict(mean[index], covariance)
        vision = VisualAssociation(
            Measurements(faces, np.tile(0.1 * np.eye(3), (5, 1, 1))),
            model.visual_map(prediction.mean),
            np.zeros((5, 4)),
            3.0,
            np.ones(4, bool),
        )
        results.append(
            VariationalFrame(
                prediction,
                ProcessNoise(DynamicsConfig(), prediction.base_noise),
                np.tile(np.eye(6), (4, 1, 1)),
                vision,
                None,
            ).run(InferenceConfig())
        )
    np.testing.assert_allclose(results[1].deviation, results[0].deviation[order], atol=1e-12)
    np.testing.assert_allclose(
        results[1].alpha[:, 1:], results[0].alpha[:, 1:][:, order], atol=1e-12
    )


def test_process_noise_stays_within_bounds_over_ten_thousand_frames():
    rng = np.random.default_rng(0)
    base = np.tile(LinearModel(rng).noise, (10_000, 1, 1))
    config = DynamicsConfig(prior_weight=2.0)
    noise = ProcessNoise(config, base)

    def random_covariances():
        factors = rng.normal(size=(10_000, 6, 6)) * rng.choice(
            [1e-3, 1e-1, 1.0, 30.0], (10_000, 1, 1)
        )
        return factors @ factors.swapaxes(1, 2)

    ratio = noise.update(
        np.tile(np.eye(6), (10_000, 1, 1)),
        random_covariances(),
        rng.normal(0, 3, (10_000, 6)),
        random_covariances(),
    )
    values = np.linalg.eigvalsh(ratio)
    assert values.min() >= config.lowest - 1e-9 and values.max() <= config.highest + 1e-6
    assert (np.linalg.eigvalsh(noise.covariance(ratio)) > 0).all()


def test_infinite_prior_weight_is_the_nominal_noise_bit_for_bit():
    rng = np.random.default_rng(0)
    base = np.tile(LinearModel(rng).noise, (3, 1, 1))
    noise, ratio = ProcessNoise(FIXED, base), np.tile(np.eye(6), (3, 1, 1))
    ratio = noise.update(
        ratio,
        np.tile(np.eye(6), (3, 1, 1)),
        rng.normal(size=(3, 6)),
        np.tile(np.eye(6), (3, 1, 1)),
    )
    assert noise.covariance(ratio) is base


@pytest.mark.parametrize(
    'build',
    [
        lambda: DynamicsConfig(prior_weight=0.0),
        lambda: DynamicsConfig(lowest=2.0),
        lambda: AudioConfig(tempering=0.0),
        lambda: AudioConfig(tempering=1.5),
        lambda: AudioConfig(vad_threshold=-0.1),
        lambda: AudioConfig(pieces_per_person=0),
        lambda: InferenceConfig(iterations=0),
    ],
)
def test_bad_settings_are_refused(build):
    with pytest.raises(ValueError):
        build()


def test_real_acoustic_map_class_fits():
    """The tables agree with the map's own likelihood: sum over pieces of prior times Gaussian at an exact direction."""
    acoustic_map = pytest.importorskip('av_perception.audio.acoustic_map')
    rng = np.random.default_rng(0)
    plain = small_map(rng, subbands=2, pieces=3, features=4)
    real = acoustic_map.AcousticMap(
        **vars(plain),
        sample_rate=16000,
        window=256,
        hop=128,
        num_taps=1,
        subband_width=8,
        num_microphones=2,
        geometry_hash='x',
    )
    direction, vectors = np.array([[0.6, 0.0, 0.8]]), rng.normal(size=(2, 4))
    still = LinearMap(direction, np.zeros((1, 3, 6)), np.ones(1, bool))
    audio = AudioAssociation(
        AudioConfig(tempering=1.0, direction_error_deg=0.0, share_prior=np.inf),
        AudioStatistics(real, 1.0).evidence(features_of(vectors)),
        still,
        np.ones(1, bool),
    )
    log = audio.predicted_log_likelihood(np.eye(6)[None])
    np.testing.assert_allclose(
        logsumexp(log[:, 1:], axis=1) + np.log(2),
        real.log_likelihood(vectors, np.ones((2, 4), bool), direction)[:, 0],
        atol=1e-9,
    )
    np.testing.assert_allclose(
        log[:, 0] + np.log(2), real.clutter_log_density(np.ones((2, 4), bool)), atol=1e-12
    )


def test_learnt_shares_give_ambiguous_subbands_to_whom_the_clear_ones_point_at():
    """Two people, ten sub-bands that clearly belong to the first, six that fit both alike: the prior tells them apart."""
    log = np.zeros((16, 3))  # clutter and one piece for each of two people
    log[:, 0] = -20.0
    log[:10, 2] = -10.0
    fixed, learnt = (association_of(share_prior) for share_prior in (np.inf, 0.5))
    assert fixed.responsibilities(log + fixed._log_prior)[12, 1] == pytest.approx(0.5)
    for _ in range(5):
        beta = learnt.responsibilities(log + learnt._log_prior)
    assert beta[12, 1] > 0.9
    np.testing.assert_allclose(beta.sum(1), 1.0)


def test_the_prior_of_the_shares_never_lowers_the_bound():
    """sum beta (log kappa + log rho - log beta) + sum a log rho does not decrease from one round to the next."""
    random = np.random.default_rng(5)
    learnt, bounds = association_of(0.5), []
    log = random.normal(scale=3.0, size=(16, 3))
    for _ in range(8):
        beta = learnt.responsibilities(log + learnt._log_prior)
        bounds.append(
            float((beta * (log + learnt._log_prior - np.log(beta))).sum()) + learnt.prior_bound()
        )
    assert np.all(np.diff(bounds) >= -1e-10) and bounds[-1] > bounds[0]


def association_of(share_prior):
    """Two people at two directions, one affine piece, sixteen sub-bands that say nothing."""
    evidence = AudioEvidence(
        np.zeros((16, 1, 10)), np.zeros((16, 1, 10)), np.zeros(16), np.full(16, 1 / 16)
    )
    directions = LinearMap(np.eye(3)[:2], np.zeros((2, 3, 6)), np.ones(2, bool))
    return AudioAssociation(
        AudioConfig(share_prior=share_prior), evidence, directions, np.ones(2, bool)
    )
