# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A live voice: samples keep their places, whatever is switched when; nothing clicks."""

from __future__ import annotations

import numpy as np
import pytest
from speech_priors import planted_prior

from av_perception.dvae.speech_prior import load_prior
from av_perception.enhancement.lsa import LsaConfig
from av_perception.enhancement.lsa_stream import LsaStream
from av_perception.enhancement.prior import PRIOR_TRANSFORM
from av_perception.enhancement.prior_memory import PriorMemory
from av_perception.enhancement.prior_stream import WITH_MEMORY, PriorStream, PriorStreamConfig
from av_perception.enhancement.stream import LSA, OFF, RVAE, VAE, StreamEnhancer

RATE = 16000
CHUNK = 256
MAKERS = {
    VAE: lambda start: PriorStream(planted_prior()),
    RVAE: lambda start: PriorStream(load_prior('rvae')),
}


class Scaled:
    """A mode whose effect can be seen in each sample: later, and softer."""

    def __init__(self, delay=700, gain=0.25):
        self._gain = gain
        self._held = np.zeros(0)
        self._delay = delay

    def push(self, samples):
        self._held = np.concatenate([self._held, samples])
        count = max(0, len(self._held) - self._delay)
        done = self._gain * self._held[:count]
        self._held = self._held[count:]
        return done

    def finish(self):
        return self._gain * self._held


def tone(seconds, hertz=200.0):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def run(enhancer, sound, switches=(), chunk=CHUNK):
    """The whole stream; switches: (first sample, mode)."""
    found = []
    left = list(switches)
    for start in range(0, len(sound), chunk):
        while left and left[0][0] <= start:
            enhancer.switch(left.pop(0)[1])
        found.append(enhancer.push(sound[start : start + chunk]))
    return np.concatenate([*found, enhancer.finish()])


def test_off_gives_each_sample_at_once():
    sound = tone(0.2)
    enhancer = StreamEnhancer()
    np.testing.assert_array_equal(enhancer.push(sound), sound)
    assert enhancer.waiting == 0 and not len(enhancer.finish())


@pytest.mark.parametrize('mode', [LSA, VAE, RVAE])
def test_a_stream_gives_what_its_processor_gives(mode):
    sound = tone(0.7) + 0.01 * np.random.default_rng(0).standard_normal(round(0.7 * RATE))
    processor = LsaStream() if mode == LSA else MAKERS[mode](0)
    whole = np.concatenate([processor.push(sound), processor.finish()])[: len(sound)]
    for chunk in (100, 256, 5000):
        found = run(StreamEnhancer(MAKERS, mode), sound, chunk=chunk)
        np.testing.assert_allclose(found, whole, atol=1e-6)


def test_every_sample_keeps_its_place_through_switches():
    sound = tone(2.0)
    switches = [(4000, 'late'), (9000, OFF), (12000, 'later'), (20000, 'late'), (26000, OFF)]
    makers = {'late': lambda start: Scaled(700, 1.0), 'later': lambda start: Scaled(2500, 1.0)}
    for chunk in (64, 256, 1000):
        found = run(StreamEnhancer(makers), sound, switches, chunk)
        np.testing.assert_allclose(found, sound, atol=1e-12)


@pytest.mark.parametrize('order', [(OFF, 'soft'), ('soft', OFF)])
def test_modes_fade_into_each_other_without_a_click(order):
    sound = np.full(RATE, 0.5)
    enhancer = StreamEnhancer({'soft': lambda start: Scaled()}, order[0])
    found = run(enhancer, sound, [(8192, order[1])])
    ends = {OFF: 0.5, 'soft': 0.125}
    assert found[0] == ends[order[0]] and found[-1] == ends[order[1]]
    assert np.abs(np.diff(found)).max() < 1e-3
    assert len(found) == len(sound)


@pytest.mark.parametrize('modes', [(OFF, VAE), (VAE, OFF), (LSA, RVAE), (OFF, LSA)])
def test_switching_real_modes_does_not_click(modes):
    """A click has energy where a tone of 200 Hz has none."""
    sound = tone(1.5)
    found = run(StreamEnhancer(MAKERS, modes[0]), sound, [(12000, modes[1])])
    assert len(found) == len(sound)
    high = np.diff(found[4000:-2000], 4)
    expected = np.abs(np.diff(sound, 4)).max()
    assert np.abs(high).max() < 20 * expected + 1e-4


def beside_a_microphone(seconds=1.5):
    """A voice that comes and goes, and the sound that it was taken from."""
    sound = tone(seconds) + 0.01 * np.random.default_rng(0).standard_normal(round(seconds * RATE))
    mask = 0.55 - 0.45 * np.cos(2 * np.pi * 2 * np.arange(len(sound)) / RATE)
    return np.stack([mask * sound, sound], axis=1)


