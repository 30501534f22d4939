# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VEMOVE against independent solutions: dense algebra, limits, planted mixtures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from moving_mixtures import (
    any_model,
    complex_normal,
    distortion_db,
    planted_sources,
    rotating_filters,
)

from av_perception.errors import UserError
from av_perception.numerics.kalman import Dynamics, information_filter, rts_smoother
from av_perception.numerics.small_hermitian import inverse_and_log_det
from av_perception.separation.filter_update import smooth_filters, update_filters
from av_perception.separation.first_guess import GuessConfig, first_guess
from av_perception.separation.lower_bound import lower_bound
from av_perception.separation.moving_mixture import Evolution, SourcePosterior
from av_perception.separation.source_powers import FixedPowers
from av_perception.separation.source_update import posterior_of, update_sources
from av_perception.separation.talking_mixture import (
    TalkingMixture,
    expect,
    maximize,
    talking_images,
)
from av_perception.separation.vemove import (
    UPDATES,
    VemoveConfig,
    fit,
    history_of,
    separate,
    source_images,
)


@pytest.mark.parametrize('powers', ['free', 'fixed'])
@pytest.mark.parametrize('sources', [1, 2, 3])
def test_none_of_the_five_updates_lowers_the_bound(sources, powers):
    model = any_model(seed=sources, sources=sources, powers=powers)
    _, bounds = history_of(model, 20)
    steps = np.diff(bounds) / np.abs(bounds[1:])
    assert steps.min() > -1e-10
    assert bounds[-1] > bounds[0]


def test_a_start_of_its_own_does_not_lower_the_bound_either():
    model = any_model(seed=5)
    evolution = replace(model.evolution, start=100 * model.evolution.start, tied=False)
    _, bounds = history_of(replace(model, evolution=evolution), 20)
    assert np.diff(bounds).min() > -1e-10 * abs(bounds[0])


def test_the_bound_is_the_likelihood_where_the_factors_are_exact():
    """One source that is known to be silent but for noise: filters do not matter to x."""
    model = any_model(seed=2, sources=1, powers='fixed')
    model = replace(model, powers=FixedPowers(np.full(model.powers.power.shape, 1e-14)))
    for update in (update_sources, update_filters):
        model = update(model)
    power = np.abs(model.spectra) ** 2
    exact = -np.sum(np.log(np.pi * model.noise) + power / model.noise)
    assert lower_bound(model) == pytest.approx(exact, rel=1e-6)


def evidence(rng, frames=7, microphones=3, sources=2, bins=2):
    half = complex_normal(rng, frames, sources, sources, bins)
    precision = np.einsum('ljkf,lrkf->ljrf', half, half.conj())
    return precision, complex_normal(rng, frames, microphones, sources, bins)


def an_evolution(rng, microphones=3, sources=2, bins=2):
    half = complex_normal(rng, 2, sources, sources, bins)
    start, step = np.einsum('njkf,nrkf->njrf', half, half.conj())
    return Evolution(complex_normal(rng, microphones, sources, bins), start, 0.1 * step)


def dense_walk(precision, vectors, evolution, f):
    """Mean (L, I, J) and covariance (LJ, LJ) from the block-tridiagonal joint precision."""
    frames, microphones, sources = vectors.shape[:3]
    joint = np.zeros((frames * sources, frames * sources), complex)
    step = np.linalg.inv(evolution.step[..., f])
    start = np.linalg.inv(evolution.start[..., f])
    information = vectors[..., f].copy()
    for frame in range(frames):
        here = slice(frame * sources, (frame + 1) * sources)
        joint[here, here] += precision[frame, ..., f] + (step if frame else start)
        if frame:
            past = slice((frame - 1) * sources, frame * sources)
            joint[past, past] += step
            joint[past, here] -= step
            joint[here, past] -= step
        else:
            information[0] += evolution.mean[..., f] @ start.T
    covariance = np.linalg.inv(joint)
    flat = information.transpose(1, 0, 2).reshape(microphones, -1)
    mean = (flat @ covariance.T).reshape(microphones, frames, sources)
    return mean.transpose(1, 0, 2), covariance


