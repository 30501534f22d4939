# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The interacting multiple models of people on foot: stand, walk, brake, turn left, turn right.

On the ground the state is (x, y, vx, vy). In every mode the velocity turns at a rate and falls at
a rate, both known, so that each is linear and Gaussian; people change their mode as a Markov chain
in continuous time. Source of the recursion: Blom and Bar-Shalom, IEEE Trans. Automatic Control
33(8), 1988.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import matvec, propagate_covariance, symmetrize

MODES = ('stand', 'walk', 'brake', 'left', 'right')
_SQUARINGS = 3  # of the chain's transition


@dataclass(frozen=True)
class ModesConfig:
    """How people move on foot, set by hand; what it is worth the gate has learnt."""

    #: [1/s] at which the velocity of who stands, and of who brakes, falls
    stand_decay: float = 6.0
    brake_decay: float = 1.4
    #: [rad/s] at which who turns does
    turn_rate: float = 1.0
    #: [m^2/s^3] spectral density of the acceleration: standing, walking, braking, turning
    stand_noise: float = 0.02
    walk_noise: float = 0.05
    brake_noise: float = 0.2
    turn_noise: float = 0.1
    #: [1/s] how often who stands begins to walk, who walks brakes or turns to a side, who brakes
    #: stands or walks on, and who turns walks on or brakes
    starts: float = 0.3
    brakes: float = 0.15
    turns: float = 0.15
    halts: float = 1.5
    resumes: float = 0.6
    straightens: float = 1.0
    turn_brakes: float = 0.1
    #: [s] for which errors of tracks stay the same: places that lie nearer count less
    correlation_s: float = 0.4
    #: [m] standard deviation of heads that swing with every step
    sway: float = 0.03


@dataclass
class ModeStates:
    """Of N people, in every of M modes."""

    #: (N, M) probabilities
    probabilities: np.ndarray
    #: (N, M, 4)
    means: np.ndarray
    #: (N, M, 4, 4)
    covariances: np.ndarray


@dataclass(frozen=True)
class ModeStep:
    """The matrices of one step that is the same for everybody."""

    #: (1, M, M) probabilities from mode to mode
    transitions: np.ndarray
    #: (1, M, 4, 4) of every mode
    motion: np.ndarray
    noise: np.ndarray
    #: (M, 4, 4) lower triangular, of the noise
    noise_roots: np.ndarray


