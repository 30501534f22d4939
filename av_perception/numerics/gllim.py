# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Piecewise-affine regression learnt by EM: GLLiM (Deleforge, Forbes and Horaud 2015) and its equal-volume form PPAM.

z = r with probability pi_r;  x | r ~ N(c_r, Gam_r);  y | x, w, r ~ N(A_r x + B_r w + b_r, Sig_r);  w ~ N(0, I) is never observed and
stands for what varies besides x (a room, a voice). Names: pieces -> pi, c, Gam; slope -> A; loading -> B; offset -> b; variance -> Sig.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian_mixture import (
    LOG_TWO_PI,
    Pieces,
    fit_pieces,
    hard_assignment,
    normalized,
)

_LEAST_RESIDUAL = 1e-3  # of the noise: w explains some of it, never so much
_EMPTY = 1e-3  # observations; a piece that owns less is dropped


@dataclass(frozen=True)
class GllimConfig:
    """num_pieces: R at the start; variance: 'diagonal', 'isotropic' (one number per piece) or 'tied' (one number for all).

    equal_volume: PPAM's constraint on the pieces; latent_size: components of w. input_noise: standard deviation of noise on x and y that the
    likelihood is averaged over, which bounds the covariances from below (output_noise is an argument of `fit_gllim`: it may differ
    between components). ridge: pseudo-counts that hold slopes at 0. EM ends after `iterations` or when a step gains less than
    `tolerance` of the whole gain.
    """

    num_pieces: int = 32
    variance: str = 'diagonal'
    equal_volume: bool = False
    latent_size: int = 0
    input_noise: float = 1e-3
    ridge: float = 1e-6
    iterations: int = 100
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
    """slope (R, D, L), offset (R, D), variance (R, D), loading (R, D, W); objective: penalised log-likelihood after every iteration."""

    pieces: Pieces
    slope: np.ndarray
    offset: np.ndarray
    variance: np.ndarray
    loading: np.ndarray
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
) -> Gllim:
    """Learn from inputs (N, L) and outputs (N, D); `pieces` holds the mixture over the inputs fixed.

    Maximises sum_n log sum_r exp E[log pi_r N(x_n + e; c_r, Gam_r) N(y_n + f; A_r x_n + b_r, Sig_r + B_r B_r^T)] - ridge / 2 sum |A_rd|^2 / Sig_rd
    with noise e, f of standard deviation input_noise and output_noise (a number or (D,)); the objective never decreases.
    Raises ValueError when there are fewer observations than pieces or a number is not finite.
    """
    if len(inputs) < config.num_pieces or not (
        np.isfinite(inputs).all() and np.isfinite(outputs).all()
    ):
        raise ValueError(
            f'{config.num_pieces} pieces need as many observations, of finite numbers; there are {len(inputs)}'
        )
    noise = np.broadcast_to(np.asarray(output_noise, float) ** 2, outputs.shape[1:])
    held, model, objective = pieces, None, []
    posterior = (
        hard_assignment(inputs, config.num_pieces)
        if held is None
        else normalized(held.log_joint(inputs))[0]
    )
    while len(objective) < config.iterations:
        model, posterior, value = _iterate(inputs, outputs, posterior, model, config, noise, held)
        objective.append(value)
        if len(objective) > 2 and objective[-1] - objective[-2] < config.tolerance * (
            objective[-1] - objective[0]
        ):
            break
        if held is None and posterior.sum(axis=0).min() < _EMPTY:
            model, posterior = _without_empty(model, posterior)
    return Gllim(
        model.pieces, model.slope, model.offset, model.variance, model.loading, tuple(objective)
    )


