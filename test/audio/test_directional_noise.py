# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where noise comes from, against batch EM and planted noises."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.audio.directional_noise import DirectionalNoise, DirectionalNoiseConfig

STEP_NS = 40_000_000
PLACES = 12


def ring():
    """(D, D) bool: each place on a ring and its two neighbors."""
    distance = np.abs(np.subtract.outer(np.arange(PLACES), np.arange(PLACES)))
    return np.minimum(distance, PLACES - distance) <= 1


def bins(share, count, random):
    """(R, D) and (R,) densities of bins that come from places with these shares, or anywhere."""
    owner = random.choice(PLACES + 1, count, p=share)
    near = np.abs(np.subtract.outer(owner, np.arange(PLACES)))
    near = np.minimum(near, PLACES - near)
    density = np.exp(-np.minimum(near, 6) * random.uniform(0.5, 1.5, (count, PLACES)))
    density[owner == PLACES] = random.uniform(0.02, 0.2, ((owner == PLACES).sum(), PLACES))
    everywhere = np.where(owner == PLACES, 1.0, 0.1)
    return density.astype(np.float32), everywhere.astype(np.float32)


def taught(share, random, blocks=400, people=0.0, **config):
    noise = DirectionalNoise(DirectionalNoiseConfig(**config), ring())
    heard = []
    for index in range(blocks):
        density, everywhere = bins(share, 50, random)
        noise.learn(index * STEP_NS, 0.0, density, everywhere, np.full(50, people, np.float32))
        heard.append((density, everywhere))
    return noise, heard


def density_under(noise, density, everywhere):
    return density @ noise.weight + noise.everywhere * everywhere


def shares(*places):
    """Of the places that are named, and three tenths from everywhere."""
    share = np.zeros(PLACES + 1)
    share[list(places)] = 0.7 / len(places)
    share[PLACES] = 0.3
    return share


def test_the_weights_approach_those_of_batch_em():
    """After many memories: nearly the maximum of the likelihood of all that was heard."""
    random = np.random.default_rng(0)
    noise, heard = taught(shares(2, 7), random, blocks=1000, memory_bins=1000)
    density = np.concatenate([np.column_stack(block) for block in heard]).astype(float)
    weight = np.full(PLACES + 1, 1 / (PLACES + 1))
    for _ in range(500):
        weight = weight * ((1 / (density @ weight)) @ density) / len(density)
    of_grid, everywhere = density[:, :-1], density[:, -1]
    reached = np.log(density_under(noise, of_grid, everywhere)).mean()
    uniform = np.log(density.mean(axis=1)).mean()
    best = np.log(density @ weight).mean()
    assert best - 0.05 * (best - uniform) <= reached <= best
    np.testing.assert_allclose(noise.everywhere, weight[-1], atol=0.06)


def test_places_of_noise_are_told_and_sound_from_everywhere_is_none():
    random = np.random.default_rng(1)
    noise, _ = taught(shares(2, 7), random)
    assert noise.sources()[[2, 7]].all() and not noise.sources()[[0, 4, 5, 9, 10]].any()
    nowhere, _ = taught(np.eye(PLACES + 1)[PLACES], random)
    assert not nowhere.sources().any()


def test_voice_and_its_echo_are_not_learnt():
    random = np.random.default_rng(2)
    noise = DirectionalNoise(DirectionalNoiseConfig(quiet_s=0.5), ring())
    none = np.zeros(50, np.float32)
    for index in range(100):
        talks = index % 10 < 2  # the echo of 0.3 s after each word is less than quiet_s
        noise.learn(index * STEP_NS, 0.9 * talks, *bins(shares(3), 50, random), none)
    assert not noise.sources().any()


def test_a_word_that_begins_before_the_detector_hears_it_is_not_learnt():
    """A voice was taken for noise, and nobody was found there."""
    random = np.random.default_rng(6)
    none = np.zeros(50, np.float32)
    for late, expected in ((10, False), (100, True)):
        noise = DirectionalNoise(DirectionalNoiseConfig(quiet_s=0.5), ring())
        for index in range(late):
            noise.learn(index * STEP_NS, 0.0, *bins(shares(3), 50, random), none)
        noise.learn(late * STEP_NS, 0.9, *bins(shares(3), 50, random), none)
        assert noise.sources().any() == expected


def test_what_known_people_explain_is_not_learnt():
    random = np.random.default_rng(3)
    noise, _ = taught(shares(3), random, blocks=100, people=50.0)
    assert not noise.sources().any()


def test_noise_that_moves_is_followed():
    random = np.random.default_rng(4)
    noise, _ = taught(shares(2), random)
    for index in range(400, 600):
        density, everywhere = bins(shares(8), 50, random)
        noise.learn(index * STEP_NS, 0.0, density, everywhere, np.zeros(50, np.float32))
    assert noise.sources()[8] and not noise.sources()[2]


def test_after_a_reset_nothing_is_known():
    noise, heard = taught(shares(3), np.random.default_rng(5))
    noise.reset()
    density, everywhere = heard[0]
    np.testing.assert_allclose(density_under(noise, density, everywhere), everywhere)


@pytest.mark.parametrize(
    'wrong',
    [
        {'memory_bins': 0},
        {'quiet_s': -1},
        {'known_bins': -1},
        {'source_share': 0},
        {'source_share': 1.5},
    ],
)
def test_senseless_values_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DirectionalNoiseConfig(**wrong)