@pytest.mark.parametrize('mode', [OFF, LSA, VAE, RVAE])
def test_a_voice_beside_its_microphone_may_be_cut_anyhow(mode):
    sound = beside_a_microphone(0.7)
    whole = run(StreamEnhancer(MAKERS, mode), sound, chunk=len(sound))
    assert whole.shape == (len(sound),) and np.isfinite(whole).all()
    for chunk in (100, 256):
        found = run(StreamEnhancer(MAKERS, mode), sound, chunk=chunk)
        np.testing.assert_allclose(found, whole, atol=1e-6)
    if mode == OFF:
        np.testing.assert_array_equal(whole, sound[:, 0])


@pytest.mark.parametrize('modes', [(OFF, VAE), (VAE, LSA), (LSA, OFF)])
def test_switching_beside_a_microphone_does_not_click(modes):
    sound = beside_a_microphone()
    found = run(StreamEnhancer(MAKERS, modes[0]), sound, [(12000, modes[1])])
    assert len(found) == len(sound)
    steps = np.abs(np.diff(found))
    assert steps.max() <= 1.3 * np.abs(np.diff(sound[:, 0])).max()


def test_a_switch_within_a_fade_waits_for_its_end():
    sound = np.full(RATE, 0.5)
    enhancer = StreamEnhancer({'soft': lambda start: Scaled()})
    found = run(enhancer, sound, [(4096, 'soft'), (4352, OFF), (4608, 'soft')])
    assert len(found) == len(sound) and found[-1] == 0.125
    assert np.abs(np.diff(found)).max() < 1e-3


def test_a_voice_that_ends_within_a_fade_loses_nothing():
    for count in range(8192, 10000, 300):
        sound = np.full(count, 0.5)
        found = run(StreamEnhancer({'soft': lambda start: Scaled()}), sound, [(8192, 'soft')])
        assert len(found) == count


def test_after_the_end_another_voice_begins_afresh():
    enhancer = StreamEnhancer(mode=LSA)
    sound = tone(0.5)
    first = run(enhancer, sound)
    np.testing.assert_array_equal(run(enhancer, sound), first)


def test_a_mode_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match='off, lsa'):
        StreamEnhancer().switch('magic')


@pytest.mark.parametrize(
    ('processor', 'delay'),
    [
        (LsaStream(), LsaConfig().transform.size),
        (MAKERS[VAE](0), PriorStreamConfig().delay),
        (MAKERS[RVAE](0), WITH_MEMORY.delay),
    ],
)
def test_delays_are_what_they_are_said_to_be_and_at_most_160_ms(processor, delay):
    given = 0
    worst = 0
    for count in range(0, RATE, 80):
        worst = max(worst, count - given)
        given += len(processor.push(np.zeros(80)))
    assert worst <= delay + 80 and delay <= 0.16 * RATE


@pytest.mark.parametrize('kind', ['silence', 'clipped', 'a few samples', 'loud after silence'])
def test_odd_streams_are_answered(kind):
    sound = {
        'silence': np.zeros(RATE),
        'clipped': np.clip(50 * tone(1.0), -1, 1),
        'a few samples': tone(0.002),
        'loud after silence': np.concatenate([np.zeros(RATE), tone(0.5)]),
    }[kind]
    for mode in (LSA, VAE, RVAE):
        found = run(StreamEnhancer(MAKERS, mode), sound)
        assert found.shape == sound.shape and np.isfinite(found).all()
        assert np.abs(found).max(initial=0.0) < 2


def test_a_prior_with_a_memory_gives_in_blocks_what_it_gives_at_once():
    """With all of the future in view, blocks end where the whole sequence does."""
    prior = load_prior('rvae')
    power = np.random.default_rng(0).exponential(size=(23, 513)).astype(np.float32)
    whole = prior.decode(prior.encode(power)[0])
    memory = PriorMemory(prior)
    found = [memory.variance(power[k:], min(4, 23 - k)) for k in range(0, 23, 4)]
    np.testing.assert_allclose(np.concatenate(found), whole, rtol=2e-3)


def test_three_frames_of_look_ahead_are_nearly_all_of_the_future():
    """Log variances of a voice, against those with the whole future in view."""
    prior = load_prior('rvae')
    spectra = PRIOR_TRANSFORM.forward(tone(0.6) + 0.1 * tone(0.6, 640.0))
    power = (np.abs(spectra) ** 2).astype(np.float32)
    whole = np.log(prior.decode(prior.encode(power)[0]))
    memory = PriorMemory(prior)
    found = [memory.variance(power[k : k + 5], 2) for k in range(0, len(power) - 5, 2)]
    difference = np.log(np.concatenate(found)) - whole[: 2 * len(found)]
    assert np.median(np.abs(difference)) < 0.1


def test_senseless_settings_are_refused():
    for change in ({'block': 0}, {'rounds': -1}, {'least_gain': 2.0}, {'look_ahead': -1}):
        with pytest.raises(ValueError, match=next(iter(change))):
            PriorStreamConfig(**change)