def _iterate(
    inputs,
    outputs,
    posterior,
    model: Gllim | None,
    config: GllimConfig,
    noise,
    held: Pieces | None,
) -> tuple[Gllim, np.ndarray, float]:
    """One M-step and the E-step after it: the model, the posterior (N, R) and the objective."""
    pieces = held or fit_pieces(posterior, inputs, config.input_noise, config.equal_volume)
    latent = (
        None if model is None or not config.latent_size else _infer_latent(inputs, outputs, model)
    )
    model = _fit_affine(inputs, outputs, posterior, latent, pieces, config, noise)
    log_joint = pieces.log_joint(inputs, 0.0 if held else config.input_noise) + _log_density(
        inputs, outputs, model, noise
    )
    posterior, evidence = normalized(log_joint)
    return (
        model,
        posterior,
        float(
            evidence.sum()
            - 0.5 * config.ridge * np.sum(model.slope**2 / model.variance[..., None])
        ),
    )


def _fit_affine(
    inputs, outputs, posterior, latent: _Latent | None, pieces: Pieces, config: GllimConfig, noise
) -> Gllim:
    """M-step: weighted ridge regression of y on x (and the expected w) in every piece; the variance of what remains plus the noise's."""
    size = inputs.shape[1]
    mass = posterior.sum(axis=0) + 1e-9
    mean_y = posterior.T @ outputs / mass[:, None]
    square_y = posterior.T @ outputs**2 - mass[:, None] * mean_y**2 + mass[:, None] * noise
    mean, scatter, cross = _regressor_statistics(inputs, outputs, posterior, mass, latent, noise)
    scatter[:, np.arange(size), np.arange(size)] += config.ridge
    cross = cross - mass[:, None, None] * mean_y[:, :, None] * mean[:, None]
    coefficients = np.linalg.solve(scatter, cross.transpose(0, 2, 1)).transpose(0, 2, 1)
    offset = mean_y - np.einsum('rdi,ri->rd', coefficients, mean)
    residual = square_y - np.einsum(
        'rdi,rdi->rd', coefficients, cross
    )  # with ridge |A|^2, by the normal equations
    residual = np.maximum(residual, _LEAST_RESIDUAL * mass[:, None] * noise)  # rounding
    slope, loading = coefficients[..., :size], coefficients[..., size:]
    if config.latent_size and latent is None:
        loading = _principal_residuals(
            inputs, outputs, posterior, slope, offset, config.latent_size
        )
        residual = np.maximum(
            residual - mass[:, None] * np.sum(loading**2, axis=-1), mass[:, None] * noise
        )
    return Gllim(pieces, slope, offset, _shared(residual, mass, config.variance), loading)


def _regressor_statistics(inputs, outputs, posterior, mass, latent: _Latent | None, noise):
    """Mean (R, P), centred scatter (R, P, P) and plain cross moment with y (R, D, P) of the regressors x, w; P = L + W."""
    mean = posterior.T @ inputs / mass[:, None]
    scatter = np.einsum('nr,ni,nj->rij', posterior, inputs, inputs, optimize=True)
    cross = np.stack([(posterior * column[:, None]).T @ outputs for column in inputs.T], axis=-1)
    if latent is not None:
        weighted = posterior[..., None] * latent.mean
        mean_w = weighted.sum(axis=0) / mass[:, None]
        mixed = np.einsum('ni,nrw->riw', inputs, weighted, optimize=True)
        spread = latent.covariance + np.einsum(
            'rwd,d,rvd->rwv', latent.gain, noise, latent.gain, optimize=True
        )
        square = (
            np.einsum('nrw,nrv->rwv', weighted, latent.mean, optimize=True)
            + mass[:, None, None] * spread
        )
        scatter = np.block([[scatter, mixed], [mixed.transpose(0, 2, 1), square]])
        cross_w = np.einsum('nrw,nd->rdw', weighted, outputs, optimize=True)
        cross_w += mass[:, None, None] * noise[:, None] * latent.gain.transpose(0, 2, 1)
        mean, cross = (
            np.concatenate([mean, mean_w], axis=1),
            np.concatenate([cross, cross_w], axis=2),
        )
    return mean, scatter - mass[:, None, None] * mean[:, :, None] * mean[:, None], cross


