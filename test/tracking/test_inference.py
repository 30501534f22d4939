# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The variational inference against independent solutions.

Those are textbook Kalman filters and the full enumeration of the assignments.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from linear_tracking import (
    FIXED,
    LinearModel,
    features_of,
    piece_log_prior,
    small_map,
    tiny_frame,
)
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from av_perception.tracking.association.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.association.audio_statistics import AudioStatistics
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.inference.dynamics_update import DynamicsConfig, ProcessNoise
from av_perception.tracking.inference.variational_frame import InferenceConfig, VariationalFrame
from av_perception.tracking.state_space.interface import Measurements


def unit_covariances(count):
    return np.tile(np.eye(6), (count, 1, 1))


def kalman_update(mean, covariance, observed, matrix, offset, noise):
    """Textbook update of y = matrix s + offset + noise."""
    gain = covariance @ matrix.T @ np.linalg.inv(matrix @ covariance @ matrix.T + noise)
    rest = np.eye(len(mean)) - gain @ matrix
    updated = mean + gain @ (observed - matrix @ mean - offset)
    return updated, rest @ covariance @ rest.T + gain @ noise @ gain.T


def one_face(value, noise, visual_map):
    """The visual evidence of one face of one person, without clutter."""
    measurements = Measurements(value[None], noise[None])
    return VisualAssociation(measurements, visual_map, np.zeros((1, 1)), np.inf, np.ones(1, bool))


@pytest.mark.parametrize(
    'seen, heard, error_deg',
    [(True, False, 0.0), (False, True, 0.0), (True, True, 0.0), (True, True, 10.0)],
)
def test_one_person_without_clutter_is_an_exact_kalman_filter(seen, heard, error_deg):
    """100 frames; the shared direction error acts as one noise common to all sub-bands."""
    rng = np.random.default_rng(3)
    model, acoustic_map = LinearModel(rng), small_map(rng)
    acoustic_map.log_range = np.full(4, np.inf)
    statistics = AudioStatistics(acoustic_map, 1.0)
    config = AudioConfig(tempering=1.0, direction_error_deg=error_deg, share_prior=np.inf)
    mean, covariance = rng.normal(size=(1, 6)), unit_covariances(1)
    oracle = mean[0], covariance[0]
    slope, offset = acoustic_map.slope[:, 0].reshape(12, 3), acoustic_map.offset[:, 0].ravel()
    error = np.radians(error_deg) ** 2 * slope @ slope.T
    sound_noise = np.diag(acoustic_map.variance.ravel()) + error
    for _ in range(100):
        face = rng.normal(size=3)
        noise = np.diag(rng.uniform(0.01, 0.1, 3))
        vectors = rng.normal(size=(3, 4))
        prediction = model.predict(mean, covariance)
        moved = model.transition @ oracle[1] @ model.transition.T + model.noise
        oracle = model.transition @ oracle[0], moved
        vision = audio = None
        if seen:
            vision = one_face(face, noise, model.visual_map(prediction.mean))
            oracle = kalman_update(*oracle, face, model.visual, np.zeros(3), noise)
        if heard:
            audio = AudioAssociation(
                config,
                statistics.evidence(features_of(vectors)),
                model.direction_map(prediction.mean),
                np.ones(1, bool),
            )
            matrix, constant = slope @ model.direction, slope @ model.origin + offset
            oracle = kalman_update(*oracle, vectors.ravel(), matrix, constant, sound_noise)
        process_noise = ProcessNoise(FIXED, prediction.base_noise)
        frame = VariationalFrame(prediction, process_noise, unit_covariances(1), vision, audio)
        posterior = frame.run(InferenceConfig())
        mean, covariance = prediction.mean + posterior.mean_shift, posterior.covariance
        np.testing.assert_allclose(mean[0], oracle[0], atol=1e-10)
        np.testing.assert_allclose(covariance[0], oracle[1], atol=1e-10)


def exact_log_evidence(model, acoustic_map, prediction, faces, noise, vectors, error_sd) -> float:
    """Sum over all assignments of faces and (sub-band, piece) pairs.

    Each term is one Gaussian marginal per person.
    """
    covariance = prediction.propagated + prediction.base_noise
    predicted_direction = prediction.mean @ model.direction.T + model.origin
    piece_log = piece_log_prior(acoustic_map, predicted_direction)
    audio_choices = [(0, 0)] + [(n, r) for n in (1, 2) for r in range(2)]
    terms = []
    for choice in itertools.product(range(3), range(3), range(3), audio_choices, audio_choices):
        owners, sounds = choice[:3], choice[3:]
        total = -5 * np.log(3.0) + owners.count(0) * -np.log(1e4)
        total += sum(-5 * np.log(20.0) for owner, _ in sounds if owner == 0)
        total += sum(piece_log[n - 1, k, r] for k, (n, r) in enumerate(sounds) if n)
        for person in (1, 2):
            blocks = [
                (faces[m], model.visual, np.zeros(3), np.zeros((3, 3)), noise[m])
                for m in range(3)
                if owners[m] == person
            ]
            blocks += [
                sound_block(model, acoustic_map, vectors, k, r)
                for k, (owner, r) in enumerate(sounds)
                if owner == person
            ]
            if blocks:
                mean = prediction.mean[person - 1]
                total += log_marginal(blocks, mean, covariance[person - 1], error_sd)
        terms.append(total)
    return float(logsumexp(terms))


def sound_block(model, acoustic_map, vectors, k, r):
    """Value, matrix, offset, slope of the direction error and noise of a sub-band and piece."""
    slope = acoustic_map.slope[k, r]
    offset = slope @ model.origin + acoustic_map.offset[k, r]
    noise = np.diag(acoustic_map.variance[k, r])
    return vectors[k], slope @ model.direction, offset, slope, noise