def test_the_smoother_equals_the_dense_solution():
    rng = np.random.default_rng(0)
    precision, vectors = evidence(rng)
    evolution = an_evolution(rng)
    found = smooth_filters(precision, vectors, evolution)
    for f in range(2):
        mean, covariance = dense_walk(precision, vectors, evolution, f)
        np.testing.assert_allclose(found.mean[..., f], mean, atol=1e-12)
        blocks = covariance.reshape(7, 2, 7, 2)
        for frame in range(7):
            own = blocks[frame, :, frame]
            np.testing.assert_allclose(found.covariance[frame, ..., f], own, atol=1e-12)
        for frame in range(6):
            pair = blocks[frame + 1, :, frame]
            np.testing.assert_allclose(found.lag_one[frame, ..., f], pair, atol=1e-12)
        log_volume = np.linalg.slogdet(covariance)[1] + 14 * (1 + np.log(np.pi))
        assert found.entropy[f] == pytest.approx(3 * log_volume)


def test_the_smoother_equals_the_general_one():
    """`Sigma kron I`: the same as one walk of all filters of all microphones."""
    rng = np.random.default_rng(1)
    precision, vectors = evidence(rng)
    evolution = an_evolution(rng)
    found = smooth_filters(precision, vectors, evolution)
    eye = np.eye(3)
    large = [np.kron(eye, block[..., 0]) for block in precision]
    dynamics = Dynamics(
        evolution.mean[..., 0].ravel(),
        np.kron(eye, evolution.start[..., 0]),
        np.eye(6),
        np.kron(eye, evolution.step[..., 0]),
    )
    filtered = information_filter(dynamics, np.array(large), vectors[..., 0].reshape(7, 6))
    smoothed = rts_smoother(dynamics, filtered)
    np.testing.assert_allclose(found.mean[..., 0].reshape(7, 6), smoothed.means, atol=1e-12)
    np.testing.assert_allclose(
        np.kron(eye, found.lag_one[3, ..., 0]), smoothed.lag_one[3], atol=1e-12
    )


def test_small_inverses_equal_those_of_lapack():
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 4):
        half = complex_normal(rng, 5, size, size)
        matrices = half @ half.conj().swapaxes(1, 2) + 0.1 * np.eye(size)
        inverse, log_det = inverse_and_log_det(np.moveaxis(matrices, 0, -1))
        np.testing.assert_allclose(np.moveaxis(inverse, -1, 0), np.linalg.inv(matrices), 1e-9)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(matrices)[1], 1e-9)


def test_a_known_source_makes_it_a_linear_regression():
    """One source, known exactly: the filters of a random walk by the general Kalman smoother."""
    rng = np.random.default_rng(4)
    source = complex_normal(rng, 20)
    model = any_model(seed=4, frames=20, sources=1, bins=1)
    known = SourcePosterior(
        source[:, None, None], np.zeros((20, 1, 1, 1), complex), np.zeros((20, 1))
    )
    found = update_filters(replace(model, sources=known)).filters
    evolution = model.evolution
    for i in range(2):
        dynamics = Dynamics(
            evolution.mean[i, :, 0],
            evolution.start[..., 0],
            np.eye(1),
            evolution.step[..., 0],
        )
        precision = (np.abs(source) ** 2 / model.noise)[:, None, None] + 0j
        vectors = (model.spectra[:, i, 0] * source.conj() / model.noise)[:, None]
        expected = rts_smoother(dynamics, information_filter(dynamics, precision, vectors))
        np.testing.assert_allclose(found.mean[:, i, :, 0], expected.means, atol=1e-10)


def test_a_source_without_power_gets_nothing():
    rng = np.random.default_rng(6)
    power = np.ones((5, 2, 3))
    power[:, 1] = 1e-12
    half = complex_normal(rng, 5, 2, 2, 3)
    precision = np.einsum('ljkf,lrkf->ljrf', half, half.conj())
    found = posterior_of(power, precision, complex_normal(rng, 5, 2, 3))
    assert np.abs(found.mean[:, 1]).max() < 1e-10
    np.testing.assert_allclose(found.covariance[:, 1, 1], 1e-12, rtol=1e-6)
    alone = posterior_of(power[:, :1], precision[:, :1, :1], complex_normal(rng, 5, 1, 3))
    np.testing.assert_allclose(found.covariance[:, 0, 0], alone.covariance[:, 0, 0], rtol=1e-6)


