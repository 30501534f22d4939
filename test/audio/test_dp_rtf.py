# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recursive least squares on the cross-relations.

Against batch least squares, planted transfer functions and closed forms.
"""

import itertools

import numpy as np
import pytest
from cross_relations import reference_taps

from av_perception.audio.dp_rtf import CrossRelationRls, DpRtfConfig, relative_transfer

HOP_S = 0.008


def complex_noise(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def run(frames, config, block=5):
    """Feed (frames, bins, channels) block by block."""
    estimator = CrossRelationRls(config, frames.shape[1], frames.shape[2], HOP_S)
    for start in range(0, len(frames), block):
        estimator.update(frames[start : start + block])
    return estimator


def batch_first_taps(signals, taps, forgetting):
    """Explicit weighted rows of one bin, (frames, channels), solved by lstsq under a_1(0) = 1."""
    num_frames, channels = signals.shape
    padded = np.concatenate([np.zeros((taps - 1, channels)), signals])
    # (frames, channels, taps)
    windows = np.stack(
        [padded[taps - 1 - q : taps - 1 - q + num_frames] for q in range(taps)], axis=-1
    )
    rows = []
    for p, (i, j) in itertools.product(
        range(num_frames), itertools.combinations(range(channels), 2)
    ):
        row = np.zeros((channels, taps), complex)
        row[j], row[i] = windows[p, i], -windows[p, j]
        rows.append(row.ravel() * forgetting ** (0.5 * (num_frames - 1 - p)))
    rows = np.array(rows)
    solution = np.linalg.lstsq(rows[:, 1:], -rows[:, 0], rcond=None)[0]
    return np.concatenate([[1.0], solution])[::taps]


def planted(rng, channels=3, taps=3, num_frames=400, snr_db=None):
    """White sources through random transfer functions: first taps (bins, channels), frames."""
    bins = 4
    filters = complex_noise(rng, bins, channels, taps) * np.array([1.0, 0.5, 0.25, 0.12])[:taps]
    source = complex_noise(rng, num_frames + taps - 1, bins)
    frames = sum(
        source[taps - 1 - q : taps - 1 - q + num_frames, :, None] * filters[None, :, :, q]
        for q in range(taps)
    )
    if snr_db is not None:
        frames = frames + complex_noise(rng, *frames.shape) * np.sqrt(
            np.mean(np.abs(frames) ** 2) / 2
        ) * 10 ** (-snr_db / 20)
    return filters[:, :, 0], frames


@pytest.mark.parametrize('taps, channels', [(1, 2), (3, 2), (3, 4)])
def test_recursion_equals_batch_weighted_least_squares(taps, channels):
    frames = complex_noise(np.random.default_rng(1), 43, 2, channels)
    config = DpRtfConfig(num_taps=taps, memory_s=0.2, loading=0.0)
    recursive = reference_taps(run(frames, config), slice(None), taps)
    for k in range(2):
        expected = batch_first_taps(frames[:, k], taps, np.exp(-HOP_S / 0.2))
        np.testing.assert_allclose(recursive[k], expected, rtol=1e-8, atol=1e-8)


def test_block_size_does_not_matter():
    frames = complex_noise(np.random.default_rng(2), 30, 3, 3)
    config = DpRtfConfig(num_taps=4)
    one, many = run(frames, config, 30), run(frames, config, 1)
    np.testing.assert_allclose(
        one.normal_matrix(slice(None)), many.normal_matrix(slice(None)), rtol=1e-10
    )


def whole_normal(frames, taps, forgetting):
    """(bins, I Q, I Q) R from the correlation of the stacked signals, frame by frame."""
    num_frames, bins, channels = frames.shape
    padded = np.concatenate([np.zeros((taps - 1, bins, channels)), frames])
    correlation = np.zeros((bins, channels * taps, channels * taps), complex)
    for p in range(num_frames):
        stacked = padded[p : p + taps][::-1].transpose(1, 2, 0).reshape(bins, -1)
        products = stacked.conj()[:, :, None] * stacked[:, None, :]
        correlation = forgetting * correlation + products
    blocks = correlation.reshape(bins, channels, taps, channels, taps)
    normal = -blocks.transpose(0, 3, 2, 1, 4)
    for channel in range(channels):
        normal[:, channel, :, channel] += np.einsum('fiqir->fqr', blocks)
    return normal.reshape(bins, channels * taps, -1)


@pytest.mark.parametrize('taps, channels, block', [(6, 4, 5), (6, 2, 1), (4, 3, 7), (1, 3, 5)])
def test_lagged_sums_hold_the_whole_correlation(taps, channels, block):
    """From the first frames on, when there are fewer of them than taps as well."""
    frames = complex_noise(np.random.default_rng(12), 4 * block, 3, channels)
    config = DpRtfConfig(num_taps=taps)
    estimator = CrossRelationRls(config, 3, channels, HOP_S)
    for end in range(block, len(frames) + 1, block):
        estimator.update(frames[end - block : end])
        expected = whole_normal(frames[:end], taps, np.exp(-HOP_S / config.memory_s))
        np.testing.assert_allclose(estimator.normal_matrix(slice(None)), expected, atol=1e-11)
        chosen = np.array([True, False, True])
        np.testing.assert_allclose(estimator.normal_matrix(chosen), expected[chosen], atol=1e-11)


def test_planted_transfer_functions_are_found_at_30_db():
    truth, frames = planted(np.random.default_rng(3), snr_db=30, num_frames=1000)
    taps, residual = run(frames, DpRtfConfig(num_taps=3, memory_s=8.0, loading=1e-6)).solve(
        slice(None)
    )
    found, expected = relative_transfer(taps), relative_transfer(truth)
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.01
    assert (residual < 0.05).all()


def test_one_tap_reduces_to_the_relative_transfer_function():
    rng = np.random.default_rng(4)
    frames = complex_noise(rng, 25, 1, 2)
    estimator = run(frames, DpRtfConfig(num_taps=1, memory_s=1e9, loading=0.0))
    found = reference_taps(estimator, [0], 1)[0, 1]
    reference, other = frames[:, 0].T
    assert found == pytest.approx(
        np.vdot(reference, other) / np.vdot(reference, reference), rel=1e-8
    )


def test_one_tap_unit_norm_is_the_principal_component():
    frames = complex_noise(np.random.default_rng(5), 25, 1, 4)
    taps, _ = run(frames, DpRtfConfig(num_taps=1, memory_s=1e9, loading=0.0)).solve([0])
    covariance = frames[:, 0].T @ frames[:, 0].conj()
    principal = np.linalg.eigh(covariance)[1][:, -1]
    assert abs(np.vdot(principal, taps[0])) == pytest.approx(1.0, abs=1e-8)


def test_a_weak_reference_does_not_spoil_the_other_microphones():
    truth, frames = planted(np.random.default_rng(6), num_frames=800)
    truth[:, 0] *= 1e-3
    frames[:, :, 0] *= 1e-3
    frames += 0.02 * complex_noise(np.random.default_rng(7), *frames.shape)
    taps, _ = run(frames, DpRtfConfig(num_taps=3, memory_s=8.0, loading=1e-6)).solve(slice(None))
    np.testing.assert_allclose(taps[:, 2] / taps[:, 1], truth[:, 2] / truth[:, 1], rtol=0.05)
    assert np.abs(relative_transfer(taps)).max() <= 1
    assert (np.abs(taps[:, 0]) < 0.05).all()


def test_two_sources_at_once_leave_a_larger_residual_than_one():
    rng = np.random.default_rng(8)
    _, first = planted(rng, channels=4, taps=2)
    _, second = planted(rng, channels=4, taps=2)
    config = DpRtfConfig(num_taps=3, memory_s=0.2)
    _, single = run(first, config).solve(slice(None))
    _, double = run(first + second, config).solve(slice(None))
    assert (double > 5 * single).all()


def test_silence_and_a_dead_microphone_give_finite_results():
    silent, _ = run(np.zeros((10, 2, 3), complex), DpRtfConfig()).solve(slice(None))
    assert np.isfinite(silent).all()
    frames = complex_noise(np.random.default_rng(9), 40, 2, 3)
    frames[:, :, 0] = 0
    taps, residual = run(frames, DpRtfConfig()).solve(slice(None))
    assert np.isfinite(relative_transfer(taps)).all() and np.isfinite(residual).all()
    assert (np.abs(taps[:, 0]) < 1e-6).all()


def test_relative_transfer_is_bounded_and_ignores_scale():
    taps = np.array([[1.0, 1j, 0.0], [0.0, 3.0, 0.0], [1e-9j, 1.0, 1e-9], [0.0, 0.0, 0.0]])
    found = relative_transfer(taps.astype(complex))
    np.testing.assert_allclose(found[0], [1j / np.sqrt(2), 0])
    assert (np.abs(found) <= 1).all() and np.isfinite(found).all() and (found[[1, 3]] == 0).all()
    np.testing.assert_allclose(relative_transfer(taps * (2 - 3j)), found, atol=1e-12)


@pytest.mark.parametrize('bad', [dict(num_taps=0), dict(memory_s=0.0), dict(loading=-1.0)])
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        DpRtfConfig(**bad)


@pytest.mark.parametrize('loading', [0.0, 1e-3])
def test_silence_and_what_fits_exactly_have_taps_even_without_loading(loading):
    config = DpRtfConfig(num_taps=3, memory_s=8.0, loading=loading)
    silent = run(np.zeros((40, 2, 3), complex), config)
    taps, residual = silent.solve(slice(None))
    assert np.isfinite(taps).all()
    np.testing.assert_allclose(residual, 1.0)
    filters, frames = planted(np.random.default_rng(8))
    taps, residual = run(frames * 1e3, config).solve(slice(None))
    assert np.isfinite(taps).all() and (residual < 0.01).all()
    found = relative_transfer(taps)
    np.testing.assert_allclose(found, relative_transfer(filters), atol=0.02)
