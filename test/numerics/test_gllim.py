# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Piecewise-affine regression: planted parameters, closed forms, a likelihood that never falls,
and inversion of a curved manifold.
"""

import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from streaming_regression import InverseRegression

from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import assemble_map
from av_perception.numerics.gaussian_mixture import Pieces, fit_pieces
from av_perception.numerics.gllim import Gllim, GllimConfig, fit_gllim
from av_perception.numerics.kmeans import farthest_points, kmeans
from av_perception.robot_head.profile import MicrophoneArray

CENTERS = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
EXACT = GllimConfig(3, input_noise=1e-4, ridge=1e-8, iterations=60, tolerance=1e-7)


def planted(rng, size=6, latent=0, deviation=0.05, count=400):
    """A model of three pieces and a sample of it: (model, inputs, outputs)."""
    slope, offset = rng.standard_normal((3, size, 3)), 3 * rng.standard_normal((3, size))
    loading = 0.5 * rng.standard_normal((3, size, latent))
    label = np.repeat(np.arange(3), count)
    inputs = CENTERS[label] + 0.5 * rng.standard_normal((3 * count, 3))
    outputs = (
        np.einsum('ngi,ni->ng', slope[label], inputs)
        + offset[label]
        + deviation * rng.standard_normal((3 * count, size))
    )
    outputs += np.einsum('ngw,nw->ng', loading[label], rng.standard_normal((3 * count, latent)))
    pieces = Pieces(
        np.log(np.full(3, 1 / 3)),
        CENTERS,
        np.tile(4 * np.eye(3), (3, 1, 1)),
        np.full(3, 3 * np.log(4.0)),
    )
    return Gllim(pieces, slope, offset, np.full((3, size), deviation**2), loading), inputs, outputs


def in_order(fitted):
    """Which fitted piece is which planted one."""
    return [int(np.argmin(np.linalg.norm(fitted.pieces.center - c, axis=1))) for c in CENTERS]


def test_planted_affine_pieces_are_recovered():
    model, inputs, outputs = planted(np.random.default_rng(0))
    fitted = fit_gllim(inputs, outputs, EXACT)
    order = in_order(fitted)
    np.testing.assert_allclose(fitted.slope[order], model.slope, atol=0.03)
    np.testing.assert_allclose(fitted.offset[order], model.offset, atol=0.1)
    np.testing.assert_allclose(np.sqrt(fitted.variance), 0.05, rtol=0.15)
    np.testing.assert_allclose(fitted.pieces.center[order], CENTERS, atol=0.1)


def test_one_piece_is_ridge_regression():
    rng = np.random.default_rng(1)
    points, values = rng.standard_normal((200, 3)), rng.standard_normal((200, 4))
    fitted = fit_gllim(
        points, values, GllimConfig(1, ridge=2.0, iterations=1), output_noise=np.sqrt(0.3)
    )
    x, y = points - points.mean(axis=0), values - values.mean(axis=0)
    expected = np.linalg.solve(x.T @ x + 2 * np.eye(3), x.T @ y).T
    np.testing.assert_allclose(fitted.slope[0], expected, rtol=1e-6)
    penalized = np.mean((y - x @ expected.T) ** 2, axis=0) + 2 * np.sum(expected**2, axis=1) / 200
    np.testing.assert_allclose(fitted.variance[0], penalized + 0.3, rtol=1e-6)


@pytest.mark.parametrize('variance', ['diagonal', 'isotropic', 'tied'])
@pytest.mark.parametrize('equal_volume', [False, True])
@pytest.mark.parametrize('latent', [0, 2])
def test_the_likelihood_never_falls(variance, equal_volume, latent):
    """On data that it does not fit: a curved surface, too many pieces, noise of both kinds."""
    rng = np.random.default_rng(2)
    inputs = rng.uniform(-1, 1, (300, 2))
    outputs = np.concatenate(
        [
            np.sin(3 * inputs),
            np.cos(4 * inputs[:, :1] * inputs[:, 1:]),
            rng.standard_normal((300, 2)),
        ],
        axis=1,
    )
    config = GllimConfig(
        12,
        variance,
        equal_volume,
        latent,
        input_noise=0.05,
        ridge=0.01,
        iterations=40,
        tolerance=0.0,
    )
    fitted = fit_gllim(inputs, outputs, config, output_noise=np.array([0.1, 0.1, 0.2, 0.1, 0.3]))
    gain = np.diff(fitted.objective)
    assert (
        len(gain) == 39 and gain.min() > -1e-8 * abs(fitted.objective[-1]) and gain[:5].max() > 1
    )


@pytest.mark.parametrize('latent', [0, 2])
def test_the_objective_is_the_penalized_likelihood(latent):
    _, inputs, outputs = planted(np.random.default_rng(3), size=4, latent=latent, count=20)
    config = GllimConfig(
        3, latent_size=latent, input_noise=0.2, ridge=0.3, iterations=7, tolerance=0.0
    )
    fitted = fit_gllim(inputs, outputs, config, output_noise=0.4)
    total = -0.5 * 0.3 * np.sum(fitted.slope**2 / fitted.variance[..., None])
    for x, y in zip(inputs, outputs):
        terms = []
        for r in range(3):
            marginal = np.diag(fitted.variance[r]) + fitted.loading[r] @ fitted.loading[r].T
            mean = fitted.slope[r] @ x + fitted.offset[r]
            term = fitted.pieces.log_weight[r] + multivariate_normal(
                fitted.pieces.center[r], np.linalg.inv(fitted.pieces.precision[r])
            ).logpdf(x)
            term += multivariate_normal(mean, marginal).logpdf(y)
            terms.append(
                term
                - 0.5
                * (
                    0.04 * np.trace(fitted.pieces.precision[r])
                    + 0.16 * np.trace(np.linalg.inv(marginal))
                )
            )
        total += np.logaddexp.reduce(terms)
    assert fitted.objective[-1] == pytest.approx(total, rel=1e-9)


def test_a_hidden_cause_is_found_by_its_loading():
    model, inputs, outputs = planted(np.random.default_rng(4), size=8, latent=1, count=1500)
    fitted = fit_gllim(inputs, outputs, dataclasses.replace(EXACT, latent_size=1))
    for planted_piece, r in enumerate(in_order(fitted)):
        found, true = fitted.loading[r, :, 0], model.loading[planted_piece, :, 0]
        np.testing.assert_allclose(found * np.sign(found @ true), true, atol=0.05)
    np.testing.assert_allclose(np.sqrt(fitted.variance), 0.05, rtol=0.2)
    blind = fit_gllim(inputs, outputs, EXACT)
    assert fitted.objective[-1] > blind.objective[-1] + 100
    np.testing.assert_allclose(
        fitted.marginal_variance[in_order(fitted)], blind.variance[in_order(blind)], rtol=0.2
    )


def test_variance_kinds_share_what_they_say():
    _, inputs, outputs = planted(np.random.default_rng(5))
    outputs[:, 0] += np.random.default_rng(6).standard_normal(len(outputs))
    kinds = ('diagonal', 'isotropic', 'tied')
    diagonal, isotropic, tied = (
        fit_gllim(inputs, outputs, dataclasses.replace(EXACT, variance=kind)).variance
        for kind in kinds
    )
    assert diagonal[0, 0] > 100 * diagonal[0, 1]
    assert np.ptp(isotropic, axis=1).max() == 0 and np.ptp(isotropic[:, 0]) > 0
    assert np.ptp(tied) == 0
    np.testing.assert_allclose(tied.mean(), diagonal.mean(), rtol=0.05)


def test_equal_volume_is_the_constrained_maximum():
    """No other equal determinant with the same shapes gives the scatter a higher likelihood."""
    rng = np.random.default_rng(7)
    inputs = np.concatenate(
        [
            rng.standard_normal((50, 2)) * s + 10 * i
            for i, s in enumerate(([3, 1], [0.1, 0.3], [1, 1]))
        ]
    )
    posterior = np.repeat(np.eye(3), 50, axis=0)
    pieces = fit_pieces(posterior, inputs, 0.1, equal_volume=True)
    np.testing.assert_allclose(pieces.log_det_precision, pieces.log_det_precision[0])
    np.testing.assert_allclose(pieces.log_weight, np.log(1 / 3))

    def likelihood(scale):
        changed = dataclasses.replace(
            pieces,
            precision=pieces.precision * scale,
            log_det_precision=pieces.log_det_precision + 2 * np.log(scale),
        )
        return np.sum(posterior * changed.log_joint(inputs, 0.1))

    assert likelihood(1.0) > max(likelihood(0.99), likelihood(1.01))


def test_pieces_that_own_nothing_are_dropped():
    rng = np.random.default_rng(8)
    inputs = np.concatenate([np.zeros((50, 2)), np.ones((50, 2))]) + 1e-3 * rng.standard_normal(
        (100, 2)
    )
    outputs = inputs @ rng.standard_normal((2, 3))
    fitted = fit_gllim(
        inputs, outputs, GllimConfig(8, input_noise=0.3, iterations=300, tolerance=0.0)
    )
    count = len(fitted.pieces.log_weight)
    assert count < 8 and fitted.slope.shape[0] == fitted.variance.shape[0] == count
    assert np.exp(fitted.pieces.log_weight).sum() == pytest.approx(1)


def test_a_mixture_that_is_kept_is_evaluated_once_for_all_models(monkeypatch):
    """Regression: in every iteration of every sub-band, half of what learning a map took."""
    model, inputs, outputs = planted(np.random.default_rng(10))
    log_joint = model.pieces.log_joint(inputs)
    calls = []
    true = Pieces.log_joint
    monkeypatch.setattr(Pieces, 'log_joint', lambda *a: calls.append(a) or true(*a))
    alone = fit_gllim(inputs, outputs, EXACT, pieces=model.pieces)
    assert len(calls) == 1 and len(alone.objective) > 2
    shared = fit_gllim(inputs, outputs, EXACT, pieces=model.pieces, log_joint=log_joint)
    assert len(calls) == 1
    np.testing.assert_array_equal(shared.slope, alone.slope)
    np.testing.assert_array_equal(shared.objective, alone.objective)
    assert np.all(np.diff(shared.objective) > -1e-9 * np.abs(shared.objective[:-1]))
    np.testing.assert_allclose(shared.slope, model.slope, atol=0.03)


def test_kmeans_start_uses_every_center():
    points = np.random.default_rng(9).standard_normal((60, 3))
    member = kmeans(points, farthest_points(points, 7), rounds=19).one_hot()
    assert (member.sum(axis=1) == 1).all() and (member.sum(axis=0) > 0).all()


HARMONICS, SHIFTS = np.repeat([1.0, 2.0, 3.0], 4), np.tile(np.arange(4) * np.pi / 4, 3)


def circle_map(pieces, deviation, rng):
    """A map of one sub-band learnt from noisy features of a full circle of directions."""
    angle = rng.uniform(-np.pi, np.pi, 2000)
    fitted = fit_gllim(
        on_circle(angle),
        features_at(angle) + deviation * rng.standard_normal((2000, len(HARMONICS))),
        GllimConfig(pieces, input_noise=0.02, iterations=60),
        output_noise=1e-3,
    )
    array = MicrophoneArray(((0.0, 0.0, 0.0), (0.1, 0.0, 0.0)))
    return assemble_map(
        fitted.pieces,
        [fitted],
        array,
        AudioFrontEndConfig(voice_activity=False),
        'free-field',
        'a circle',
    )


def on_circle(angle):
    return np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], axis=-1)


def features_at(angle):
    return np.cos(HARMONICS * angle[:, None] + SHIFTS)


def test_directions_on_a_circle_are_found_with_30_percent_missing():
    """RMSE below twice the noise-limited bound, the inverse of the Fisher information of the
    components that are there.
    """
    rng = np.random.default_rng(10)
    deviation = 0.1
    acoustic_map = circle_map(24, deviation, rng)
    truth = rng.uniform(-np.pi, np.pi, 200)
    errors, bounds = [], []
    for angle in truth:
        value = features_at(np.array([angle]))[0]
        present = rng.random(len(HARMONICS)) < 0.7
        regression = InverseRegression(acoustic_map)
        regression.add(
            np.where(present, value + deviation * rng.standard_normal(len(HARMONICS)), np.nan)[
                None
            ],
            present[None],
            np.ones(1),
        )
        expectation = regression.posterior().expectation
        errors.append(np.angle(np.exp(1j * (np.arctan2(expectation[1], expectation[0]) - angle))))
        gradient = HARMONICS * np.sin(HARMONICS * angle + SHIFTS)
        bounds.append(deviation**2 / np.sum(gradient[present] ** 2))
    assert np.sqrt(np.mean(np.square(errors))) < 2 * np.sqrt(np.mean(bounds))


@pytest.mark.parametrize(
    'bad',
    [
        dict(num_pieces=0),
        dict(variance='full'),
        dict(input_noise=0.0),
        dict(ridge=0.0),
        dict(latent_size=-1),
        dict(iterations=0),
        dict(tolerance=-1.0),
    ],
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        GllimConfig(**bad)


@pytest.mark.parametrize(
    'inputs, outputs',
    [(np.zeros((2, 3)), np.zeros((2, 1))), (np.zeros((5, 3)), np.full((5, 1), np.nan))],
)
def test_unusable_observations_are_refused(inputs, outputs):
    with pytest.raises(ValueError, match='3 pieces'):
        fit_gllim(inputs, outputs, GllimConfig(3))
