# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Filter and smoother against conditioning the joint Gaussian of everything, real and complex."""

import dataclasses

import numpy as np
import pytest

from av_perception.numerics.kalman import Dynamics, information_filter, kalman_filter, rts_smoother
from av_perception.numerics.kalman_steps import adjoint, predict, update, update_information

STEPS, STATE, SEEN, BATCH = 5, 3, 2, 4
KINDS = pytest.mark.parametrize('kind', [float, complex])


def normal(random, kind, *shape):
    values = random.standard_normal(shape)
    return values + 1j * random.standard_normal(shape) if kind is complex else values


def covariance(random, kind, *shape):
    root = normal(random, kind, *shape, shape[-1])
    return root @ adjoint(root) + 0.3 * np.eye(shape[-1])


def model(kind, seed=0):
    """Everything different at every step and in every batch entry, but for the shared motion."""
    random = np.random.default_rng(seed)
    dynamics = Dynamics(
        normal(random, kind, BATCH, STATE),
        covariance(random, kind, BATCH, STATE),
        0.5 * normal(random, kind, STEPS - 1, 1, STATE, STATE),
        covariance(random, kind, STEPS - 1, BATCH, STATE),
    )
    observation = normal(random, kind, STEPS, BATCH, SEEN, STATE)
    noise = covariance(random, kind, STEPS, BATCH, SEEN)
    return dynamics, observation, noise, normal(random, kind, STEPS, BATCH, SEEN)


def joint_of_states(dynamics, entry):
    """Mean (T D,) and covariance (T D, T D) of the states of one entry, from innovations."""
    mean, spread = [dynamics.mean[entry]], np.zeros((STEPS * STATE,) * 2, complex)
    influence = np.eye(STATE)[None]  # of every innovation so far on the state
    rows = [influence]
    sources = [dynamics.covariance[entry]]
    for t in range(STEPS - 1):
        step = dynamics.transition[t, 0]
        mean.append(step @ mean[-1])
        influence = np.concatenate([step @ influence, np.eye(STATE)[None]])
        rows.append(influence)
        sources.append(dynamics.noise[t, entry])
    for s, t in np.ndindex(STEPS, STEPS):
        block = sum(rows[s][k] @ sources[k] @ rows[t][k].conj().T for k in range(min(s, t) + 1))
        spread[s * STATE : (s + 1) * STATE, t * STATE : (t + 1) * STATE] = block
    return np.concatenate(mean), spread


def dense(kind, dynamics, observation, noise, values, entry):
    """Moments of the states given everything seen, and the log density of what was seen."""
    mean, spread = joint_of_states(dynamics, entry)
    matrix = np.zeros((STEPS * SEEN, STEPS * STATE), complex)
    error = np.zeros((STEPS * SEEN,) * 2, complex)
    for t in range(STEPS):
        rows = slice(t * SEEN, (t + 1) * SEEN)
        matrix[rows, t * STATE : (t + 1) * STATE] = observation[t, entry]
        error[rows, rows] = noise[t, entry]
    seen = ~np.isnan(values[:, entry].ravel())
    matrix, error = matrix[seen], error[np.ix_(seen, seen)]
    residual = values[:, entry].ravel()[seen] - matrix @ mean
    innovation = matrix @ spread @ matrix.conj().T + error
    gain = spread @ matrix.conj().T @ np.linalg.inv(innovation)
    exponent = (residual.conj() @ np.linalg.inv(innovation) @ residual).real
    log_volume = np.linalg.slogdet((np.pi if kind is complex else 2 * np.pi) * innovation)[1]
    half = 1.0 if kind is complex else 0.5
    return mean + gain @ residual, spread - gain @ matrix @ spread, -half * (exponent + log_volume)


def assert_smoothed_is_dense(kind, dynamics, observation, noise, values):
    filtered = kalman_filter(dynamics, values, observation, noise)
    smoothed = rts_smoother(dynamics, filtered)
    for entry in range(BATCH):
        mean, spread, log_density = dense(kind, dynamics, observation, noise, values, entry)
        blocks = spread.reshape(STEPS, STATE, STEPS, STATE)
        np.testing.assert_allclose(smoothed.means[:, entry].ravel(), mean, atol=1e-10)
        for t in range(STEPS):
            np.testing.assert_allclose(smoothed.covariances[t, entry], blocks[t, :, t], atol=1e-10)
        for t in range(STEPS - 1):
            np.testing.assert_allclose(smoothed.lag_one[t, entry], blocks[t + 1, :, t], atol=1e-10)
        assert filtered.log_likelihoods[:, entry].sum() == pytest.approx(log_density, abs=1e-9)
    assert smoothed.means.dtype == kind


@KINDS
def test_smoother_and_likelihood_are_those_of_the_joint_gaussian(kind):
    assert_smoothed_is_dense(kind, *model(kind))


@KINDS
def test_what_was_not_measured_is_left_out(kind):
    dynamics, observation, noise, values = model(kind, 1)
    values[0, 0, 1] = np.nan
    values[2, :, 0] = np.nan
    values[3] = np.nan
    values[4, 1] = np.nan
    assert_smoothed_is_dense(kind, dynamics, observation, noise, values)
    filtered = kalman_filter(dynamics, values, observation, noise)
    np.testing.assert_allclose(filtered.means[3], filtered.predicted_means[3], atol=1e-12)
    assert (filtered.log_likelihoods[3] == 0).all()


