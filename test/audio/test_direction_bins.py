# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whitened bins and the likelihood of directions, against dense densities and planted sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from av_perception.audio.direction_bins import (
    BinBlock,
    DirectionBins,
    DirectionBinsConfig,
    DirectionLikelihood,
    log_of_length,
)
from av_perception.audio.dp_rtf import relative_transfer
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.audio.propagation import SPEED_OF_SOUND, array_response
from av_perception.audio.responses import MeasuredTransfer
from av_perception.audio.steering import GeometricSteering, MeasuredSteering, sphere_grid
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray, RigidSphere

RATE = 16000
SQUARE = MicrophoneArray(
    ((0.023, 0.023, 0.0), (-0.023, 0.023, 0.0), (-0.023, -0.023, 0.0), (0.023, -0.023, 0.0))
)
FREQUENCIES = np.array([250.0, 1000.0, 3000.0, 4500.0])


def random_array(count, sphere=None):
    rng = np.random.default_rng(count)
    points = rng.normal(size=(count, 3))
    radius = 0.08 if sphere is None else sphere.radius
    points *= radius / np.linalg.norm(points, axis=1, keepdims=True)
    return MicrophoneArray(tuple(map(tuple, points)), sphere=sphere)


def complex_normal(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def central_angular_log_density(x, scatter):
    """Of the complex angular central Gaussian (Kent 1997), up to a constant, dense."""
    size = len(scatter)
    quadratic = (x.conj() @ np.linalg.inv(scatter) @ x).real
    return -np.linalg.slogdet(scatter)[1] - size * np.log(quadratic)


def block_of(likelihood, x, stamp_ns=0):
    """Bins x (R, M), one frame each, as `DirectionBins` hands them on."""
    rows = np.arange(len(x))
    white = np.einsum('rij,rj->ri', likelihood.whitening[rows].astype(complex), x)
    unit = (white / np.linalg.norm(white, axis=1, keepdims=True))[:, None]
    return BinBlock(
        stamp_ns,
        1.0,
        rows,
        unit.astype(np.complex64),
        np.ones((len(x), 1), bool),
        np.ones(len(x)),
        (True,) * x.shape[1],
    )


def dense_noise(array, frequency):
    distance = np.linalg.norm(array.positions[:, None] - array.positions, axis=2)
    return np.sinc(2 * frequency * distance / SPEED_OF_SOUND) + 0.05 * np.eye(len(distance))


@pytest.mark.parametrize('count', [2, 3, 4, 8, 16])
def test_the_closed_form_equals_the_dense_density_for_every_array_size(count):
    rng = np.random.default_rng(0)
    array = random_array(count)
    likelihood = DirectionLikelihood(GeometricSteering(array), FREQUENCIES)
    directions = sphere_grid(7)
    x = complex_normal(rng, len(FREQUENCIES), count)
    ratios = likelihood.ratios(block_of(likelihood, x), likelihood.whitened_steering(directions))
    for row, frequency in enumerate(FREQUENCIES):
        noise = dense_noise(array, frequency)
        diffuse = central_angular_log_density(x[row], noise)
        for column, direction in enumerate(directions):
            wavenumber = 2 * np.pi * frequency / SPEED_OF_SOUND
            d = np.exp(1j * wavenumber * array.positions @ direction)
            direct = central_angular_log_density(x[row], noise + 2 * np.outer(d, d.conj()))
            assert ratios[row, column] == pytest.approx(direct - diffuse, abs=2e-3 * count)


def test_without_direct_sound_every_direction_is_as_likely_as_diffuse_sound():
    rng = np.random.default_rng(0)
    likelihood = DirectionLikelihood(
        GeometricSteering(SQUARE), FREQUENCIES, direct_to_diffuse=1e-6
    )
    block = block_of(likelihood, complex_normal(rng, len(FREQUENCIES), 4))
    np.testing.assert_allclose(
        likelihood.ratios(block, likelihood.whitened_steering(sphere_grid(5))), 0, atol=1e-3
    )


def test_the_loudness_and_the_phase_of_a_bin_do_not_matter():
    rng = np.random.default_rng(1)
    likelihood = DirectionLikelihood(GeometricSteering(SQUARE), FREQUENCIES)
    x = complex_normal(rng, len(FREQUENCIES), 4)
    scaled = likelihood.whitened_steering(sphere_grid(5))
    np.testing.assert_allclose(
        likelihood.ratios(block_of(likelihood, x), scaled),
        likelihood.ratios(block_of(likelihood, 7j * x), scaled),
        atol=1e-3,
    )


def test_steering_at_the_kept_bins_alone_gives_the_same_ratios():
    """For a sphere as well, and for no bins, and for nobody."""
    rng = np.random.default_rng(3)
    directions = sphere_grid(4)
    for array in (SQUARE, replace(SQUARE, sphere=RigidSphere(radius=0.03))):
        likelihood = DirectionLikelihood(GeometricSteering(array), FREQUENCIES)
        block = block_of(likelihood, complex_normal(rng, len(FREQUENCIES), 4))
        kept = replace(
            block,
            bins=block.bins[::3],
            unit=block.unit[::3],
            kept=block.kept[::3],
            power=block.power[::3],
        )
        whole = likelihood.ratios(kept, likelihood.whitened_steering(directions))
        np.testing.assert_allclose(
            likelihood.ratios_towards(kept, directions), whole, rtol=1e-5, atol=1e-5
        )
        assert likelihood.ratios_towards(kept.emptied(), directions).shape == (0, 4)
        assert likelihood.ratios_towards(kept, directions[:0]).shape == (len(kept), 0)


def test_rows_are_means_over_their_kept_frames():
    rng = np.random.default_rng(2)
    likelihood = DirectionLikelihood(GeometricSteering(SQUARE), FREQUENCIES)
    scaled = likelihood.whitened_steering(sphere_grid(3))
    parts = [block_of(likelihood, complex_normal(rng, 4, 4)) for _ in range(3)]
    unit = np.concatenate([part.unit for part in parts], axis=1)
    kept = np.array(
        [[True, True, True], [True, False, True], [False, False, True], [False, True, False]]
    )
    ratios = np.stack([likelihood.ratios(part, scaled) for part in parts], axis=1)
    together = BinBlock(0, 1.0, np.arange(4), unit, kept, np.ones(4), (True,) * 4)
    expected = [ratios[row, kept[row]].mean(axis=0) for row in range(4)]
    np.testing.assert_allclose(likelihood.ratios(together, scaled), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('num_frames', [1, 5, 15])
def test_logarithms_of_products_are_sums_of_logarithms(num_frames):
    """Also of more frames than a product of floats can hold, all of them from one direction."""
    rng = np.random.default_rng(5)
    array = random_array(3)
    steering = GeometricSteering(array)
    likelihood = DirectionLikelihood(steering, FREQUENCIES, direct_to_diffuse=1e5)
    directions = sphere_grid(30)
    count = len(FREQUENCIES)
    sound = complex_normal(rng, count, num_frames, 3)
    sound[::2] = complex_normal(rng, len(sound[::2]), num_frames, 1)
    sound[::2] *= array_response(array, directions[:1], FREQUENCIES[::2])[0][:, None]
    white = sound @ likelihood.whitening.swapaxes(1, 2)
    unit = white / np.linalg.norm(white, axis=2, keepdims=True)
    kept = rng.random((count, num_frames)) < 0.5
    kept[::2] = True
    kept[:, 0] = True
    block = BinBlock(
        0, 1.0, np.arange(count), unit.astype(np.complex64), kept, np.ones(count), (True,) * 3
    )
    scaled = likelihood.whitened_steering(directions)
    plain = likelihood.ratios_towards(block, directions)
    for ratios in (
        likelihood.ratios(block, scaled),
        likelihood.ratios(block, scaled, log_of_length(scaled)),
    ):
        np.testing.assert_allclose(ratios, plain, rtol=2e-3, atol=2e-3)
    assert plain[::2, 0].min() > 5


@pytest.mark.parametrize('count', [2, 4, 16])
@pytest.mark.parametrize('sphere', [None, RigidSphere(0.08)])
def test_sound_from_a_direction_is_likeliest_there(count, sphere):
    """Planted: rank-one sound plus a little noise; with two microphones the cone of confusion."""
    rng = np.random.default_rng(3)
    array = random_array(count, sphere)
    frequencies = np.arange(300.0, 3000.0, 50.0)
    likelihood = DirectionLikelihood(GeometricSteering(array), frequencies)
    grid = sphere_grid(200)
    truth = 57
    d = array_response(array, grid[truth : truth + 1], frequencies)[0]
    x = d * complex_normal(rng, len(frequencies), 1) + 0.05 * complex_normal(
        rng, len(frequencies), count
    )
    total = likelihood.ratios(block_of(likelihood, x), likelihood.whitened_steering(grid)).sum(
        axis=0
    )
    assert total[truth] > total.max() - 3 and total[truth] > 0


def test_diffuse_sound_is_likelier_diffuse_than_from_anywhere():
    rng = np.random.default_rng(4)
    frequencies = np.arange(300.0, 4500.0, 15.0)
    steering = GeometricSteering(SQUARE)
    likelihood = DirectionLikelihood(steering, frequencies)
    factor = np.linalg.cholesky(steering.diffuse_coherence(frequencies) + 0.05 * np.eye(4))
    x = np.einsum('fij,fj->fi', factor, complex_normal(rng, len(frequencies), 4))
    total = likelihood.ratios(
        block_of(likelihood, x), likelihood.whitened_steering(sphere_grid(100))
    ).sum(axis=0)
    assert (total < 0).all()


def test_the_diffuse_field_of_a_sphere_is_the_mean_of_its_plane_waves():
    """And of a tiny sphere that of the free field."""
    array = random_array(5)
    free = GeometricSteering(array).diffuse_coherence(FREQUENCIES)
    waves = array_response(array, sphere_grid(3000), FREQUENCIES)
    mean = np.einsum('nfi,nfj->fij', waves, waves.conj()) / 3000
    np.testing.assert_allclose(free, mean, atol=0.01)
    around = GeometricSteering(random_array(5, RigidSphere(0.08))).diffuse_coherence(FREQUENCIES)
    np.testing.assert_allclose(np.trace(around, axis1=1, axis2=2), 5, rtol=1e-9)
    assert np.abs(around - free).max() > 0.05


def test_measured_responses_steer_like_the_sphere_they_were_measured_on():
    """Responses of a sphere, geometry of the free field: right between the measured directions."""
    ball = random_array(4, RigidSphere(0.08))
    free = random_array(4)
    measured = MeasuredTransfer(
        sphere_grid(300), relative_transfer(array_response(ball, sphere_grid(300), FREQUENCIES))
    )
    steering = MeasuredSteering.of_transfer(free, measured, FREQUENCIES)
    elsewhere = sphere_grid(41)
    found = steering.vectors(elsewhere, FREQUENCIES)
    expected = GeometricSteering(ball).vectors(elsewhere, FREQUENCIES)
    alike = np.abs(np.sum(found * expected.conj(), axis=2)) / 4
    plain = (
        np.abs(
            np.sum(
                GeometricSteering(free).vectors(elsewhere, FREQUENCIES) * expected.conj(), axis=2
            )
        )
        / 4
    )
    assert alike.min() > 0.93 and np.median(alike) > 0.99
    assert alike.mean() > plain.mean() + 0.02


def test_a_learnt_map_steers_like_the_geometry_it_was_learnt_from():
    array = load_head('simulated').microphones
    acoustic_map = head_map(array, AcousticMapConfig(), AudioFrontEndConfig())
    steering = MeasuredSteering.of_map(array, acoustic_map)
    directions = direction_from_angles(np.radians(np.arange(-170, 180, 20)), 0.1)
    found = steering.vectors(directions, FREQUENCIES)
    expected = GeometricSteering(array).vectors(directions, FREQUENCIES)
    assert np.quantile(np.abs(np.sum(found * expected.conj(), axis=2)) / 4, 0.1) > 0.97


def test_measured_responses_leave_out_what_was_not_heard():
    transfer = relative_transfer(array_response(SQUARE, sphere_grid(50), FREQUENCIES))
    transfer[3, 1] = np.nan
    steering = MeasuredSteering.of_transfer(
        SQUARE, MeasuredTransfer(sphere_grid(50), transfer), FREQUENCIES
    )
    found = steering.vectors(sphere_grid(9), FREQUENCIES)
    expected = GeometricSteering(SQUARE).vectors(sphere_grid(9), FREQUENCIES)
    assert np.isfinite(found).all()
    assert (np.abs(np.sum(found * expected.conj(), axis=2)) > 3.9).all()


WITHOUT_VOICE = DirectionBinsConfig(voice_activity=False)


def streamed(sound, sizes, config=WITHOUT_VOICE, array=SQUARE):
    likelihood = DirectionLikelihood(GeometricSteering(array), config.frequencies)
    bins = DirectionBins(config, likelihood, RATE)
    start = 0
    blocks = []
    for size in sizes:
        part = sound[start : start + size]
        blocks += bins.push(AudioChunk(10**9 + round(start * 1e9 / RATE), RATE, start, part))
        start += len(part)
    return blocks, likelihood, bins


def bursts(direction, array=SQUARE, seconds=2.0, seed=0):
    """Noise bursts of 0.3 s from a direction, by fractional delays in the frequency domain."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    dry = rng.normal(size=count) * (np.arange(count) % 8000 < 4800)
    frequency = np.fft.rfftfreq(count, 1 / RATE)
    advance = array.positions @ direction / SPEED_OF_SOUND
    wet = np.fft.irfft(
        np.fft.rfft(dry)[:, None] * np.exp(2j * np.pi * frequency[:, None] * advance),
        count,
        axis=0,
    )
    return (0.05 * wet + 1e-4 * rng.normal(size=wet.shape)).astype(np.float32)


def test_blocks_do_not_depend_on_how_the_sound_is_cut():
    sound = bursts(direction_from_angles(1.0, 0.2))
    whole, _, _ = streamed(sound, [len(sound)])
    pieces, _, _ = streamed(sound, [1, 255, 7, 1024] * 40)
    assert len(whole) > 40
    for one, other in zip(whole, pieces):
        assert one.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(one.bins, other.bins)
        np.testing.assert_allclose(one.unit, other.unit, atol=1e-6)


def test_a_streamed_sound_is_likeliest_where_it_comes_from():
    azimuths = np.radians(np.arange(-180, 180, 5))
    for azimuth in (-2.0, 0.3):
        blocks, likelihood, _ = streamed(bursts(direction_from_angles(azimuth, 0.0)), [32000])
        scaled = likelihood.whitened_steering(direction_from_angles(azimuths, 0.0))
        total = sum(likelihood.ratios(block, scaled).sum(axis=0) for block in blocks)
        assert abs(azimuths[total.argmax()] - azimuth) <= np.radians(4)


def test_steady_noise_and_what_decays_are_left_out():
    rng = np.random.default_rng(0)
    steady = (0.01 * rng.normal(size=(4 * RATE, 4))).astype(np.float32)
    blocks, _, _ = streamed(steady, [len(steady)])
    assert np.mean([len(block) for block in blocks[20:]]) < 0.12 * len(DirectionBinsConfig().used)
    decay = np.exp(-np.arange(RATE) / RATE * 12)[:, None]
    burst = np.concatenate(
        [1e-4 * rng.normal(size=(RATE, 4)), 0.3 * decay * rng.normal(size=(RATE, 4))]
    ).astype(np.float32)
    onset = RATE // 640
    gated, ungated = (
        np.array([block.kept.sum() for block in streamed(burst, [len(burst)], config)[0]])
        for config in (
            DirectionBinsConfig(voice_activity=False),
            DirectionBinsConfig(voice_activity=False, onset_ratio=0.0),
        )
    )
    assert gated[onset - 1] > 0.9 * ungated[onset - 1] > 300
    assert 0 < gated[onset + 4 : onset + 14].sum() < 0.3 * ungated[onset + 4 : onset + 14].sum()


@pytest.mark.parametrize('level', [0.0, 0.2])
@pytest.mark.parametrize('muted', [(0, 1, 2, 3), (1, 2, 3)])
def test_noise_after_muted_microphones_stood_above_the_floor_for_two_seconds(level, muted):
    """So it hid the first voice. A muted microphone gives zeros or a constant."""
    rng = np.random.default_rng(1)
    noise = 0.003 * rng.normal(size=(3 * RATE, 4))
    first, again = int(1.03 * RATE), int(2.01 * RATE)
    noise[: RATE // 2, muted] = level
    noise[first:again, muted] = level
    blocks, _, _ = streamed(noise.astype(np.float32), [len(noise)])
    number = len(DirectionBinsConfig().used)
    for begin_s in (0.5, again / RATE):
        begin_ns = 10**9 + round((begin_s + 0.04) * 1e9)
        after = [len(b) for b in blocks if begin_ns <= b.stamp_ns < begin_ns + 5 * 10**8]
        assert len(after) > 10
        assert np.mean(after) < 0.12 * number


def test_the_stamp_is_the_center_of_the_block():
    blocks, _, _ = streamed(bursts(direction_from_angles(0.0, 0.0)), [32000])
    assert blocks[0].stamp_ns == 10**9 + round((4 * 128 + 512) / 2 / RATE * 1e9)
    assert {b.stamp_ns - a.stamp_ns for a, b in zip(blocks, blocks[1:])} == {40_000_000}


def test_a_dead_microphone_is_counted_and_the_others_still_tell_the_direction():
    sound = bursts(direction_from_angles(0.5, 0.0))
    sound[:, 2] = 0
    blocks, likelihood, bins = streamed(sound, [len(sound)])
    assert bins.counters['blocks with a dead microphone'] == len(blocks)
    others = likelihood.heard_by((True, True, False, True))
    azimuths = np.radians(np.arange(-180, 180, 5))
    scaled = others.whitened_steering(direction_from_angles(azimuths, 0.0))
    total = sum(others.ratios(block, scaled).sum(axis=0) for block in blocks)
    assert abs(azimuths[total.argmax()] - 0.5) <= np.radians(6)
    sound[:, :2] = 0
    blocks, _, _ = streamed(sound, [len(sound)])
    assert all(len(block) == 0 for block in blocks)


def test_a_gap_starts_afresh():
    sound = bursts(direction_from_angles(0.0, 0.0))
    config = DirectionBinsConfig(voice_activity=False)
    bins = DirectionBins(
        config, DirectionLikelihood(GeometricSteering(SQUARE), config.frequencies), RATE
    )
    bins.push(AudioChunk(10**9, RATE, 0, sound[:700]))
    (first, *_) = bins.push(AudioChunk(2 * 10**9, RATE, 16000, sound[:2000]))
    assert first.stamp_ns == 2 * 10**9 + 32_000_000


def test_one_microphone_is_refused():
    with pytest.raises(UserError, match='2 to 16 microphones'):
        DirectionLikelihood(GeometricSteering(MicrophoneArray(((0.0, 0.0, 0.0),))), FREQUENCIES)


def test_the_least_noise_floor_is_the_rounding_of_16_bits():
    """Regression: the energy of the window counted twice, so that it lay 4.3 dB too low."""
    config = DirectionBinsConfig()
    likelihood = DirectionLikelihood(GeometricSteering(SQUARE), config.frequencies)
    bins = DirectionBins(config, likelihood, RATE)
    rounding = np.random.default_rng(0).uniform(-0.5, 0.5, (2000, config.stft.window)) / 32768
    spectra = np.fft.rfft(rounding * np.hanning(config.stft.window + 1)[:-1])[:, 1:-1]
    assert bins._floor._least == pytest.approx(np.mean(np.abs(spectra) ** 2), rel=0.02)