def _shared(residual, mass, kind: str) -> np.ndarray:
    """(R, D) variances from the summed squares (R, D): apart, averaged over D, or over everything."""
    if kind == 'isotropic':
        return np.repeat(
            residual.mean(axis=1, keepdims=True) / mass[:, None], residual.shape[1], axis=1
        )
    if kind == 'tied':
        return np.full(residual.shape, residual.mean(axis=1).sum() / mass.sum())
    return residual / mass[:, None]


def _principal_residuals(inputs, outputs, posterior, slope, offset, count: int) -> np.ndarray:
    """(R, D, W) start of the loading: the strongest directions of every piece's residuals beyond the rest (Tipping and Bishop 1999)."""
    loading = []
    for r in range(len(slope)):
        weight = np.sqrt(posterior[:, r] / (posterior[:, r].sum() + 1e-9))
        residual = weight[:, None] * (outputs - inputs @ slope[r].T - offset[r])
        _, deviation, axes = np.linalg.svd(residual, full_matrices=False)
        rest = np.mean(deviation[count:] ** 2) if len(deviation) > count else 0.0
        loading.append(
            (np.sqrt(np.maximum(deviation[:count, None] ** 2 - rest, 0.0)) * axes[:count]).T
        )
    return np.stack(loading)


def _infer_latent(inputs, outputs, model: Gllim) -> _Latent:
    """E-step for w: covariance (I + B^T Sig^-1 B)^-1, mean gain (y - A x - b)."""
    scaled = model.loading / model.variance[..., None]
    precision = np.eye(model.loading.shape[2]) + np.einsum('rdw,rdv->rwv', model.loading, scaled)
    covariance = np.linalg.inv(precision)
    gain = np.einsum('rwv,rdv->rwd', covariance, scaled)
    mean = np.stack(
        [(outputs - inputs @ a.T - b) @ g.T for a, b, g in zip(model.slope, model.offset, gain)],
        axis=1,
    )
    return _Latent(mean, covariance, gain)


def _log_density(inputs, outputs, model: Gllim, noise) -> np.ndarray:
    """E[log N(y_n + f; A_r x_n + b_r, Sig_r + B_r B_r^T)]: (N, R), by products of matrices only."""
    precision = 1 / model.variance
    affine = np.concatenate([model.slope, model.offset[..., None]], axis=-1)
    extended = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    gram = np.einsum('rd,rdi,rdj->rij', precision, affine, affine, optimize=True)
    quadratic = (outputs**2) @ precision.T + np.einsum(
        'ni,rij,nj->nr', extended, gram, extended, optimize=True
    )
    for i in range(extended.shape[1]):
        quadratic -= 2 * extended[:, i : i + 1] * (outputs @ (precision * affine[..., i]).T)
    exponent = quadratic + (noise * precision + np.log(model.variance) + LOG_TWO_PI).sum(axis=1)
    if model.loading.shape[2]:
        latent = _infer_latent(inputs, outputs, model)
        information = np.linalg.inv(latent.covariance)
        exponent -= np.einsum(
            'nrw,rwv,nrv->nr', latent.mean, information, latent.mean, optimize=True
        )
        exponent -= np.einsum(
            'rwd,d,rwv,rvd->r', latent.gain, noise, information, latent.gain, optimize=True
        )
        exponent += np.linalg.slogdet(information)[1]
    return -0.5 * exponent


def _without_empty(model: Gllim, posterior: np.ndarray) -> tuple[Gllim, np.ndarray]:
    keep = posterior.sum(axis=0) >= _EMPTY
    kept = Pieces(
        *(
            getattr(model.pieces, name)[keep]
            for name in ('log_weight', 'center', 'precision', 'log_det_precision')
        )
    )
    posterior = posterior[:, keep] / posterior[:, keep].sum(axis=1, keepdims=True)
    return Gllim(
        kept, model.slope[keep], model.offset[keep], model.variance[keep], model.loading[keep]
    ), posterior
