# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""E-Z of sound, written compactly, against the plain sums of its equations."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from linear_tracking import LinearModel, features_of, piece_log_prior, small_map, tiny_frame
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.interfaces import AudioFeatures
from av_perception.tracking.association.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.association.audio_statistics import AudioEvidence, AudioStatistics
from av_perception.tracking.association.direction_error import DirectionBelief
from av_perception.tracking.state_space.interface import LinearMap


class PlainAudio:
    """E-Z and E-S of sound as the equations have them, one index per sum.

    n: track, k: sub-band, r: piece, g: component, i and j: axes of the direction. With present
    components w = present / variance: kappa_knr, beta_knr, Q_n and h_n.
    """

    def __init__(self, acoustic_map, features, direction_map, tempering):
        self.map, self.features, self.directions = acoustic_map, features, direction_map
        self.tempering = tempering
        self.weight = np.einsum(
            'kg,krg->krg', features.present.astype(float), 1 / acoustic_map.variance
        )

    def beta(self, belief, log_prior):
        """(N, K, R) and (K,) of clutter."""
        slope, weight = self.map.slope, self.weight
        heard = np.einsum('krgi,ni->nkrg', slope, belief.mean) + self.map.offset
        error = np.einsum('kg,kg->kg', self.features.vectors, self.features.present)
        error = error[:, None] - heard
        squares = np.einsum('krg,nkrg->nkr', weight, error**2)
        trace = np.einsum('krgi,krg,krgj,nij->nkr', slope, weight, slope, belief.covariance)
        present = self.features.present
        normalizer = np.einsum('kg,krg->kr', present, np.log(2 * np.pi * self.map.variance))
        log_kappa = -0.5 * self.tempering * (squares + trace + normalizer)
        log_kappa += piece_log_prior(self.map, self.directions.value)
        log_kappa += log_prior[1:, None, None]
        clutter = log_prior[0] - self.tempering * np.einsum('kg,g->k', present, self.map.log_range)
        total = np.logaddexp(logsumexp(log_kappa, axis=(0, 2)), clutter)
        return np.exp(log_kappa - total[:, None]), np.exp(clutter - total)

    def information(self, beta, error_variance):
        """Precision (N, D, D) and vector (N, D) about `s - m`."""
        slope, weight = self.map.slope, self.tempering * self.weight
        residual = self.features.vectors[:, None] - self.map.offset
        precision = np.einsum('nkr,krgi,krg,krgj->nij', beta, slope, weight, slope)
        vector = np.einsum('nkr,krgi,krg,krg->ni', beta, slope, weight, residual)
        vector -= np.einsum('nij,nj->ni', precision, self.directions.value)
        shrinkage = np.linalg.inv(np.eye(3) + error_variance * precision)
        jacobian = self.directions.matrix
        return (
            np.einsum('nia,nij,njk,nkb->nab', jacobian, shrinkage, precision, jacobian),
            np.einsum('nia,nij,nj->na', jacobian, shrinkage, vector),
        )


@pytest.mark.parametrize('seed', range(4))
def test_the_compact_form_equals_the_plain_sums(seed):
    """Three tracks, four sub-bands with absent components, five pieces, tempered."""
    rng = np.random.default_rng(seed)
    acoustic_map = small_map(rng, subbands=4, pieces=5, features=6)
    vectors, present = rng.normal(size=(4, 6)), rng.random((4, 6)) < 0.7
    energy = rng.uniform(0.1, 2.0, 4)
    features = AudioFeatures(0, 1.0, vectors, present, energy, np.ones(4, bool))
    directions = LinearModel(rng).direction_map(rng.normal(0, 0.5, (3, 6)))
    config = AudioConfig(tempering=0.3, direction_error_deg=8.0, pieces_per_person=5)
    evidence = AudioStatistics(acoustic_map, 0.3).evidence(features)
    compact = AudioAssociation(config, evidence, directions, np.ones(3, bool))
    plain = PlainAudio(acoustic_map, features, directions, 0.3)

    root = rng.normal(0, 0.3, (3, 3, 3))
    belief = DirectionBelief(
        directions.value + rng.normal(0, 0.1, (3, 3)), root @ root.swapaxes(1, 2)
    )
    log_prior = np.log(rng.dirichlet(np.ones(4)))
    beta = compact.responsibilities(compact.expected_log_likelihood(belief, log_prior))
    expected, clutter = plain.beta(belief, log_prior)

    # The compact form has the pieces of a track in an order of its own.
    pieces = np.sort(beta[:, 1:].reshape(4, 3, 5)).swapaxes(0, 1)
    np.testing.assert_allclose(pieces, np.sort(expected), atol=1e-10)
    np.testing.assert_allclose(beta[:, 0], clutter, atol=1e-10)
    by_track = np.concatenate([clutter[:, None], expected.sum(2).T], axis=1)
    np.testing.assert_allclose(compact.track_responsibilities(beta), by_track, atol=1e-10)
    loudness = energy**0.3 / (energy**0.3).sum()
    np.testing.assert_allclose(
        compact.energy_share(beta), by_track[:, 1:].T @ loudness, atol=1e-10
    )

    information = compact.information(beta)
    precision, vector = plain.information(expected, np.radians(8.0) ** 2)
    np.testing.assert_allclose(information.precision, precision, atol=1e-9)
    np.testing.assert_allclose(information.vector, vector, atol=1e-9)


