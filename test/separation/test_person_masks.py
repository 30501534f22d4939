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
    directed_powers,
    ratios_of_powers,
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
    likelihood = masks.likelihood
    scaled = likelihood.whitened_steering(np.stack([LEFT, RIGHT]))
    power, aligned = directed_powers(likelihood, spectra[:, used], scaled)
    assert (aligned <= power * (1 + 1e-5)).all()
    found = ratios_of_powers(likelihood, power, aligned, scaled)
    diffuse = STEERING.diffuse_coherence(FREQUENCIES[used]) + 0.02 * np.eye(4)
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
    masks = PersonMasks(STEERING, PersonMasksConfig(floor=0.0))
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
    masks = PersonMasks(STEERING, PersonMasksConfig(activity_floor=0.05, floor=0.0))
    people = {1: LEFT, 2: RIGHT}
    for _ in range(9):
        found = masks.update(sound_from(LEFT, 2, random), people, {1: 0.0, 2: 1.0})
    assert found[0].max() <= 0.05 + 1e-6
    assert np.median(found[0]) > 0.045  # the sound is from there all the same


def test_a_floor_leaves_a_little_of_everything_to_who_speaks():
    random = np.random.default_rng(9)
    masks = PersonMasks(STEERING, PersonMasksConfig(floor=0.2))
    for _ in range(9):
        found = masks.update(sound_from(LEFT, 2, random), {1: LEFT, 2: RIGHT}, {1: 1.0, 2: 1.0})
    assert found[1].min() >= 0.2 - 1e-6 and np.median(found[1]) < 0.21
    np.testing.assert_allclose(found.sum(axis=0), 1.2, atol=1e-5)


def test_people_come_and_go_and_nobody_is_no_error():
    random = np.random.default_rng(5)
    masks = PersonMasks(STEERING, PersonMasksConfig(floor=0.0))
    spectra = sound_from(LEFT, 2, random)
    assert masks.update(spectra, {}, {}).shape == (0, 2, 257)
    assert masks.update(spectra, {1: LEFT}, {1: 1.0}).shape == (1, 2, 257)
    newcomer = masks.update(spectra, {1: RIGHT, 5: LEFT}, {1: 1.0, 5: 1.0})
    # The newcomer's mask rises from nothing: the bins change hands one by one.
    assert newcomer[1, 0].mean() < newcomer[1, 1].mean() < 0.9
    silence = masks.update(np.zeros((2, 257, 4)), {1: RIGHT, 5: LEFT}, {1: 1.0, 5: 1.0})
    assert np.isfinite(silence).all()


def test_whose_a_bin_is_follows_the_chain():
    """Against the recursion written out for one bin, on powers that are smoothed by hand."""
    random = np.random.default_rng(6)
    config = PersonMasksConfig(
        smoothing_s=0.02,
        evidence_weight=0.7,
        decay_weight=0.2,
        change=0.3,
        decay_change=0.05,
        voice_weight=0.0,
        floor=0.05,
    )
    masks = PersonMasks(STEERING, config)
    spectra = random.normal(size=(8, 257, 4, 2)) @ [1, 1j]
    activity = {1: 0.9, 2: 0.4}
    people = {1: LEFT, 2: RIGHT}
    found = [masks.update(spectra[t : t + 2], people, activity) for t in range(0, 8, 2)]
    found = np.concatenate(found, axis=1)[:, :, 100]

    likelihood = masks.likelihood
    scaled = likelihood.whitened_steering(np.stack([LEFT, RIGHT]))
    power, aligned = directed_powers(likelihood, spectra[:, config.used], scaled)
    loudness = np.mean(np.abs(spectra[:, 100]) ** 2, axis=1)
    index = 100 - config.used[0]
    keep, weights = np.exp(-0.008 / 0.02), np.array([0.9, 0.4]) / 1.3
    smooth, towards, share = power[0], power[0] / 4 * np.ones((2, 1)), weights
    rises, peak = [], 0.0
    for t in range(8):
        smooth = keep * smooth + (1 - keep) * power[t]
        towards = keep * towards + (1 - keep) * aligned[:, t]
        ratio = ratios_of_powers(likelihood, smooth[None], towards[:, None], scaled)
        rises.append(loudness[t] > 1.3 * peak)
        peak = max(loudness[t], 0.7 * peak)
        weight, change = (0.7, 0.3) if rises[t] else (0.2, 0.05)
        joint = np.exp(weight * ratio[:, 0, index]) * ((1 - change) * share + change * weights)
        share = joint / joint.sum()
        masked = np.array([0.99, 0.64]) * (0.05 + 0.95 * share)
        np.testing.assert_allclose(found[:, t], masked, rtol=1e-4)
    assert 0 < sum(rises) < 8


