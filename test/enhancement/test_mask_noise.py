# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Masks tell what is noise in a voice: at once, where it would have to be followed otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import complex_normal

from av_perception.enhancement.heard_voice import HeardVoice
from av_perception.enhancement.lsa import LsaConfig
from av_perception.enhancement.lsa_stream import LsaStream
from av_perception.enhancement.mask_noise import MaskNoise, MaskNoiseConfig
from av_perception.enhancement.noise_tracking import NoiseTrackingConfig, track_noise

HOP_S = 0.016
BINS = 65


def noise_power(frames, level=1.0, seed=0):
    return np.abs(complex_normal(np.full((frames, BINS), level), np.random.default_rng(seed))) ** 2


def in_db(ratio):
    return 10 * np.log10(ratio)


def beside(voice, microphone):
    return np.stack([voice, microphone], axis=1)


def test_noise_comes_and_goes_with_the_mask_at_once():
    """Noise that is followed in the voice itself takes a while to be found again."""
    around = noise_power(400)
    is_open = (np.arange(400) // 40) % 2 == 1
    mask = np.where(is_open, 1.0, 0.2)[:, None]
    known, presence = MaskNoise(HOP_S).update(mask**2 * around, around)
    np.testing.assert_allclose(presence, np.broadcast_to(mask**2, presence.shape))
    opening = np.flatnonzero(np.diff(is_open.astype(int)) == 1)[2:] + 1
    level = in_db(known[opening].mean())
    followed = in_db(track_noise(mask**2 * around, HOP_S)[opening].mean())
    assert -4.0 < level < 0.5
    assert followed < -8.0


def test_what_is_left_where_a_mask_has_closed_is_noise():
    power = noise_power(50, level=0.01)
    around = np.full((50, BINS), 100.0)
    around[:, ::2] = power[:, ::2]
    known, _ = MaskNoise(HOP_S).update(power, around)
    np.testing.assert_allclose(known[:, 1::2], power[:, 1::2], rtol=1e-9)


def test_a_microphone_that_begins_within_words_finds_the_noise_in_their_first_pauses():
    around = noise_power(120)
    speaks = (np.arange(120) // 30) % 2 == 0
    around[speaks] *= 1000
    known, _ = MaskNoise(HOP_S).update(around, around)
    assert in_db(known[59].mean()) < 15, 'after one pause of half a second'
    assert -4.0 < in_db(known[119].mean()) < 2.0, 'after two'
    slowly = track_noise(around, HOP_S, NoiseTrackingConfig(smoothing_s=2.0))
    assert in_db(slowly[119].mean()) > 15


def test_words_raise_the_noise_little():
    around = noise_power(300)
    around[150:180] *= 1000
    known, _ = MaskNoise(HOP_S).update(around, around)
    assert in_db(known[180:].mean()) - in_db(known[100:150].mean()) < 2.0


def test_frames_one_by_one_are_frames_together():
    around = noise_power(40)
    power = noise_power(40, seed=1)
    together = MaskNoise(HOP_S).update(power, around)
    alone = MaskNoise(HOP_S)
    single = [alone.update(power[k : k + 1], around[k : k + 1]) for k in range(40)]
    for part in range(2):
        joined = np.concatenate([found[part] for found in single])
        np.testing.assert_array_equal(joined, together[part])


def test_silence_and_a_voice_without_its_microphone_are_answered():
    nothing = np.zeros((20, BINS))
    for power, around in ((nothing, nothing), (noise_power(20), nothing)):
        known, presence = MaskNoise(HOP_S).update(power, around)
        assert np.isfinite(known).all() and (known >= 0).all()
        assert ((presence >= 0) & (presence <= 1)).all()


def test_who_is_silent_is_fourteen_decibels_softer():
    """Another voice that comes through the least mask is as soft as the gain can make it."""
    other = 0.1 * np.random.default_rng(0).standard_normal(16000)
    other[np.arange(16000) % 8000 < 6400] *= 0.001  # nothing that one could follow
    voice = 0.1 * other
    found = LsaStream().push(beside(voice, other))[4000:]
    level = in_db(np.mean(found**2) / np.mean(voice[4000 : 4000 + len(found)] ** 2))
    assert level == pytest.approx(LsaConfig().least_gain_db, abs=0.5)
    alone = LsaStream().push(voice)[4000:]
    assert in_db(np.mean(alone**2) / np.mean(voice[4000:] ** 2)) > -6


def test_a_voice_has_its_microphone_from_the_first_sample_on():
    voice = HeardVoice(LsaConfig())
    voice.push(np.zeros(700))
    with pytest.raises(ValueError, match='microphone'):
        voice.push(np.zeros((700, 2)))


@pytest.mark.parametrize('change', [{'fall_s': 0.0}, {'rise_s': np.nan}, {'closed': 1.5}])
def test_senseless_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        MaskNoiseConfig(**change)