def test_a_step_keeps_nothing_for_the_next():
    """Regression: one step left its results in the association for the next one to find."""
    frame, _ = tiny_frame(0, 15.0)
    frame.assign_subbands(is_first=True)
    q, audio = frame.posterior, frame.audio
    first = audio.information(q.beta)
    belief = audio.direction_error.belief(q.mean_shift, q.covariance, first)
    other = np.full_like(q.beta, 1 / q.beta.shape[1])
    audio.information(other)
    audio.update_prior(other)
    again = audio.direction_error.belief(q.mean_shift, q.covariance, first)
    assert np.array_equal(belief.mean, again.mean)
    assert np.array_equal(belief.covariance, again.covariance)


def test_first_audio_step_is_the_exact_marginal_of_each_subband():
    frame, (model, acoustic_map, prediction, _, _, vectors, error_sd) = tiny_frame(1, 15.0)
    covariance = prediction.propagated + prediction.base_noise
    log_prior = frame.posterior.log_prior
    log_likelihood = frame.audio.predicted_log_likelihood(covariance, log_prior)
    scores = log_likelihood.reshape(2, -1)[:, 1:].reshape(2, 2, 2)
    direction = prediction.mean @ model.direction.T + model.origin
    prior = piece_log_prior(acoustic_map, direction)
    for k, n in itertools.product(range(2), range(2)):
        spread = model.direction @ covariance[n] @ model.direction.T + error_sd**2 * np.eye(3)
        expected = []
        for r in range(2):
            slope = acoustic_map.slope[k, r]
            marginal = np.diag(acoustic_map.variance[k, r]) + slope @ spread @ slope.T
            mean = slope @ direction[n] + acoustic_map.offset[k, r]
            log_density = multivariate_normal.logpdf(vectors[k], mean, marginal)
            expected.append(log_density + prior[n, k, r] - np.log(3))
        np.testing.assert_allclose(np.sort(scores[k, n]), np.sort(expected), atol=1e-9)


def test_absent_components_do_not_count():
    """A component that is not present acts as if the map had one feature less, for all."""
    rng = np.random.default_rng(0)
    full = small_map(rng, subbands=2, pieces=2, features=5)
    reduced = SimpleNamespace(**vars(full))
    for name in ('slope', 'offset', 'variance'):
        setattr(reduced, name, getattr(full, name)[:, :, :4])
    reduced.log_range = full.log_range[:4]
    vectors = rng.normal(size=(2, 5))
    present = np.arange(5)[None] < np.array([[4], [4]])
    masked = AudioFeatures(0, 1.0, vectors, present, np.ones(2), np.ones(2, bool))
    evidence = AudioStatistics(full, 0.3).evidence(masked)
    expected = AudioStatistics(reduced, 0.3).evidence(features_of(vectors[:, :4]))
    np.testing.assert_allclose(evidence.statistics, expected.statistics, atol=1e-12)
    np.testing.assert_allclose(evidence.log_clutter, expected.log_clutter)


