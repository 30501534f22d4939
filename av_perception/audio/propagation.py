# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the microphones of a head hear of a far source: in the free field, or around a rigid sphere that stands for the head.

Time dependence exp(+j 2 pi f t), as numpy.fft has it: a sound that arrives later has the more negative phase.
"""

from __future__ import annotations

import numpy as np
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from av_perception.robot_head.profile import MicrophoneArray

SPEED_OF_SOUND = 343.0
FREE_FIELD, RIGID_SPHERE = 'free-field', 'rigid-sphere'


def geometric_model(array: MicrophoneArray) -> str:
    """The model that a head's profile asks for: a rigid sphere where it names one, else the free field."""
    return RIGID_SPHERE if array.sphere else FREE_FIELD


def array_response(
    array: MicrophoneArray, directions: np.ndarray, frequencies: np.ndarray, model: str = ''
) -> np.ndarray:
    """(N, F, I) pressure at the microphones of unit plane waves from unit vectors (N, 3) in the array frame; frequencies (F,) [Hz] > 0.

    model: 'free-field' or 'rigid-sphere'; empty: the one of the profile. The phases share an unknown delay per direction.
    """
    model = model or geometric_model(array)
    if model == FREE_FIELD:
        return free_field_response(array.positions, directions, frequencies)
    if model == RIGID_SPHERE and array.sphere:
        return rigid_sphere_response(
            array.positions - np.array(array.sphere.center),
            array.sphere.radius,
            directions,
            frequencies,
        )
    raise ValueError(
        f'there is no acoustic model {model!r}'
        if array.sphere
        else f'the model {model!r} needs the head profile to name a sphere'
    )


def free_field_response(
    positions: np.ndarray, directions: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    """exp(j k m_i . u): (N, F, I)."""
    wavenumber = 2 * np.pi * frequencies / SPEED_OF_SOUND
    return np.exp(1j * wavenumber[:, None] * (directions @ positions.T)[:, None])


def rigid_sphere_response(
    positions: np.ndarray, radius: float, directions: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    """Incident plus scattered wave around a rigid sphere at the origin (Morse and Ingard; Duda and Martens 1998): (N, F, I).

    p(r) = exp(j k r cos angle) - sum_n (2n + 1) j^n P_n(cos angle) j_n'(k a) / h_n'(k a) h_n(k r), h_n of the second kind. Microphones inside
    the sphere are taken to lie on it.
    """
    distance = np.maximum(np.linalg.norm(positions, axis=1), radius)
    unit = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    wavenumber = 2 * np.pi * np.asarray(frequencies, float) / SPEED_OF_SOUND
    order = np.arange(int(1.2 * wavenumber.max() * radius) + 12)
    legendre = eval_legendre(
        order[:, None, None], np.clip(directions @ unit.T, -1, 1)
    )  # (order, N, I)
    scattered = np.einsum(
        'oni,foi->nfi',
        legendre,
        _scattering(order, wavenumber[:, None, None], radius, distance),
        optimize=True,
    )
    return free_field_response(distance[:, None] * unit, directions, frequencies) - scattered


def _scattering(
    order: np.ndarray, wavenumber: np.ndarray, radius: float, distance: np.ndarray
) -> np.ndarray:
    """The factors of P_n in the scattered wave: wavenumber (F, 1, 1), distance (I,) -> (F, order, I)."""
    order = order[:, None]
    surface, point = wavenumber * radius, wavenumber * distance
    with np.errstate(
        over='ignore', invalid='ignore'
    ):  # orders far above k a scatter nothing: their h_n overflows
        slope = spherical_jn(order, surface, derivative=True)
        outgoing_slope = slope - 1j * spherical_yn(order, surface, derivative=True)
        outgoing = spherical_jn(order, point) - 1j * spherical_yn(order, point)
        factor = (2 * order + 1) * 1j**order * slope / outgoing_slope * outgoing
    return np.where(np.isfinite(factor), factor, 0.0)
