# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Voices by sound alone: planted ones, known people, steady noise, and the real recordings."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from av_perception.audio.direction_bins import (
    BinBlock,
    DirectionBins,
    DirectionBinsConfig,
    DirectionLikelihood,
)
from av_perception.audio.direction_grid import direction_grid
from av_perception.audio.direction_mixture import DirectionMixture, DirectionMixtureConfig
from av_perception.audio.directional_noise import DirectionalNoiseConfig
from av_perception.audio.propagation import array_response
from av_perception.audio.steering import GeometricSteering
from av_perception.geometry.rigid_transform import (
    angles_from_direction,
    direction_from_angles,
    wrap_angle,
)
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head
from av_perception.robot_head.profile import MicrophoneArray

RATE = 16000
STEP_NS = 40_000_000
SQUARE = load_head('respeaker').microphones
CONFIG = DirectionBinsConfig()
STEERING = GeometricSteering(SQUARE)
LIKELIHOOD = DirectionLikelihood(STEERING, CONFIG.frequencies)
DATA = Path(
    os.environ.get('AV_PERCEPTION_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data')
)


def at(azimuth_deg, elevation_deg=10.0):
    return direction_from_angles(np.radians(azimuth_deg), np.radians(elevation_deg))


def blocks_of(
    azimuths_deg,
    count,
    rng,
    voice=0.95,
    first=0,
    reverberation=0.5,
    rows=50,
    steering=STEERING,
    array=SQUARE,
):
    """Every row is one voice's, with a diffuse field below it; syllables change the loudness."""
    noise = np.linalg.cholesky(steering.diffuse_coherence(CONFIG.frequencies) + 1e-3 * np.eye(4))
    whitening = DirectionLikelihood(steering, CONFIG.frequencies).whitening
    for index in range(first, first + count):
        bins = np.sort(rng.choice(len(CONFIG.frequencies), rows, replace=False))
        own = rng.choice(len(azimuths_deg), rows, p=rng.dirichlet(np.ones(len(azimuths_deg))))
        heard = array_response(
            array, np.array([at(a) for a in azimuths_deg]), CONFIG.frequencies[bins]
        )
        direct = heard[own, np.arange(rows)][:, None] * complex_normal(rng, rows, 5, 1)
        x = direct + reverberation * np.einsum(
            'fij,ftj->fti', noise[bins], complex_normal(rng, rows, 5, 4)
        )
        white = x @ whitening[bins].swapaxes(1, 2)
        unit = (white / np.linalg.norm(white, axis=2, keepdims=True)).astype(np.complex64)
        yield BinBlock(
            10**9 + index * STEP_NS,
            voice,
            bins,
            unit,
            np.ones((rows, 5), bool),
            np.ones(rows),
            (True,) * 4,
        )


def complex_normal(rng, *shape):
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def mixture(**changes):
    return DirectionMixture(LIKELIHOOD, direction_grid(SQUARE), DirectionMixtureConfig(**changes))


def azimuths(voices):
    return sorted(float(np.degrees(angles_from_direction(voice.direction)[0])) for voice in voices)


def listen(found, blocks, known=None):
    heard = []
    for block in blocks:
        heard.append(found.update(block, known or {}))
    return heard


@pytest.mark.parametrize('truth', [(33,), (-100, -60), (-150, 10, 62)])
def test_planted_voices_are_found_where_they_are(truth):
    heard = listen(mixture(), blocks_of(truth, 50, np.random.default_rng(0)))
    np.testing.assert_allclose(azimuths(heard[-1]), truth, atol=4)
    assert sum(voice.share for voice in heard[-1]) > 0.7
    assert all(len(voices) <= len(truth) for voices in heard)
    first = next(index for index, voices in enumerate(heard) if voices)
    assert first * STEP_NS <= 0.5e9


def test_since_is_when_a_voice_was_first_heard():
    rng = np.random.default_rng(1)
    found = mixture()
    listen(found, blocks_of((40,), 20, rng))
    heard = listen(found, blocks_of((40, -90), 40, rng, first=20))
    old, new = sorted(heard[-1], key=lambda voice: voice.since_ns)
    assert old.since_ns <= 10**9 + 5 * STEP_NS
    assert 10**9 + 20 * STEP_NS <= new.since_ns <= 10**9 + 35 * STEP_NS