@pytest.mark.parametrize('features, num_microphones', [(12, 4), (8, 2), (5, 2), (12, 3)])
@pytest.mark.parametrize('pattern', ['bins', 'a dead microphone', 'anything'])
def test_statistics_are_the_sums_over_what_is_present(features, num_microphones, pattern):
    """Whole bins are summed at once; the plain sums over the components say the same."""
    rng = np.random.default_rng(features + num_microphones)
    acoustic_map = small_map(rng, subbands=4, pieces=3, features=features)
    acoustic_map.num_microphones = num_microphones
    tables = AudioStatistics(acoustic_map, 0.3)
    vectors = rng.normal(size=(4, features))
    present = rng.random((4, features)) < 0.6
    others = num_microphones - 1
    if pattern != 'anything' and features % (2 * others) == 0:
        bins = rng.random((4, features // (2 * others))) < 0.6
        heard = np.arange(others) > (pattern == 'a dead microphone') - 1
        present = np.tile((bins[..., None] & heard).reshape(4, -1), 2)
    present[0] = True
    found = tables.evidence(AudioFeatures(0, 1.0, vectors, present, np.ones(4), np.ones(4, bool)))
    used = np.flatnonzero(present.any(axis=1))
    weight = np.where(present[:, None], 0.3 / acoustic_map.variance, 0.0)
    residual = vectors[:, None] - acoustic_map.offset
    slope = acoustic_map.slope
    vector = np.einsum('krg,krg,krgi->kri', weight, residual, slope)
    matrix = np.einsum('krg,krgi,krgj->krij', weight, slope, slope)
    square = (weight * residual**2).sum(2)
    square += 0.3 * (present[:, None] * np.log(2 * np.pi * acoustic_map.variance)).sum(2)
    rows, columns = np.triu_indices(3)
    np.testing.assert_allclose(found.statistics[..., 0], square[used], atol=1e-10)
    np.testing.assert_allclose(found.statistics[..., 1:4], vector[used], atol=1e-10)
    np.testing.assert_allclose(found.statistics[..., 4:], matrix[used][..., rows, columns])


def test_real_acoustic_map_class_fits():
    """The statistics agree with the map's own likelihood at an exact direction.

    That is the sum over pieces of prior times Gaussian.
    """
    rng = np.random.default_rng(0)
    plain = small_map(rng, subbands=2, pieces=3, features=4)
    real = AcousticMap(
        **vars(plain),
        sample_rate=16000,
        window=256,
        hop=128,
        num_taps=1,
        subband_width=8,
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
    present = np.ones((2, 4), bool)
    scores = audio.predicted_log_likelihood(np.eye(6)[None], audio.initial_log_prior) + np.log(2)
    np.testing.assert_allclose(
        logsumexp(scores[:, 1:], axis=1),
        real.log_likelihood(vectors, present, direction)[:, 0],
        atol=1e-9,
    )
    np.testing.assert_allclose(scores[:, 0], real.clutter_log_density(present), atol=1e-12)


def association_of(share_prior):
    """Two people at two directions, one affine piece, sixteen sub-bands that say nothing."""
    evidence = AudioEvidence(
        np.zeros((16, 1, 10)), np.zeros((16, 1, 10)), np.zeros(16), np.full(16, 1 / 16)
    )
    directions = LinearMap(np.eye(3)[:2], np.zeros((2, 3, 6)), np.ones(2, bool))
    config = AudioConfig(share_prior=share_prior)
    return AudioAssociation(config, evidence, directions, np.ones(2, bool))


def test_learned_shares_give_ambiguous_subbands_to_whom_the_clear_ones_point_at():
    """Ten sub-bands clearly belong to the first of two people, six fit both alike."""
    log_kappa = np.zeros((16, 3))  # clutter and one piece for each of two people
    log_kappa[:, 0] = -20.0
    log_kappa[:10, 2] = -10.0
    fixed, learned = (association_of(share_prior) for share_prior in (np.inf, 0.5))
    log_prior = fixed.initial_log_prior
    assert fixed.responsibilities(log_kappa + log_prior)[12, 1] == pytest.approx(0.5)
    assert np.array_equal(fixed.update_prior(np.eye(16, 3)), log_prior)
    log_prior = learned.initial_log_prior
    for _ in range(5):
        beta = learned.responsibilities(log_kappa + log_prior)
        log_prior = learned.update_prior(beta)
    assert beta[12, 1] > 0.9
    np.testing.assert_allclose(beta.sum(1), 1.0)


def test_the_prior_of_the_shares_never_lowers_the_bound():
    """`sum beta (log kappa + log rho - log beta) + sum a log rho` rises from round to round."""
    rng = np.random.default_rng(5)
    learned, bounds = association_of(0.5), []
    log_kappa = rng.normal(scale=3.0, size=(16, 3))
    log_prior = learned.initial_log_prior
    for _ in range(8):
        beta = learned.responsibilities(log_kappa + log_prior)
        log_prior = learned.update_prior(beta)
        assigned = float((beta * (log_kappa + log_prior - np.log(beta))).sum())
        bounds.append(assigned + learned.prior_bound(log_prior))
    assert np.all(np.diff(bounds) >= -1e-10) and bounds[-1] > bounds[0]


@pytest.mark.parametrize(
    'changes',
    [{'tempering': 0.0}, {'tempering': 1.5}, {'vad_threshold': -0.1}, {'pieces_per_person': 0}],
)
def test_bad_settings_are_refused(changes):
    with pytest.raises(ValueError):
        AudioConfig(**changes)
