# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the microphones of a head hear of a far source.

In the free field, or around a rigid sphere that stands for the head. Time dependence
exp(+j 2 pi f t), as numpy.fft has it: a sound that arrives later has the more negative phase.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from av_perception.robot_head.profile import MicrophoneArray

SPEED_OF_SOUND = 343.0  # [m/s]
FREE_FIELD = 'free-field'
RIGID_SPHERE = 'rigid-sphere'


def geometric_model(array: MicrophoneArray) -> str:
    """Model that a head's profile asks for: a rigid sphere where it names one."""
    return RIGID_SPHERE if array.sphere else FREE_FIELD


def array_response(
    array: MicrophoneArray, directions: np.ndarray, frequencies: np.ndarray, model: str = ''
) -> np.ndarray:
    """Pressure at the microphones of unit plane waves.

    Parameters
    ----------
    array
        I microphones.
    directions
        (N, 3) unit vectors towards the sources, in the array frame.
    frequencies
        (F,) [Hz], positive.
    model
        'free-field' or 'rigid-sphere'; empty: the one of the profile.

    Returns
    -------
    np.ndarray
        (N, F, I) complex. The phases share an unknown delay per direction.

    Raises
    ------
    ValueError
        When there is no such model, or the profile names no sphere for it.
    """
    model = model or geometric_model(array)
    if model == FREE_FIELD:
        return free_field_response(array.positions, directions, frequencies)
    if not array.sphere:
        raise ValueError(f'the model {model!r} needs the head profile to name a sphere')
    if model != RIGID_SPHERE:
        raise ValueError(f'there is no acoustic model {model!r}')
    positions = array.positions - np.array(array.sphere.center)
    return rigid_sphere_response(positions, array.sphere.radius, directions, frequencies)


def free_field_response(
    positions: np.ndarray, directions: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    """exp(j k m_i . u): (I, 3) [m], (N, 3), (F,) [Hz] -> (N, F, I)."""
    wavenumber = 2 * np.pi * frequencies / SPEED_OF_SOUND
    return np.exp(1j * wavenumber[:, None] * (directions @ positions.T)[:, None])


def rigid_sphere_response(
    positions: np.ndarray, radius: float, directions: np.ndarray, frequencies: np.ndarray
) -> np.ndarray:
    """Incident plus scattered wave around a rigid sphere at the origin.

        p(r) = exp(j k r cos angle)
               - sum_n (2n + 1) j^n P_n(cos angle) j_n'(k a) / h_n'(k a) h_n(k r)

    with h_n of the second kind (Morse and Ingard; Duda and Martens 1998).

    Parameters
    ----------
    positions
        (I, 3) [m] of the microphones; those inside the sphere are taken to lie on it.
    radius
        a [m].
    directions
        (N, 3) unit vectors towards the sources.
    frequencies
        (F,) [Hz].

    Returns
    -------
    np.ndarray
        (N, F, I) complex.
    """
    from scipy.special import eval_legendre  # slow to import, and most heads have no sphere

    distance = np.maximum(np.linalg.norm(positions, axis=1), radius)
    unit = positions / np.linalg.norm(positions, axis=1, keepdims=True)
    cosine = np.clip(directions @ unit.T, -1, 1)
    frequencies = np.asarray(frequencies, float)
    factor = _scattering(tuple(frequencies.tolist()), radius, tuple(distance.tolist()))
    order = np.arange(factor.shape[2])
    legendre = eval_legendre(order[:, None, None], cosine)  # (order, N, I)
    scattered = (factor @ legendre.transpose(2, 0, 1)).transpose(2, 1, 0)  # (N, F, I)
    return free_field_response(distance[:, None] * unit, directions, frequencies) - scattered


@lru_cache(maxsize=16)
def _scattering(
    frequencies: tuple[float, ...], radius: float, distances: tuple[float, ...]
) -> np.ndarray:
    """(I, F, order) factors of P_n in the scattered wave, the same for all directions.

    frequencies: F of them [Hz]; radius [m]; distances: I of them from the center [m].
    """
    from scipy.special import spherical_jn, spherical_yn

    wavenumber = 2 * np.pi * np.array(frequencies)[:, None] / SPEED_OF_SOUND
    order = np.arange(int(1.2 * wavenumber.max() * radius) + 12)
    surface = wavenumber * radius
    point = wavenumber * np.array(distances)[:, None, None]
    # Orders far above k a scatter nothing: their h_n overflows.
    with np.errstate(over='ignore', invalid='ignore'):
        slope = spherical_jn(order, surface, derivative=True)
        outgoing_slope = slope - 1j * spherical_yn(order, surface, derivative=True)
        outgoing = spherical_jn(order, point) - 1j * spherical_yn(order, point)
        factor = (2 * order + 1) * 1j**order * slope / outgoing_slope * outgoing
    factor = np.where(np.isfinite(factor), factor, 0.0)
    factor.flags.writeable = False
    return factor