class MotionModes:
    """Their matrices."""

    def __init__(self, config: ModesConfig):
        self._config = config
        c = config
        self._exponents = np.array(
            [
                -c.stand_decay,
                0.0,
                -c.brake_decay,
                1j * c.turn_rate,
                -1j * c.turn_rate,
            ]
        )
        self._noises = np.array(
            [c.stand_noise, c.walk_noise, c.brake_noise, c.turn_noise, c.turn_noise]
        )
        rates = np.zeros((5, 5))
        rates[0, 1] = c.starts
        rates[1, 2] = c.brakes
        rates[1, 3] = rates[1, 4] = c.turns
        rates[2, 0] = c.halts
        rates[2, 1] = c.resumes
        rates[3, 1] = rates[4, 1] = c.straightens
        rates[3, 2] = rates[4, 2] = c.turn_brakes
        np.fill_diagonal(rates, -rates.sum(1))
        self._rates = rates
        self._steps: dict[float, ModeStep] = {}

    def start(self, positions: np.ndarray, covariances: np.ndarray) -> ModeStates:
        """Begin with first places (N, 2) and their covariances (N, 2, 2)."""
        count = len(positions)
        means = np.zeros((count, len(MODES), 4))
        means[..., :2] = positions[:, None]
        spread = np.zeros((count, len(MODES), 4, 4))
        spread[..., :2, :2] = covariances[:, None]
        spread[:, 0, 2:, 2:] = 0.05**2 * np.eye(2)
        spread[:, 1:, 2:, 2:] = 0.8**2 * np.eye(2)
        settled = self.transitions(np.array([50.0]))
        return ModeStates(np.repeat(settled[:, 0], count, 0), means, spread)

    def predict(self, states: ModeStates, steps_s: np.ndarray) -> ModeStates:
        """Let (N,) or (1,) seconds pass."""
        return _moved(states, self.transitions(steps_s), *self.matrices(steps_s))

    def predict_all(self, states: ModeStates, step_s: float) -> ModeStates:
        """Let the same time pass for everybody."""
        step = self.step(step_s)
        return _moved(states, step.transitions, step.motion, step.noise)

    def step(self, step_s: float) -> ModeStep:
        """Give the matrices of a step [s]; they are kept, as the chain ahead takes it often."""
        key = round(step_s, 9)
        if key not in self._steps:
            steps_s = np.array([step_s])
            motion, noise = self.matrices(steps_s)
            root = np.linalg.cholesky(noise[0] + 1e-12 * np.eye(4))
            self._steps[key] = ModeStep(self.transitions(steps_s), motion, noise, root)
        return self._steps[key]

    def transitions(self, steps_s: np.ndarray) -> np.ndarray:
        """(N, M, M) probabilities from mode to mode."""
        moved = np.eye(5) + self._rates * (steps_s / 2**_SQUARINGS)[:, None, None]
        if steps_s.max() > 0.5:
            values, vectors = np.linalg.eig(self._rates)
            moved = (vectors * np.exp(steps_s[:, None, None] * values)) @ np.linalg.inv(vectors)
            return np.clip(moved.real, 0.0, 1.0)
        for _ in range(_SQUARINGS):
            moved = moved @ moved
        return moved

    def matrices(self, steps_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Motion and noise (N, M, 4, 4) of every mode over (N,) seconds."""
        exponents = self._exponents * steps_s[:, None]
        gains = np.exp(exponents)
        is_zero = np.abs(exponents) < 1e-9
        safe = np.where(is_zero, 1.0, exponents)
        reach = np.where(is_zero, 1.0, (gains - 1) / safe) * steps_s[:, None]
        motion = np.zeros((*exponents.shape, 4, 4))
        motion[..., 0, 0] = motion[..., 1, 1] = 1.0
        # A complex factor of the velocity turns and scales it.
        for row, factor in ((0, reach), (2, gains)):
            motion[..., row, 2] = motion[..., row + 1, 3] = factor.real
            motion[..., row + 1, 2] = factor.imag
            motion[..., row, 3] = -factor.imag
        step = steps_s[:, None]
        noise = np.zeros_like(motion)
        for axis in (0, 1):
            noise[..., axis, axis] = self._noises * step**3 / 3
            noise[..., axis, axis + 2] = noise[..., axis + 2, axis] = self._noises * step**2 / 2
            noise[..., axis + 2, axis + 2] = self._noises * step
        return motion, noise


def update(
    states: ModeStates, places: np.ndarray, covariances: np.ndarray, seen: np.ndarray
) -> ModeStates:
    """Take places (N, 2) with covariances (N, 2, 2) of those who were seen (N,) bool."""
    residual = np.where(seen[:, None], places, 0.0)[:, None] - states.means[..., :2]
    residual = np.where(seen[:, None, None], residual, 0.0)
    total = (
        states.covariances[..., :2, :2]
        + np.where(seen[:, None, None], covariances, np.eye(2))[:, None]
    )
    determinant = total[..., 0, 0] * total[..., 1, 1] - total[..., 0, 1] ** 2
    inverse = np.empty_like(total)
    inverse[..., 0, 0] = total[..., 1, 1]
    inverse[..., 1, 1] = total[..., 0, 0]
    inverse[..., 0, 1] = inverse[..., 1, 0] = -total[..., 0, 1]
    inverse /= determinant[..., None, None]
    gain = states.covariances[..., :2] @ inverse * seen[:, None, None, None]
    likelihood = -0.5 * (np.log(determinant) + (matvec(inverse, residual) * residual).sum(-1))
    logs = np.log(np.maximum(states.probabilities, 1e-12)) + likelihood * seen[:, None]
    logs -= logs.max(1, keepdims=True)
    probabilities = np.exp(logs)
    probabilities /= probabilities.sum(1, keepdims=True)
    spread = states.covariances - gain @ states.covariances[..., :2, :]
    return ModeStates(probabilities, states.means + matvec(gain, residual), symmetrize(spread))


def _moved(
    states: ModeStates, transitions: np.ndarray, motion: np.ndarray, noise: np.ndarray
) -> ModeStates:
    mixed = _interact(states, transitions)
    spread = symmetrize(propagate_covariance(motion, mixed.covariances)) + noise
    return ModeStates(mixed.probabilities, matvec(motion, mixed.means), spread)


def _interact(states: ModeStates, transitions: np.ndarray) -> ModeStates:
    """Mix the modes by where people come from, keeping the first two moments of each."""
    joint = states.probabilities[..., None] * transitions  # (N, from, to)
    probabilities = np.maximum(joint.sum(1), 1e-12)
    weights = (joint / probabilities[:, None]).swapaxes(1, 2)  # (N, to, from)
    means = weights @ states.means
    second = states.covariances + states.means[..., :, None] * states.means[..., None, :]
    flat = second.reshape(*second.shape[:2], 16)
    mixed = (weights @ flat).reshape(second.shape)
    spread = symmetrize(mixed - means[..., :, None] * means[..., None, :])
    return ModeStates(probabilities / probabilities.sum(1, keepdims=True), means, spread)
