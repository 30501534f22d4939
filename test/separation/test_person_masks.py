# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Masks of people in known directions: exact limits, and the density they are made of."""

import numpy as np
import pytest

from av_perception.audio.steering import GeometricSteering
from av_perception.errors import UserError
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.person_masks import (
    SAMPLE_RATE,
    PersonMasks,
    PersonMasksConfig,
    log_ratios,
)

HALF = 0.02285
SQUARE = ((HALF, HALF, 0.0), (-HALF, HALF, 0.0), (-HALF, -HALF, 0.0), (HALF, -HALF, 0.0))
STEERING = GeometricSteering(MicrophoneArray(coordinates=SQUARE))
LEFT, RIGHT = np.array([0.6, 0.8, 0.0]), np.array([0.8, -0.6, 0.0])
FREQUENCIES = PersonMasksConfig().transform.frequencies(SAMPLE_RATE)


def sound_from(direction, frames, random):
    """(T, F, M) spectra of a far source in the free field, with a little noise."""
    vectors = STEERING.vectors(direction[None], FREQUENCIES)[0]
    source = random.normal(size=(frames, 257, 2)) @ [1, 1j]
    noise = random.normal(size=(frames, 257, 4, 2)) @ [1, 1j]
    return source[..., None] * vectors + 1e-3 * noise


def test_ratios_are_those_of_the_angular_densities():
    """Against the densities themselves, with determinants and inverses of the scatter matrices."""
    random = np.random.default_rng(1)
    masks = PersonMasks(STEERING)
    spectra = random.normal(size=(3, 257, 4, 2)) @ [1, 1j]
    used = masks.config.used
    found = log_ratios(masks._likelihood, spectra[:, used], np.stack([LEFT, RIGHT]))
    diffuse = STEERING.diffuse_coherence(FREQUENCIES[used]) + 0.05 * np.eye(4)
    for person, direction in enumerate((LEFT, RIGHT)):
        d = STEERING.vectors(direction[None], FREQUENCIES[used])[0]
        scatter = diffuse + 2.0 * d[:, :, None] * d[:, None, :].conj()
        for frame in range(3):
            x = spectra[frame, used]
            log_density = [
                -np.linalg.slogdet(b)[1]
                - 4 * np.log(np.einsum('fi,fij,fj->f', x.conj(), np.linalg.inv(b), x).real)
                for b in (scatter, diffuse)
            ]
            expected = log_density[0] - log_density[1]
            np.testing.assert_allclose(found[person, frame], expected, atol=2e-3)


def test_a_bin_is_given_to_whom_it_comes_from():
    random = np.random.default_rng(2)
    masks = PersonMasks(STEERING)
    for _ in range(5):
        found = masks.update(sound_from(LEFT, 2, random), {7: LEFT, 3: RIGHT}, {7: 1.0, 3: 1.0})
    assert found.shape == (2, 2, 257)
    assert np.median(found[0]) > 0.99 and found[0, :, 20:].min() > 0.6
    np.testing.assert_allclose(found.sum(axis=0), 1.0, atol=1e-5)


def test_one_person_who_speaks_gets_everything():
    random = np.random.default_rng(3)
    spectra = random.normal(size=(2, 257, 4, 2)) @ [1, 1j]
    found = PersonMasks(STEERING).update(spectra, {1: LEFT}, {1: 1.0})
    np.testing.assert_allclose(found, 1.0, atol=1e-6)


def test_who_is_silent_keeps_the_floor():
    random = np.random.default_rng(4)
    masks = PersonMasks(STEERING, PersonMasksConfig(activity_floor=0.05))
    people = {1: LEFT, 2: RIGHT}
    for _ in range(9):
        found = masks.update(sound_from(LEFT, 2, random), people, {1: 0.0, 2: 1.0})
    assert found[0].max() <= 0.05 + 1e-6
    assert np.median(found[0]) > 0.045  # the sound is from there all the same


def test_people_come_and_go_and_nobody_is_no_error():
    random = np.random.default_rng(5)
    masks = PersonMasks(STEERING)
    spectra = sound_from(LEFT, 2, random)
    assert masks.update(spectra, {}, {}).shape == (0, 2, 257)
    assert masks.update(spectra, {1: LEFT}, {1: 1.0}).shape == (1, 2, 257)
    newcomer = masks.update(spectra, {1: RIGHT, 5: LEFT}, {1: 1.0, 5: 1.0})
    # The newcomer's mask rises from nothing, as fast as masks are smoothed.
    assert newcomer[1, 0].mean() < newcomer[1, 1].mean() < 0.9
    silence = masks.update(np.zeros((2, 257, 4)), {1: RIGHT, 5: LEFT}, {1: 1.0, 5: 1.0})
    assert np.isfinite(silence).all()


def test_smoothing_is_exponential():
    config = PersonMasksConfig(smoothing_s=0.016, sharpness=50.0)
    random = np.random.default_rng(6)
    masks = PersonMasks(STEERING, config)
    people = {1: LEFT, 2: RIGHT}
    masks.update(sound_from(LEFT, 40, random), people, {1: 1.0, 2: 1.0})
    found = masks.update(sound_from(RIGHT, 4, random), people, {1: 1.0, 2: 1.0})
    expected = np.exp(-0.008 / 0.016 * np.arange(1, 5))
    np.testing.assert_allclose(np.median(found[0], axis=1), expected, atol=0.02)


@pytest.mark.parametrize(
    'wrong',
    [
        {'sharpness': 0.0},
        {'sharpness': float('nan')},
        {'smoothing_s': -0.1},
        {'activity_floor': 1.1},
        {'lowest_hz': 0.0},
    ],
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PersonMasksConfig(**wrong)


def test_one_microphone_is_refused():
    one = GeometricSteering(MicrophoneArray(coordinates=SQUARE[:1]))
    with pytest.raises(UserError, match='2 to 16 microphones'):
        PersonMasks(one)