def test_the_covariance_says_that_azimuth_is_known_and_height_less_so():
    (voice,) = listen(mixture(), blocks_of((0,), 50, np.random.default_rng(2)))[-1]
    np.testing.assert_allclose(voice.covariance, voice.covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(voice.covariance).min() > 0
    across, up = np.degrees(np.sqrt(np.diag(voice.covariance)[1:]))
    assert across < 6 and across < up


def test_known_people_explain_their_own_voices():
    """Who is known is no birth; a stranger beside is, and the shares say who speaks."""
    rng = np.random.default_rng(3)
    found = mixture()
    known = {7: at(-40), 8: at(120)}
    heard = listen(found, blocks_of((-43, 60), 50, rng), known)
    np.testing.assert_allclose(azimuths(heard[-1]), [60], atol=4)
    assert found.shares[7] > 0.3 > 0.1 > found.shares[8]
    assert all(abs(a - 60) < 6 for voices in heard for a in azimuths(voices))


def test_who_becomes_known_takes_the_past_with_them():
    """No ghost beside a person just born from this very sound."""
    rng = np.random.default_rng(4)
    found = mixture()
    listen(found, blocks_of((60,), 40, rng))
    heard = listen(found, blocks_of((60,), 40, rng, first=40), {1: at(63)})
    assert all(not voices for voices in heard[1:])
    assert found.shares[1] > 0.7


def test_who_walks_on_leaves_nobody_behind():
    """The echo beside a talker became a person once the talker had walked away from it."""
    array = load_head('simulated').microphones
    steering = GeometricSteering(array)
    likelihood = DirectionLikelihood(steering, CONFIG.frequencies)
    found = DirectionMixture(likelihood, direction_grid(array))
    rng = np.random.default_rng(13)

    def talk(azimuths_deg, count, first):
        return blocks_of(azimuths_deg, count, rng, first=first, steering=steering, array=array)

    listen(found, talk((40, 52), 41, 0), {1: at(40)})
    for index in range(41, 75):
        azimuth_deg = max(40 - 5 * (index - 40), 5)
        assert not any(listen(found, talk((azimuth_deg,), 1, index), {1: at(azimuth_deg)})), index


def test_noise_beside_somebody_is_noise_when_they_have_walked_on():
    """What was heard near a known person is nobody's voice, and still tells of noise."""
    rng = np.random.default_rng(15)
    found = mixture()
    listen(found, blocks_of((80,), 75, rng, voice=0.0), {1: at(70)})
    assert not any(listen(found, blocks_of((80,), 60, rng, first=75), {1: at(-60)}))


def test_a_reflection_is_nobody():
    """A fifth of every block comes from the wall behind a talker: never the larger part of any."""
    rng = np.random.default_rng(8)
    found = mixture()
    direct = blocks_of((20,), 60, rng, rows=40)
    for voice, wall in zip(direct, blocks_of((150,), 60, rng, rows=10), strict=True):
        order = np.argsort(np.concatenate([voice.bins, wall.bins]), kind='stable')
        both = (
            np.concatenate(pair)[order]
            for pair in (
                (voice.bins, wall.bins),
                (voice.unit, wall.unit),
                (voice.kept, wall.kept),
                (voice.power, wall.power),
            )
        )
        heard = found.update(BinBlock(voice.stamp_ns, 0.95, *both, voice.live), {})
        assert len(heard) <= 1
    np.testing.assert_allclose(azimuths(heard), [20], atol=4)
    assert len(found._peaks) == 2


def test_what_is_no_voice_is_not_reported():
    """And a voice somewhere else still is."""
    rng = np.random.default_rng(5)
    found = mixture()
    assert not any(listen(found, blocks_of((80,), 60, rng, voice=0.02)))
    mixed = []
    for index in range(60, 140):
        voiced = index % 2 == 0
        place = (80, -30) if voiced else (80,)
        mixed += listen(
            found, blocks_of(place, 1, rng, voice=0.95 if voiced else 0.02, first=index)
        )
    np.testing.assert_allclose(azimuths(mixed[-1]), [-30], atol=4)


def test_a_voice_that_ended_is_forgotten_after_the_window():
    rng = np.random.default_rng(6)
    found = mixture()
    listen(found, blocks_of((80,), 40, rng))
    heard = listen(found, blocks_of((-80,), 100, rng, first=40))
    np.testing.assert_allclose(azimuths(heard[-1]), [-80], atol=4)


def plain_round(found, block, known):
    """Weights (D,), of people and of diffuse sound, and blocks that peaks own, term by term."""
    filled = found._filled
    recent = found._stamp[:filled] >= block.stamp_ns - round(found.config.window_s * 1e9)
    voiced = found._voiced[:filled] * recent
    density = found._density[:filled].astype(float)
    diffuse = found._diffuse_density[:filled].astype(float)
    people = np.array([found._known[i][:filled] for i in known], float).reshape(-1, filled)
    shares = np.array([found.shares[i] for i in known])
    noise = density @ found._noise.weight + found._noise.everywhere * diffuse
    towards = np.array(list(known.values())).reshape(-1, 3)
    density[:, found._grid.near(towards, found.config.known_radius_deg).any(axis=0)] = 0.0
    mixture = density @ found._weight + found.diffuse * diffuse + found.noise_share * noise
    mixture += shares @ people
    weight = found._weight * (voiced / mixture @ density) / voiced.sum()
    shares = shares * (people @ (voiced / mixture)) / voiced.sum()
    return weight, shares, found.diffuse * (diffuse @ (voiced / mixture)) / voiced.sum(), mixture


@pytest.mark.parametrize('known', [{}, {3: at(35), 5: at(-150)}])
def test_a_round_of_em_is_that_of_the_equations(known):
    """In double precision and whole matrices; the memory of 256 bins has been overwritten."""
    rng = np.random.default_rng(9)
    found = mixture(max_bins=256)
    listen(found, blocks_of((40, -90), 20, rng, voice=0.3), known)
    (block,) = blocks_of((40, -90), 1, rng, first=20)
    expected = []
    iterate = found._iterate

    def watched(recent):
        expected.append(plain_round(found, block, known))
        return iterate(recent)

    found._iterate = watched
    found.update(block, known)
    weight, shares, diffuse, inverse = expected[0]
    np.testing.assert_allclose(found._weight, weight, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(list(found.shares.values()), shares, rtol=1e-3, atol=1e-7)
    assert found.diffuse == pytest.approx(diffuse, rel=1e-3)


def test_what_nobody_wants_described_is_heard_all_the_same():
    told = mixture()
    silent = mixture()
    known = {7: at(-90)}
    for block in blocks_of((40, -90), 30, np.random.default_rng(4)):
        voices = told.update(block, known)
        others = silent.update(block, known, describe=False)
        assert azimuths(voices) == azimuths(others)
        assert len(told.newest.ratios) == len(block) and not len(silent.newest.ratios)
    assert voices and silent.shares == told.shares
    np.testing.assert_array_equal(silent._weight, told._weight)


def test_a_peak_dominates_the_blocks_of_which_it_owns_most():
    """Counted block by block; one of them lies at both ends of the memory."""
    rng = np.random.default_rng(10)
    found = mixture(max_bins=256)
    listen(found, blocks_of((40, -90), 21, rng))
    ownerships = []
    iterate = found._iterate
    found._iterate = lambda recent: ownerships.append(iterate(recent)) or ownerships[-1]
    (block,) = blocks_of((40, -90), 1, rng, first=21)
    found.update(block, {})
    recent = np.ones(256, np.float32)
    near = found._near[int(np.argmax(found._weight))]
    weight = near * found._weight
    mine = found._voiced * ownerships[0].inverse * (found._density @ weight)
    total, owned = 0.0, 0.0
    for stamp_ns in np.unique(found._stamp):
        rows = found._stamp == stamp_ns
        total += mine[rows].sum()
        whole = found._voiced[rows].sum()
        if whole >= 8 and mine[rows].sum() > 0.5 * whole:
            owned += mine[rows].sum()
    assert 0 < owned < total
    weights = np.array([weight, np.zeros_like(weight), weight])  # several peaks at once
    dominance = found._dominance(weights, recent, ownerships[0])
    assert dominance == pytest.approx([owned / total, 0.0, owned / total], rel=1e-4)


def test_diffuse_sound_gives_no_direction():
    rng = np.random.default_rng(7)
    found = mixture()
    assert not any(listen(found, blocks_of((0,), 60, rng, reverberation=100.0)))
    assert found.diffuse > 0.5


@pytest.mark.parametrize(
    'points, azimuth_span, lowest',
    [
        (((0, 0.08, 0), (0, -0.08, 0)), 180, 0),
        (((0.03, 0, 0), (0, 0.03, 0), (0, -0.03, 0)), 360, 0),
        (((0.03, 0, 0), (0, 0.03, 0.04), (0, -0.03, 0), (-0.03, 0, 0.02)), 360, -25),
    ],
)
def test_the_grid_holds_what_an_array_can_tell_apart(points, azimuth_span, lowest):
    grid = direction_grid(MicrophoneArray(points))
    np.testing.assert_allclose(np.linalg.norm(grid.directions, axis=1), 1)
    azimuth, elevation = np.degrees(angles_from_direction(grid.directions))
    assert np.ptp(azimuth) >= azimuth_span - 6 and np.ptp(azimuth) <= azimuth_span
    assert elevation.min() == pytest.approx(lowest, abs=1e-6)
    assert (
        grid.near(np.array([[-1.0, 0.01, 0.0]]), 8.0)[0].sum()
        == (np.abs(wrap_angle(grid.azimuth - np.pi + 0.01)) <= np.radians(8)).sum()
    )


def recordings():
    return sorted((DATA / 'array_respeaker4').glob('*/*/*.flac'))


@pytest.mark.skipif(
    not recordings(), reason='AV_PERCEPTION_DATA does not name a folder with array_respeaker4'
)
@pytest.mark.parametrize('file', recordings(), ids=lambda f: '-'.join(f.parts[-3:-1]))
def test_real_recordings_give_every_talker_and_no_ghost(file):
    truth = np.array([float(a) for a in re.findall(r'a(\d+)e\d+', file.parts[-3])])
    sound, _ = soundfile.read(file, dtype='float32', always_2d=True)
    bins = DirectionBins(CONFIG, LIKELIHOOD, RATE)
    found = mixture()
    started = None
    first_ns = None
    for start in range(0, len(sound), 640):
        for block in bins.push(
            AudioChunk(10**9 + round(start * 1e9 / RATE), RATE, start, sound[start : start + 640])
        ):
            voices = found.update(block, {})
            error = np.abs(wrap_angle(np.radians(np.array(azimuths(voices))[:, None] - truth)))
            started = started or (block.stamp_ns if block.voice_activity > 0.5 else None)
            first_ns = first_ns or (block.stamp_ns if voices else None)
            assert (error.min(axis=1) < np.radians(15)).all() if len(voices) else True
    assert len(voices) == len(truth) and (error.min(axis=0) < np.radians(10)).all()
    if len(truth) == 1:
        assert first_ns - started <= 0.7e9


def test_known_noise_is_nobody_and_a_voice_over_it_is_found():
    """A voice over the noise of dishes was missed, or the noise was a second person."""
    random = np.random.default_rng(11)
    found = mixture()
    listen(found, blocks_of((-60,), 75, random, voice=0.0))
    heard = listen(found, blocks_of((-60, 40), 50, random, first=75))
    np.testing.assert_allclose(azimuths(heard[-1]), [40], atol=4)
    assert not any(azimuth < 0 for voices in heard for azimuth in azimuths(voices))


def test_noise_that_goes_on_while_others_talk_is_nobody():
    """Dishes that clattered for a second before the first word became a person beside it.

    The noise is too young to be known, and most of its bins are heard with voice.
    """
    young = DirectionalNoiseConfig(source_share=1.0)
    known = {7: at(40)}
    for careful, expected in ({}, False), ({'min_voice': 0.0}, True):
        random = np.random.default_rng(12)
        found = mixture(noise=young, **careful)
        heard = listen(found, blocks_of((-60,), 25, random, voice=0.0), known)
        heard += listen(found, blocks_of((-60, 40), 50, random, first=25), known)
        assert any(heard) == expected
