# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The steps of Kalman filters for real and for circular complex Gaussians, batched.

Complex covariances are `E[(x - m)(x - m)^H]`. Every array may have leading batch axes, which
broadcast. Sources: Kalman, J. Basic Engineering 82, 1960; Bucy and Joseph, "Filtering for
stochastic processes", 1968.
"""

from __future__ import annotations

import numpy as np

from av_perception.numerics.gaussian import matvec


def predict(mean, covariance, transition, noise) -> tuple[np.ndarray, np.ndarray]:
    """One step of the motion: `A m` and `A P A^H + Q`.

    Parameters
    ----------
    mean, covariance
        (..., D) and (..., D, D) of x_t.
    transition, noise
        (..., D, D) A and Q.

    Returns
    -------
    mean, covariance
        (..., D) and (..., D, D) of x_t+1.
    """
    moved = transition @ covariance @ adjoint(transition) + noise
    return matvec(transition, mean), hermitian_part(moved)


def update(mean, covariance, observation, value, noise):
    """Bayes' rule for one measurement, in Joseph's form, whose covariance stays positive definite.

    Parameters
    ----------
    mean, covariance
        (..., D) and (..., D, D) before the measurement.
    observation
        (..., O, D) H.
    value
        (..., O) y; components that are NaN were not measured.
    noise
        (..., O, O) R, positive definite.

    Returns
    -------
    mean, covariance
        (..., D) and (..., D, D) after it.
    log_likelihood
        (...) `log N(y; H m, H P H^H + R)` of the components that were measured, 0 without any.
    """
    seen = ~np.isnan(value)
    # What was not measured becomes a value of 0 +- 1 that has nothing to do with the state.
    pairs = seen[..., :, None] & seen[..., None, :]
    observation = np.where(seen[..., None], observation, 0.0)
    noise = np.where(pairs, noise, np.eye(value.shape[-1]))
    residual = np.where(seen, value, 0.0) - matvec(observation, mean)

    cross = observation @ covariance
    innovation = hermitian_part(cross @ adjoint(observation) + noise)
    gain = adjoint(np.linalg.solve(innovation, cross))
    rest = np.eye(mean.shape[-1]) - gain @ observation
    joseph = rest @ covariance @ adjoint(rest) + gain @ noise @ adjoint(gain)

    whitened = _solve(innovation, residual)
    half, log_volume = _density_constants(residual)
    exponent = _inner(residual, whitened) + np.linalg.slogdet(innovation)[1]
    log_likelihood = -half * (exponent + log_volume * seen.sum(axis=-1))
    return mean + matvec(gain, residual), hermitian_part(joseph), log_likelihood


def update_information(mean, covariance, precision, vector):
    """Bayes' rule for evidence in information form.

        exp(h (-x^H E x + 2 Re e^H x)),   h = 1/2 for real numbers and 1 for complex ones

    Parameters
    ----------
    mean, covariance
        (..., D) and (..., D, D) before the evidence; the covariance may be singular.
    precision
        (..., D, D) E, Hermitian, not negative; zero for no evidence.
    vector
        (..., D) e, for a measurement `H^H R^-1 y`.

    Returns
    -------
    mean, covariance
        (..., D) `V (P^-1 m + e)` and (..., D, D) `V = (P^-1 + E)^-1`, without an inverse of P or
        of E.
    log_evidence
        (...) logarithm of the expectation of the evidence under the prior.
    """
    spread = np.eye(mean.shape[-1]) + covariance @ precision  # P V^-1
    updated = hermitian_part(np.linalg.solve(spread, covariance))
    slope = vector - matvec(precision, mean)  # of the log evidence at the prior mean
    half, _ = _density_constants(mean, vector)
    level = 2 * _inner(vector, mean) - _inner(mean, matvec(precision, mean))
    gained = level + _inner(slope, matvec(updated, slope)) - np.linalg.slogdet(spread)[1]
    return mean + matvec(updated, slope), updated, half * gained


def hermitian_part(matrices: np.ndarray) -> np.ndarray:
    """Hermitian part of (..., D, D) matrices: rounding must not grow into asymmetry."""
    return 0.5 * (matrices + adjoint(matrices))


def adjoint(matrices: np.ndarray) -> np.ndarray:
    """Conjugate transpose of (..., D, D) matrices."""
    return np.conj(matrices).swapaxes(-1, -2)


def _solve(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return np.linalg.solve(matrices, vectors[..., None])[..., 0]


def _inner(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Real part of `left^H right` of (..., D) vectors."""
    return (np.conj(left) * right).sum(axis=-1).real


def _density_constants(*arrays: np.ndarray) -> tuple[float, float]:
    """Factor of the exponent of a Gaussian density, and the constant of each component in it."""
    if any(np.iscomplexobj(array) for array in arrays):
        return 1.0, float(np.log(np.pi))
    return 0.5, float(np.log(2 * np.pi))
