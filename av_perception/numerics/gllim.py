# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Piecewise-affine regression learned by EM: GLLiM and its equal-volume form PPAM.

    z = r with probability pi_r
    x | r ~ N(c_r, Gam_r)
    y | x, w, r ~ N(A_r x + B_r w + b_r, Sig_r)
    w ~ N(0, I)

w is never observed and stands for what varies besides x (a room, a voice). Names in the code:
pieces for (pi, c, Gam), slope for A, loading for B, offset for b, variance for diag(Sig).

Source: Deleforge, Forbes and Horaud, "High-dimensional regression with Gaussian mixtures and
partially-latent response variables", Statistics and Computing 25(5), 2015; PPAM: "Acoustic space
learning for sound-source separation and localization on binaural manifolds", Int. J. of Neural
Systems 25(1), 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from av_perception.numerics.em import gain_since_first, run_em
from av_perception.numerics.gaussian import LOG_2PI
from av_perception.numerics.gaussian_mixture import Pieces, fit_pieces
from av_perception.numerics.kmeans import farthest_points, kmeans
from av_perception.numerics.softmax import normalize_log

_LEAST_RESIDUAL = 1e-3  # of the noise: w explains some of it, never so much
_LEAST_MASS = 1e-9  # observations; keeps a piece without any finite
_EMPTY = 1e-3  # observations; a piece that owns less is dropped
_START_ROUNDS = 19  # of the k-means that starts the EM


@dataclass(frozen=True)
class GllimConfig:
    """How a model is learned."""

    #: Number of pieces R at the start.
    num_pieces: int = 32
    #: 'diagonal', 'isotropic' (one number per piece) or 'tied' (one number for all).
    variance: str = 'diagonal'
    #: Whether the pieces have the same weight and volume, PPAM's constraint.
    equal_volume: bool = False
    #: Number of components W of the latent part w.
    latent_size: int = 0
    #: Standard deviation of noise on x that the likelihood is averaged over; it bounds the
    #: covariances from below.
    input_noise: float = 1e-3
    #: Pseudo-counts that hold the slopes at 0.
    ridge: float = 1e-6
    #: Largest number of EM iterations.
    iterations: int = 100
    #: The EM ends when an iteration gains less than this share of the whole gain.
    tolerance: float = 1e-3

    def __post_init__(self):
        if self.num_pieces < 1 or self.iterations < 1 or self.latent_size < 0:
            raise ValueError(
                'num_pieces and iterations must be at least 1, latent_size at least 0'
            )
        if self.variance not in ('diagonal', 'isotropic', 'tied'):
            raise ValueError(
                f"variance must be 'diagonal', 'isotropic' or 'tied', not {self.variance!r}"
            )
        if self.input_noise <= 0 or self.ridge <= 0 or self.tolerance < 0:
            raise ValueError('input_noise and ridge must be positive, tolerance at least 0')


@dataclass(frozen=True)
class Gllim:
    """A learned model of R pieces from L inputs and W latent components to D outputs."""

    #: Mixture over the inputs.
    pieces: Pieces
    #: (R, D, L).
    slope: np.ndarray
    #: (R, D).
    offset: np.ndarray
    #: (R, D).
    variance: np.ndarray
    #: (R, D, W).
    loading: np.ndarray
    #: Penalized log-likelihood after every iteration.
    objective: tuple[float, ...] = ()

    @property
    def marginal_variance(self) -> np.ndarray:
        """(R, D) variance of y given x and r: that of the noise and of the latent part."""
        return self.variance + np.sum(self.loading**2, axis=-1)


@dataclass(frozen=True)
class _Latent:
    """Posterior of w: mean (N, R, W), covariance (R, W, W), and gain (R, W, D) = d mean / d y."""

    mean: np.ndarray
    covariance: np.ndarray
    gain: np.ndarray