@KINDS
def test_filter_is_the_smoother_of_what_came_so_far(kind):
    dynamics, observation, noise, values = model(kind, 2)
    filtered = kalman_filter(dynamics, values, observation, noise)
    for t in range(1, STEPS):
        past = values.copy()
        past[t:] = np.nan
        known = kalman_filter(dynamics, past, observation, noise)
        smoothed = rts_smoother(dynamics, known)
        np.testing.assert_allclose(smoothed.means[t - 1], filtered.means[t - 1], atol=1e-10)
        np.testing.assert_allclose(
            smoothed.covariances[t - 1], filtered.covariances[t - 1], atol=1e-10
        )


@KINDS
def test_information_form_is_the_same_filter(kind):
    dynamics, observation, noise, values = model(kind, 3)
    filtered = kalman_filter(dynamics, values, observation, noise)
    weighted = adjoint(np.linalg.solve(noise, observation))
    informed = information_filter(
        dynamics, weighted @ observation, (weighted @ values[..., None])[..., 0]
    )
    np.testing.assert_allclose(informed.means, filtered.means, atol=1e-10)
    np.testing.assert_allclose(informed.covariances, filtered.covariances, atol=1e-10)
    # the two differ by the density of y at its own noise, which does not depend on the state
    half, area = (1.0, np.pi) if kind is complex else (0.5, 2 * np.pi)
    square = (values.conj() * np.linalg.solve(noise, values[..., None])[..., 0]).sum(-1).real
    constant = -half * (square + np.linalg.slogdet(area * noise)[1])
    np.testing.assert_allclose(
        informed.log_likelihoods + constant, filtered.log_likelihoods, atol=1e-9
    )


@KINDS
def test_no_evidence_changes_nothing_and_a_certain_state_stays(kind):
    random = np.random.default_rng(4)
    mean, spread = normal(random, kind, STATE), covariance(random, kind, STATE)
    nothing = np.zeros((STATE, STATE)), np.zeros(STATE)
    after, updated, gained = update_information(mean, spread, *nothing)
    np.testing.assert_allclose(after, mean)
    np.testing.assert_allclose(updated, spread)
    assert gained == 0
    evidence = covariance(random, kind, STATE), normal(random, kind, STATE)
    after, updated, _ = update_information(mean, np.zeros((STATE, STATE)), *evidence)
    np.testing.assert_array_equal(after, mean)
    assert (updated == 0).all()


def test_constant_arrays_are_shared_by_times_and_batch():
    dynamics, observation, noise, values = model(float, 5)
    shared = Dynamics(
        dynamics.mean[0], dynamics.covariance[0], dynamics.transition[0, 0], dynamics.noise[0, 0]
    )
    spread = kalman_filter(shared, values, observation[0, 0], noise[0, 0])
    repeated = Dynamics(
        np.tile(shared.mean, (BATCH, 1)),
        np.tile(shared.covariance, (BATCH, 1, 1)),
        np.tile(shared.transition, (STEPS - 1, BATCH, 1, 1)),
        np.tile(shared.noise, (STEPS - 1, BATCH, 1, 1)),
    )
    matrix = np.tile(observation[0, 0], (STEPS, BATCH, 1, 1))
    apart = kalman_filter(repeated, values, matrix, np.tile(noise[0, 0], (STEPS, BATCH, 1, 1)))
    for field in dataclasses.fields(apart):
        np.testing.assert_allclose(
            getattr(spread, field.name), getattr(apart, field.name), rtol=1e-10
        )
    single = kalman_filter(shared, values[:, 2], observation[0, 0], noise[0, 0])
    np.testing.assert_allclose(single.means, apart.means[:, 2], rtol=1e-10)


def test_one_step_sequences():
    dynamics, observation, noise, values = model(complex, 6)
    dynamics = dataclasses.replace(
        dynamics, transition=dynamics.transition[:0], noise=dynamics.noise[:0]
    )
    smoothed = rts_smoother(
        dynamics, kalman_filter(dynamics, values[:1], observation[:1], noise[:1])
    )
    assert smoothed.means.shape == (1, BATCH, STATE)
    assert smoothed.lag_one.shape == (0, BATCH, STATE, STATE)


def test_covariance_of_exact_measurements_is_that_of_least_squares():
    """Place and speed, 50 places measured a million times better than known before."""
    motion, observation = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
    mean, spread, still = np.zeros(2), 1e6 * np.eye(2), np.zeros((2, 2))
    information = 1e-6 * np.eye(2)
    for step in range(1, 51):
        mean, spread = predict(mean, spread, motion, still)
        mean, spread, _ = update(mean, spread, observation, np.zeros(1), np.array([[1e-6]]))
        design = np.array([1.0, step])  # of place and speed at the start
        information = information + 1e6 * np.outer(design, design)
        assert np.linalg.eigvalsh(spread)[0] > 0
    moved = np.linalg.matrix_power(motion, 50)
    expected = moved @ np.linalg.inv(information) @ moved.T
    np.testing.assert_allclose(spread, expected, rtol=1e-3)