def log_marginal(blocks, mean, covariance, error_sd):
    """Log density of all observations of one person together."""
    observed, matrix, offset, error = (
        np.concatenate(column) for column in zip(*(b[:4] for b in blocks))
    )
    full = matrix @ covariance @ matrix.T + error_sd**2 * error @ error.T
    start = 0
    for *_, noise in blocks:
        stop = start + len(noise)
        full[start:stop, start:stop] += noise
        start = stop
    return multivariate_normal.logpdf(observed, matrix @ mean + offset, full)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('error_deg', [0.0, 15.0])
def test_lower_bound_rises_and_stays_just_below_the_enumerated_evidence(seed, error_deg):
    frame, problem = tiny_frame(seed, error_deg)
    evidence = exact_log_evidence(*problem)
    frame.assign_faces(is_first=True)
    frame.assign_subbands(is_first=True)
    frame.estimate_states()
    bounds = [frame.lower_bound()]
    for _ in range(15):
        frame.assign_faces(is_first=False)
        bounds.append(frame.lower_bound())
        frame.assign_subbands(is_first=False)
        bounds.append(frame.lower_bound())
        frame.estimate_states()
        bounds.append(frame.lower_bound())
    assert np.all(np.diff(bounds) > -1e-9)
    assert bounds[-1] <= evidence + 1e-9
    assert evidence - bounds[-1] < 0.5


def test_far_faces_and_tiny_covariances_stay_in_the_log_domain():
    model = LinearModel(np.random.default_rng(0))
    faces = np.array([[1e6, -1e6, 1e6], [0.0, 0.0, 0.0], [1e-3, 0, 0]])
    vision = VisualAssociation(
        Measurements(faces, np.tile(1e-6 * np.eye(3), (3, 1, 1))),
        model.visual_map(np.zeros((2, 6))),
        np.zeros((3, 2)),
        20.0,
        np.ones(2, bool),
    )
    for log_likelihood in (
        vision.predicted_log_likelihood(unit_covariances(2)),
        vision.expected_log_likelihood(np.zeros((2, 6)), unit_covariances(2)),
    ):
        alpha = vision.responsibilities(log_likelihood)
        assert np.isfinite(alpha).all()
        np.testing.assert_allclose(alpha.sum(1), 1, atol=1e-12)
        assert alpha[0, 0] == 1.0


def test_no_observation_is_pure_prediction():
    rng = np.random.default_rng(0)
    prediction = LinearModel(rng).predict(rng.normal(size=(3, 6)), unit_covariances(3))
    noise = ProcessNoise(FIXED, prediction.base_noise)
    frame = VariationalFrame(prediction, noise, unit_covariances(3), None, None)
    posterior = frame.run(InferenceConfig())
    assert not posterior.mean_shift.any()
    predicted = prediction.propagated + prediction.base_noise
    np.testing.assert_allclose(posterior.covariance, predicted, atol=1e-12)
    growth = posterior.covariance - prediction.propagated
    assert (np.linalg.eigvalsh(growth)[:, 0] > -1e-12).all()


def test_relabeling_people_permutes_the_posterior():
    rng = np.random.default_rng(0)
    model = LinearModel(rng)
    mean, covariance = rng.normal(size=(4, 6)), 0.3 * unit_covariances(4)
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
        noise = ProcessNoise(DynamicsConfig(), prediction.base_noise)
        frame = VariationalFrame(prediction, noise, unit_covariances(4), vision, None)
        results.append(frame.run(InferenceConfig()))
    first, permuted = results
    np.testing.assert_allclose(permuted.mean_shift, first.mean_shift[order], atol=1e-12)
    np.testing.assert_allclose(permuted.alpha[:, 1:], first.alpha[:, 1:][:, order], atol=1e-12)


def test_process_noise_stays_within_bounds_over_ten_thousand_frames():
    rng = np.random.default_rng(0)
    base = np.tile(LinearModel(rng).noise, (10_000, 1, 1))
    config = DynamicsConfig(prior_weight=2.0)
    noise = ProcessNoise(config, base)

    def random_covariances():
        scale = rng.choice([1e-3, 1e-1, 1.0, 30.0], (10_000, 1, 1))
        factors = rng.normal(size=(10_000, 6, 6)) * scale
        return factors @ factors.swapaxes(1, 2)

    propagated = random_covariances()
    mean_shift = rng.normal(0, 3, (10_000, 6))
    ratio = noise.update(unit_covariances(10_000), propagated, mean_shift, random_covariances())
    values = np.linalg.eigvalsh(ratio)
    assert values.min() >= config.lowest - 1e-9 and values.max() <= config.highest + 1e-6
    assert (np.linalg.eigvalsh(noise.covariance(ratio)) > 0).all()


def test_infinite_prior_weight_is_the_nominal_noise_bit_for_bit():
    rng = np.random.default_rng(0)
    base = np.tile(LinearModel(rng).noise, (3, 1, 1))
    noise, unit = ProcessNoise(FIXED, base), unit_covariances(3)
    ratio = noise.update(unit, unit, rng.normal(size=(3, 6)), unit)
    assert noise.covariance(ratio) is base


@pytest.mark.parametrize(
    'build',
    [
        lambda: DynamicsConfig(prior_weight=0.0),
        lambda: DynamicsConfig(lowest=2.0),
        lambda: InferenceConfig(iterations=0),
    ],
)
def test_bad_settings_are_refused(build):
    with pytest.raises(ValueError):
        build()