def fit_gllim(
    inputs: np.ndarray,
    outputs: np.ndarray,
    config: GllimConfig,
    output_noise: float | np.ndarray = 1e-3,
    pieces: Pieces | None = None,
    log_joint: np.ndarray | None = None,
) -> Gllim:
    """Learn a model; the objective never falls.

    It is `sum_n log sum_r exp E[log pi_r N(x_n + e; c_r, Gam_r) N(y_n + f; A_r x_n + b_r, Sig_r +
    B_r B_r')] - ridge / 2 sum |A_rd|^2 / Sig_rd` with noise e of config.input_noise and f of
    `output_noise`.

    Parameters
    ----------
    inputs, outputs
        (N, L) and (N, D), finite, N at least config.num_pieces; else ValueError.
    config
        How to learn.
    output_noise
        Standard deviation of the noise on y, a number or (D,).
    pieces
        A mixture over the inputs that is kept; None learns one.
    log_joint
        (N, R) `pieces.log_joint(inputs)` when known: many models may share it.
    """
    _check_observations(inputs, outputs, config)
    learner = _Learner(inputs, outputs, config, output_noise, pieces, log_joint)
    start: _State = (None, learner.first_posterior())
    run = run_em(
        start,
        learner.iterate,
        learner.without_empty,
        gain_since_first(config.tolerance),
        config.iterations,
    )
    model = run.expectation[0] if run.converged else run.state[0]
    assert model is not None  # there was at least one iteration
    return replace(model, objective=run.history)


def _check_observations(inputs: np.ndarray, outputs: np.ndarray, config: GllimConfig) -> None:
    finite = np.isfinite(inputs).all() and np.isfinite(outputs).all()
    if len(inputs) < config.num_pieces or not finite:
        raise ValueError(
            f'{config.num_pieces} pieces need as many observations, of finite numbers; '
            f'there are {len(inputs)}'
        )


_State = tuple[Gllim | None, np.ndarray]  # the model, None before the first, and the posterior


class _Learner:
    """The steps of the EM on one set of observations."""

    def __init__(
        self,
        inputs,
        outputs,
        config: GllimConfig,
        output_noise,
        held: Pieces | None,
        held_log_joint: np.ndarray | None = None,
    ):
        self._inputs = inputs
        self._outputs = outputs
        self._config = config
        #: (D,) variance of the noise on y.
        self._noise = np.broadcast_to(np.asarray(output_noise, float) ** 2, outputs.shape[1:])
        self._held = held
        if held is not None and held_log_joint is None:
            held_log_joint = held.log_joint(inputs)
        self._held_log_joint = held_log_joint

    def first_posterior(self) -> np.ndarray:
        """(N, R) by k-means of the inputs, or under the mixture that is kept."""
        if self._held_log_joint is not None:
            return normalize_log(self._held_log_joint)[0]
        start = farthest_points(self._inputs, self._config.num_pieces)
        return kmeans(self._inputs, start, rounds=_START_ROUNDS).one_hot()

    def iterate(self, state: _State) -> tuple[float, _State]:
        """Take one M-step and the E-step after it; returns the objective and both results."""
        model, posterior = state
        inputs, outputs, config = self._inputs, self._outputs, self._config
        # M-step of the mixture over the inputs: pi, c, Gam.
        pieces = self._held or fit_pieces(
            posterior, inputs, config.input_noise, config.equal_volume
        )
        # E-step of the latent part w under the model before.
        latent = None
        if model is not None and config.latent_size:
            latent = _infer_latent(inputs, outputs, model)
        # M-step of the affine maps: A, B, b, Sig.
        model = _fit_affine(inputs, outputs, posterior, latent, pieces, config, self._noise)
        # E-step of the pieces: r_nk.
        log_joint = self._held_log_joint
        if log_joint is None:
            log_joint = pieces.log_joint(inputs, config.input_noise)
        log_joint = log_joint + _log_density(inputs, outputs, model, self._noise)
        posterior, evidence = normalize_log(log_joint)
        penalty = np.sum(model.slope**2 / model.variance[..., None])
        objective = float(evidence.sum() - 0.5 * config.ridge * penalty)
        return objective, (model, posterior)

    def without_empty(self, expectation: _State, _: _State) -> _State:
        """Drop the pieces that own nothing, unless the mixture is kept."""
        model, posterior = expectation
        assert model is not None  # it comes from an iteration
        if self._held is None and posterior.sum(axis=0).min() < _EMPTY:
            return _without_empty(model, posterior)
        return expectation