def always_talking(spectra, powers, noise, filters) -> TalkingMixture:
    one = np.ones(1)
    return TalkingMixture(
        spectra, powers, noise, filters, np.ones((1, 2), bool), one, one[:, None]
    )


def still_mixture(rng, frames, microphones=3, bins=2):
    """Sources through filters that stand still; the guess is rough."""
    sources, power = planted_sources(rng, frames, 2, bins, components=2)
    filters = complex_normal(rng, microphones, 2, bins)
    noise = 0.1 * complex_normal(rng, frames, microphones, bins)
    spectra = np.einsum('ijf,ljf->lif', filters, sources) + noise
    return spectra, sources + 0.3 * complex_normal(rng, *sources.shape), power


def test_without_steps_one_filter_update_is_that_of_the_static_model():
    rng = np.random.default_rng(7)
    spectra, guesses, _ = still_mixture(rng, 60)
    model = update_sources(first_guess(spectra, guesses, GuessConfig(components=2)))
    identity = model.evolution.start / model.evolution.start[0, 0].real
    still = Evolution(model.evolution.mean, 1e8 * identity, 1e-13 * identity, tied=False)
    moving = update_filters(replace(model, evolution=still)).filters.mean
    cross = np.einsum('lif,ljf->ijf', spectra, model.sources.mean.conj())
    moment = model.sources.second_moment.sum(axis=0)
    for f in range(2):
        expected = cross[..., f] @ np.linalg.inv(moment[..., f])
        for frame in (0, 30, 59):
            np.testing.assert_allclose(moving[frame, ..., f], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_without_steps_and_with_many_frames_it_stays_where_em_ends():
    """The static limit: filters, noise and powers of the EM of Ozerov and Fevotte."""
    rng = np.random.default_rng(8)
    spectra, guesses, _ = still_mixture(rng, 200)
    model = first_guess(spectra, guesses, GuessConfig(components=2))
    static = always_talking(spectra, model.powers, model.noise, model.filters.mean[100])
    for _ in range(150):
        static = maximize(static, expect(static))
    identity = model.evolution.start / model.evolution.start[0, 0].real
    evolution = Evolution(static.filters, 1e4 * identity, 1e-13 * identity, tied=False)
    still = np.broadcast_to(static.filters, model.filters.mean.shape)
    model = replace(
        model,
        evolution=evolution,
        noise=static.noise,
        powers=static.powers,
        filters=replace(model.filters, mean=still, covariance=0 * model.filters.covariance),
    )
    for _ in range(5):
        for update in UPDATES[:4]:  # the filters are told to stand still
            model = update(model)
    largest = np.abs(static.filters).max()
    np.testing.assert_allclose(model.filters.mean[0], model.filters.mean[-1], atol=1e-6)
    assert np.abs(model.filters.mean[0] - static.filters).max() < 0.02 * largest
    np.testing.assert_allclose(model.noise, static.noise, rtol=0.03)
    change = np.abs(np.log(model.powers.power / static.powers.power))
    assert np.quantile(change, 0.95) < 0.1
    bound = lower_bound(update_sources(model))
    likelihood = expect(static).log_likelihood
    # below by what the prior of the filters costs, some nat per filter: not by a share
    assert likelihood - 400 < bound < likelihood


def corrupted(rng, sources, level_db):
    noise = complex_normal(rng, *sources.shape)
    level = np.sqrt(np.mean(np.abs(sources) ** 2) * 10 ** (-level_db / 10))
    return sources + level * noise


def block_wise(spectra, guesses, blocks, rounds):
    """The baseline: the static EM on one block after the other.

    It starts from the powers of the guess, and from principal vectors where each source is loud.
    """
    images = []
    for part, guess in zip(np.array_split(spectra, blocks), np.array_split(guesses, blocks)):
        start = first_guess(part, guess, GuessConfig(components=6))
        model = always_talking(part, start.powers, start.noise, start.evolution.mean)
        for _ in range(rounds):
            model = maximize(model, expect(model))
        images.append(talking_images(model, expect(model)))
    return np.concatenate(images)


@pytest.mark.slow
@pytest.mark.parametrize('seed', [10, 11])
def test_sources_that_circle_are_told_apart_better_than_block_by_block(seed):
    """At least 2 dB, from streams that are corrupted by noise 10 dB down.

    They circle by 120 degrees in 160 frames, say 8 s; the blocks are of one and of two seconds.
    """
    rng = np.random.default_rng(seed)
    frames, bins = 160, 12
    sources, _ = planted_sources(rng, frames, 2, bins)
    images = rotating_filters(frames, 2 * np.pi / 3, bins) * sources[:, None]
    spectra = images.sum(axis=2) + 0.05 * complex_normal(rng, frames, 2, bins)
    guesses = corrupted(rng, images[:, 0], 10)
    start = first_guess(spectra, guesses, GuessConfig(components=6))
    moving = distortion_db(source_images(fit(start, VemoveConfig(iterations=20))), images)
    baseline = max(
        distortion_db(block_wise(spectra, guesses, blocks, rounds), images)
        for blocks in (4, 8)
        for rounds in (5, 20)
    )
    assert moving > baseline + 2


def two_sounds(rng, seconds=0.5):
    sounds = rng.standard_normal((round(seconds * 16000), 2))
    sounds[:4000, 0] *= 0.01
    return sounds, np.stack([sounds.sum(axis=1), sounds @ [1.0, -0.5]], axis=1)


def test_images_with_their_noise_add_up_to_the_mixture():
    sounds, mixture = two_sounds(np.random.default_rng(9))
    config = VemoveConfig(iterations=3, keep_noise=True)
    images = separate(mixture, sounds, config)
    assert images.shape == (len(mixture), 2, 2)
    np.testing.assert_allclose(images.sum(axis=2), mixture, atol=1e-10)


def test_louder_sound_gives_louder_images():
    sounds, mixture = two_sounds(np.random.default_rng(10))
    config = VemoveConfig(iterations=3)
    quiet = separate(mixture, sounds, config)
    loud = separate(1000 * mixture, 1000 * sounds, config)
    np.testing.assert_allclose(loud, 1000 * quiet, rtol=1e-6, atol=1e-6)


def test_silence_has_silent_parts():
    images = separate(np.zeros((4000, 2)), np.zeros((4000, 3)))
    assert images.shape == (4000, 2, 3) and not images.any()


def test_no_sound_and_one_frame_are_answered():
    assert separate(np.zeros((0, 2)), np.zeros((0, 3))).shape == (0, 2, 3)
    model = any_model(seed=1, frames=1)
    images = source_images(fit(model, VemoveConfig(iterations=4)))
    assert np.isfinite(images).all() and images.shape == (1, 2, 2, 4)
    assert np.isfinite(separate(np.ones((1, 2)), np.ones((1, 2)))).all()


def test_a_silent_source_stays_silent():
    sounds, mixture = two_sounds(np.random.default_rng(11))
    sounds[:, 1] = 0.0
    images = separate(mixture, sounds, VemoveConfig(iterations=4))
    assert np.isfinite(images).all()
    assert np.mean(images[..., 1] ** 2) < 1e-3 * np.mean(images[..., 0] ** 2)


def test_what_is_not_a_number_is_refused_with_its_place():
    sounds, mixture = two_sounds(np.random.default_rng(12))
    mixture[77, 1] = np.nan
    with pytest.raises(UserError, match='sample 77 of the sound'):
        separate(mixture, sounds)
    mixture[77, 1] = 0.0
    sounds[5, 0] = np.inf
    with pytest.raises(UserError, match='sample 5 of the first guess'):
        separate(mixture, sounds)


@pytest.mark.parametrize(
    'wrong', [{'powers': 'none'}, {'components': 0}, {'tie': -1.0}, {'step': 0.0}, {'noise': 0.0}]
)
def test_wrong_guesses_are_refused(wrong):
    with pytest.raises(ValueError):
        GuessConfig(**wrong)