def test_in_one_line_a_bin_is_whose_voice_is_strong_there():
    """Two who were heard apart stand in one line and both speak: spectra tell, in part."""
    random = np.random.default_rng(11)
    low = np.where(FREQUENCIES < 2000, 1.0, 0.03)[:, None]
    masks = PersonMasks(STEERING)
    plain = PersonMasks(STEERING, PersonMasksConfig(voice_weight=0.0))
    turns = ((LEFT, low, {1: 1.0, 2: 0.0}), (RIGHT, 1.03 - low, {1: 0.0, 2: 1.0}))
    for number in range(120):
        direction, shape, activity = turns[number // 10 % 2]
        spectra = shape * sound_from(direction, 2, random)
        for each in (masks, plain):
            each.update(spectra, {1: LEFT, 2: RIGHT}, activity)
    for _ in range(6):
        spectra = sound_from(LEFT, 2, random)
        both = {1: 1.0, 2: 1.0}
        found = masks.update(spectra, {1: LEFT, 2: LEFT}, both)
        same = plain.update(spectra, {1: LEFT, 2: LEFT}, both)
    low_bins, high_bins = slice(10, 60), slice(70, None)
    assert found[0, 1, low_bins].mean() > max(0.65, same[0, 1, low_bins].mean() + 0.1)
    assert found[0, 1, high_bins].mean() < min(0.35, same[0, 1, high_bins].mean() - 0.05)


def test_who_stands_in_the_line_of_a_talker_does_not_share_their_voice():
    """Directions say nothing there: who speaks has the sound."""
    random = np.random.default_rng(7)
    masks = PersonMasks(STEERING, PersonMasksConfig(floor=0.0, voice_weight=0.0))
    for _ in range(9):
        found = masks.update(sound_from(LEFT, 2, random), {1: LEFT, 2: LEFT}, {1: 1.0, 2: 0.0})
    np.testing.assert_allclose(found[0], 1 / 1.1, atol=0.01)
    assert found[1].max() < 0.01


def test_a_dead_microphone_is_left_out():
    random = np.random.default_rng(8)
    masks = PersonMasks(STEERING, PersonMasksConfig(floor=0.0))
    live = (True, False, True, True)
    for _ in range(9):
        spectra = sound_from(LEFT, 2, random)
        spectra[:, :, 1] = 0.0
        found = masks.update(spectra, {1: LEFT, 2: RIGHT}, {1: 1.0, 2: 1.0}, live)
    assert np.median(found[0]) > 0.98


@pytest.mark.parametrize(
    'wrong',
    [
        {'evidence_weight': 0.0},
        {'evidence_weight': float('nan')},
        {'decay_weight': -1.0},
        {'change': 0.0},
        {'change': 1.1},
        {'decay_change': float('nan')},
        {'untracked_weight': 0.0},
        {'onset_ratio': -0.1},
        {'onset_fade': 1.5},
        {'voice_memory_s': 0.0},
        {'voice_weight': float('nan')},
        {'smoothing_s': -0.1},
        {'activity_floor': 1.1},
        {'floor': -0.1},
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