def _fit_affine(
    inputs: np.ndarray,
    outputs: np.ndarray,
    posterior: np.ndarray,
    latent: _Latent | None,
    pieces: Pieces,
    config: GllimConfig,
    noise: np.ndarray,
) -> Gllim:
    """Regress y on x (and the expected w) in every piece; the variance is of what remains."""
    size = inputs.shape[1]
    mass = posterior.sum(axis=0) + _LEAST_MASS
    mean_y = posterior.T @ outputs / mass[:, None]
    square_y = posterior.T @ outputs**2 - mass[:, None] * mean_y**2 + mass[:, None] * noise
    mean, scatter, cross = _regressor_statistics(inputs, outputs, posterior, mass, latent, noise)
    # A_k, B_k: weighted ridge regression.
    scatter[:, np.arange(size), np.arange(size)] += config.ridge
    cross = cross - mass[:, None, None] * mean_y[:, :, None] * mean[:, None]
    coefficients = np.linalg.solve(scatter, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    # b_k.
    offset = mean_y - np.einsum('rdi,ri->rd', coefficients, mean)
    # Sig_k, with ridge |A|^2, by the normal equations; rounding must not make it negative.
    residual = square_y - np.einsum('rdi,rdi->rd', coefficients, cross)
    residual = np.maximum(residual, _LEAST_RESIDUAL * mass[:, None] * noise)
    slope = coefficients[..., :size]
    loading = coefficients[..., size:]
    if config.latent_size and latent is None:
        loading = _principal_residuals(
            inputs, outputs, posterior, slope, offset, config.latent_size
        )
        explained = mass[:, None] * np.sum(loading**2, axis=-1)
        residual = np.maximum(residual - explained, mass[:, None] * noise)
    return Gllim(pieces, slope, offset, _shared(residual, mass, config.variance), loading)


def _regressor_statistics(inputs, outputs, posterior, mass, latent: _Latent | None, noise):
    """Sum up the regressors (x, w), P = L + W of them, in every piece.

    Returns
    -------
    tuple of np.ndarray
        Mean (R, P), centered scatter (R, P, P) and plain cross moment with y (R, D, P).
    """
    mean = posterior.T @ inputs / mass[:, None]
    scatter = np.einsum('nr,ni,nj->rij', posterior, inputs, inputs, optimize=True)
    cross = np.stack([(posterior * column[:, None]).T @ outputs for column in inputs.T], axis=-1)
    if latent is not None:
        weighted = posterior[..., None] * latent.mean
        mean_w = weighted.sum(axis=0) / mass[:, None]
        mixed = np.einsum('ni,nrw->riw', inputs, weighted, optimize=True)
        noise_w = np.einsum('rwd,d,rvd->rwv', latent.gain, noise, latent.gain, optimize=True)
        spread = latent.covariance + noise_w
        square = np.einsum('nrw,nrv->rwv', weighted, latent.mean, optimize=True)
        square = square + mass[:, None, None] * spread
        scatter = np.block([[scatter, mixed], [mixed.transpose(0, 2, 1), square]])
        cross_w = np.einsum('nrw,nd->rdw', weighted, outputs, optimize=True)
        cross_w += mass[:, None, None] * noise[:, None] * latent.gain.transpose(0, 2, 1)
        mean = np.concatenate([mean, mean_w], axis=1)
        cross = np.concatenate([cross, cross_w], axis=2)
    return mean, scatter - mass[:, None, None] * mean[:, :, None] * mean[:, None], cross


def _shared(residual: np.ndarray, mass: np.ndarray, kind: str) -> np.ndarray:
    """(R, D) variances from the summed squares (R, D): apart, averaged over D, or over all."""
    if kind == 'isotropic':
        average = residual.mean(axis=1, keepdims=True) / mass[:, None]
        return np.repeat(average, residual.shape[1], axis=1)
    if kind == 'tied':
        return np.full(residual.shape, residual.mean(axis=1).sum() / mass.sum())
    return residual / mass[:, None]


def _principal_residuals(inputs, outputs, posterior, slope, offset, count: int) -> np.ndarray:
    """(R, D, W) start of the loading: the strongest directions of every piece's residuals.

    Beyond the rest, as in probabilistic principal components (Tipping and Bishop 1999).
    """
    loading = []
    for r in range(len(slope)):
        weight = np.sqrt(posterior[:, r] / (posterior[:, r].sum() + _LEAST_MASS))
        residual = weight[:, None] * (outputs - inputs @ slope[r].T - offset[r])
        _, singular, axes = np.linalg.svd(residual, full_matrices=False)
        rest = np.mean(singular[count:] ** 2) if len(singular) > count else 0.0
        length = np.sqrt(np.maximum(singular[:count, None] ** 2 - rest, 0.0))
        loading.append((length * axes[:count]).T)
    return np.stack(loading)


def _infer_latent(inputs: np.ndarray, outputs: np.ndarray, model: Gllim) -> _Latent:
    """E-step for w: covariance (I + B' Sig^-1 B)^-1, mean gain (y - A x - b)."""
    scaled = model.loading / model.variance[..., None]
    information = np.einsum('rdw,rdv->rwv', model.loading, scaled)
    covariance = np.linalg.inv(np.eye(model.loading.shape[2]) + information)
    gain = np.einsum('rwv,rdv->rwd', covariance, scaled)
    means = [
        (outputs - inputs @ slope.T - offset) @ piece_gain.T
        for slope, offset, piece_gain in zip(model.slope, model.offset, gain)
    ]
    return _Latent(np.stack(means, axis=1), covariance, gain)


def _log_density(
    inputs: np.ndarray, outputs: np.ndarray, model: Gllim, noise: np.ndarray
) -> np.ndarray:
    """(N, R) E[log N(y_n + f; A_r x_n + b_r, Sig_r + B_r B_r')], by matrix products only."""
    precision = 1 / model.variance
    affine = np.concatenate([model.slope, model.offset[..., None]], axis=-1)
    extended = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    # |y - A x - b|^2 in the metric of Sig: the square of y, of A x + b, and their product.
    gram = np.einsum('rd,rdi,rdj->rij', precision, affine, affine, optimize=True)
    square = np.einsum('ni,rij,nj->nr', extended, gram, extended, optimize=True)
    quadratic = (outputs**2) @ precision.T + square
    for i in range(extended.shape[1]):
        quadratic -= 2 * extended[:, i : i + 1] * (outputs @ (precision * affine[..., i]).T)
    exponent = quadratic + (noise * precision + np.log(model.variance) + LOG_2PI).sum(axis=1)
    if model.loading.shape[2]:
        # What w explains (Woodbury) and the determinant that it adds.
        latent = _infer_latent(inputs, outputs, model)
        information = np.linalg.inv(latent.covariance)
        mean = latent.mean
        exponent -= np.einsum('nrw,rwv,nrv->nr', mean, information, mean, optimize=True)
        gain = latent.gain
        exponent -= np.einsum('rwd,d,rwv,rvd->r', gain, noise, information, gain, optimize=True)
        exponent += np.linalg.slogdet(information)[1]
    return -0.5 * exponent


def _without_empty(model: Gllim, posterior: np.ndarray) -> tuple[Gllim, np.ndarray]:
    """Drop the pieces that own nothing, from the model and from the posterior."""
    keep = posterior.sum(axis=0) >= _EMPTY
    pieces = model.pieces
    kept = Pieces(
        pieces.log_weight[keep],
        pieces.center[keep],
        pieces.precision[keep],
        pieces.log_det_precision[keep],
    )
    posterior = posterior[:, keep] / posterior[:, keep].sum(axis=1, keepdims=True)
    slope, offset = model.slope[keep], model.offset[keep]
    return Gllim(kept, slope, offset, model.variance[keep], model.loading[keep]), posterior
