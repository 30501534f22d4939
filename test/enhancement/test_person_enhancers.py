# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices of several people: indices and stamps stay true through gaps, ends and switches."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.enhancement.person_enhancers import PersonEnhancers
from av_perception.enhancement.stream import LSA, MODES, OFF, VAE
from av_perception.interfaces import AudioChunk

RATE = 16000
START_NS = 3_000_000_000


def voice(count, seed=0):
    random = np.random.default_rng(seed)
    tone = 0.2 * np.sin(2 * np.pi * 200 * np.arange(count) / RATE)
    return (tone + 0.01 * random.standard_normal(count)).astype(np.float32)


def stamp_of(first):
    return START_NS + round(first * 1e9 / RATE)


def chunks_of(sound, first=0, size=256):
    for start in range(0, len(sound), size):
        place = first + start
        yield AudioChunk(stamp_of(place), RATE, place, sound[start : start + size, None])


def run(enhancers, sound, key=1, first=0):
    """All that comes out of a voice that ends."""
    chunks = list(chunks_of(sound, first))
    done = []
    for index, chunk in enumerate(chunks, 1):
        done += enhancers.push(key, chunk, ended=index == len(chunks))
    return done


def whole(pieces):
    """Samples of pieces that must follow each other, each with the stamp of its place."""
    place = pieces[0].first_sample
    for piece in pieces:
        assert piece.first_sample == place
        assert abs(piece.stamp_ns - stamp_of(place)) <= 2
        assert piece.samples.dtype == np.float32 and piece.samples.shape[1] == 1
        place += len(piece.samples)
    return np.concatenate([piece.samples[:, 0] for piece in pieces])


@pytest.mark.parametrize('mode', MODES)
def test_every_sample_comes_out_at_its_place(mode):
    sound = voice(9000)
    pieces = run(PersonEnhancers(mode), sound, first=777)
    found = whole(pieces)
    assert pieces[0].first_sample == 777 and len(found) == len(sound)
    if mode == OFF:
        np.testing.assert_array_equal(found, sound)


@pytest.mark.parametrize('mode', MODES)
def test_people_do_not_mix(mode):
    sounds = {1: voice(6000), 2: voice(6000, seed=5)}
    alone = {key: whole(run(PersonEnhancers(mode), sound, key)) for key, sound in sounds.items()}
    enhancers = PersonEnhancers(mode)
    together = {1: [], 2: []}
    for pair in zip(*(chunks_of(sound) for sound in sounds.values())):
        for key, chunk in zip(sounds, pair):
            ended = chunk.first_sample + 256 >= 6000
            together[key] += enhancers.push(key, chunk, ended)
    for key in sounds:
        np.testing.assert_array_equal(whole(together[key]), alone[key])


def test_a_gap_brings_out_what_waited_and_begins_afresh():
    enhancers = PersonEnhancers(LSA)
    done = []
    for chunk in chunks_of(voice(4096)):
        done += enhancers.push(1, chunk)
    later = list(chunks_of(voice(4096), first=10000))
    for chunk in later:
        done += enhancers.push(1, chunk, ended=chunk is later[-1])
    before = [piece for piece in done if piece.first_sample < 10000]
    after = [piece for piece in done if piece.first_sample >= 10000]
    assert len(whole(before)) == 4096
    assert after[0].first_sample == 10000 and len(whole(after)) == 4096


def test_all_voices_are_switched_without_a_click_or_a_lost_sample():
    sound = voice(24000)
    enhancers = PersonEnhancers()
    done = []
    chunks = list(chunks_of(sound))
    for index, chunk in enumerate(chunks):
        if index in (20, 40, 60):
            enhancers.switch({20: VAE, 40: LSA, 60: OFF}[index])
        done += enhancers.push(1, chunk, ended=index + 1 == len(chunks))
    found = whole(done)
    assert len(found) == len(sound)
    np.testing.assert_array_equal(found[: 20 * 256], sound[: 20 * 256])
    np.testing.assert_array_equal(found[-4000:], sound[-4000:])
    assert np.abs(np.diff(found)).max() <= 1.3 * np.abs(np.diff(sound)).max()


def test_a_voice_that_ends_at_once_is_answered():
    chunk = AudioChunk(START_NS, RATE, 0, np.zeros((0, 1), np.float32))
    [last] = PersonEnhancers(LSA).push(1, chunk, ended=True)
    assert len(last.samples) == 0 and last.first_sample == 0


def test_samples_that_are_no_numbers_become_silence():
    sound = voice(4000)
    sound[1000:1010] = np.nan
    assert np.isfinite(whole(run(PersonEnhancers(VAE), sound))).all()


@pytest.mark.parametrize('mode', MODES)
def test_a_voice_beside_its_microphone_is_one_channel_and_finite(mode):
    sound = np.stack([0.5 * voice(6000), voice(6000)], axis=1)
    sound[3000:3010, 1] = np.nan
    enhancers = PersonEnhancers(mode)
    done = []
    for start in range(0, 6000, 256):
        chunk = AudioChunk(stamp_of(start), RATE, start, sound[start : start + 256])
        done += enhancers.push(1, chunk, ended=start + 256 >= 6000)
    found = whole(done)
    assert len(found) == 6000 and np.isfinite(found).all()
    if mode == OFF:
        np.testing.assert_array_equal(found, sound[:, 0])


def test_a_mode_that_is_not_there_changes_nothing():
    enhancers = PersonEnhancers(LSA)
    with pytest.raises(ValueError, match='off, lsa, vae'):
        enhancers.switch('magic')
    assert len(whole(run(enhancers, voice(2000)))) == 2000
