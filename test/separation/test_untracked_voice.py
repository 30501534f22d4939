# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who talks without a track is in nobody's stream, and nobody tracked pays for it."""

from dataclasses import replace

import numpy as np
import pytest
from planted_voices import (
    RATE,
    SQUARE,
    START_NS,
    chunks_of,
    frames_of,
    planted_voices,
)

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.direction_bins import DirectionBinsConfig
from av_perception.audio.direction_grid import direction_grid
from av_perception.audio.steering import GeometricSteering
from av_perception.geometry.rigid_transform import RigidTransform, direction_from_angles
from av_perception.robot_head.profile import MicrophoneArray
from av_perception.separation.person_streams import PersonStreams, PersonStreamsConfig
from av_perception.separation.untracked_voice import (
    UntrackedVoice,
    UntrackedVoiceConfig,
    pair_ratios,
)

FOREVER = PersonStreamsConfig(track_wait_s=np.inf)
# Evidence that nobody has: nobody without a track is heard.
DEAF = replace(FOREVER, untracked=UntrackedVoiceConfig(threshold=1e9, limit=1e9))
BINS = DirectionBinsConfig(voice_activity=False)


def towards(azimuth_deg):
    return direction_from_angles(np.radians(azimuth_deg), 0.0)


class Ear:
    """Blocks of planted sound, heard beside people in known azimuths."""

    def __init__(self, array=SQUARE, config=None):
        self.likelihood = direction_likelihood(array, BINS)
        grid = direction_grid(array, 10.0, (10.0,))
        self.voice = UntrackedVoice(self.likelihood, grid, config)

    def blocks(self, sound):
        stream = BinStream(self.likelihood, RATE, BINS)
        return [block for chunk in chunks_of(sound) for block in stream.push(chunk)]

    def hear(self, blocks, tracked_deg):
        """Azimuth [deg] of who talks after every block; NaN: nobody."""
        people = np.array([towards(azimuth) for azimuth in tracked_deg])
        found = []
        for block in blocks:
            steering = self.likelihood.whitened_steering(people, block.bins)
            ratios = self.likelihood.ratios_of_rows(block, steering)
            self.voice.update(block, ratios, people, steering)
            direction = self.voice.direction
            heard = np.nan if direction is None else np.arctan2(direction[1], direction[0])
            found.append(np.degrees(heard))
        return np.array(found)


def stream_levels_db(pieces, sound, part):
    """Level of every stream in a part, over that of the first microphone there [dB]."""
    found = {}
    for piece in pieces:
        stream = found.setdefault(piece.id, np.zeros(len(sound)))
        first = piece.chunk.first_sample
        stream[first : first + len(piece.chunk.samples)] = piece.chunk.samples[:, 0]
    own = sound[part, 0].std()
    return {key: 20 * np.log10(one[part].std() / own + 1e-9) for key, one in found.items()}


def separated(sound, azimuths_deg, config=FOREVER):
    """Pieces of the streams of people (by id: azimuth) who sit still."""
    streams = PersonStreams(SQUARE, RATE, config)
    pieces = []
    for frame in frames_of(azimuths_deg, len(sound) // 640 + 4):
        pieces += streams.follow(frame, RigidTransform())
    for chunk in chunks_of(sound):
        pieces += streams.push(chunk)
    return pieces + streams.flush()


@pytest.mark.slow
def test_who_talks_without_a_track_is_in_nobodys_stream():
    """Two are tracked and have talked; then somebody talks 40 degrees from the nearer one."""
    turns = [(0.3, 1.1), (1.1, 1.9), (2.0, 3.4)]
    sound = planted_voices([35.0, -35.0, -75.0], turns, 3.5, seed=4)
    people = {4: 35.0, 7: -35.0}
    settled = slice(round(2.15 * RATE), round(3.35 * RATE))
    levels = stream_levels_db(separated(sound, people), sound, settled)
    assert levels.keys() == people.keys()
    assert max(levels.values()) < -12.0
    before = stream_levels_db(separated(sound, people, DEAF), sound, settled)
    assert max(before.values()) > -3.0, 'the nearer one had it'


@pytest.mark.slow
def test_no_stream_begins_with_the_words_of_somebody_without_a_track():
    sound = planted_voices([70.0], [(0.2, 1.3)], 1.5)
    assert {piece.id for piece in separated(sound, {4: 35.0}, DEAF)} == {4}
    assert separated(sound, {4: 35.0}) == []


@pytest.mark.slow
def test_who_is_tracked_is_as_loud_while_somebody_without_a_track_was_heard():
    """A stranger has talked, and is remembered, when those who are tracked talk."""
    turns = [(0.9, 1.6), (1.6, 2.4), (0.2, 0.8)]
    sound = planted_voices([35.0, -35.0, 150.0], turns, 2.5, seed=6)
    people = {4: 35.0, 7: -35.0}
    found = separated(sound, people)
    before = separated(sound, people, DEAF)
    for key, (start, end) in zip(people, turns, strict=False):
        part = slice(round((start + 0.1) * RATE), round((end - 0.05) * RATE))
        gain_db = stream_levels_db(found, sound, part)[key]
        assert abs(gain_db - stream_levels_db(before, sound, part)[key]) < 0.1


@pytest.mark.slow
def test_tracks_that_are_six_degrees_wrong_keep_their_voices():
    turns = [(0.2, 1.5), (0.8, 2.1)]
    sound = planted_voices([35.0, -35.0], turns, 2.4, seed=5)
    wrong = {4: 41.0, 7: -29.0}
    part = slice(round(0.3 * RATE), round(2.0 * RATE))
    found = stream_levels_db(separated(sound, wrong), sound, part)
    before = stream_levels_db(separated(sound, wrong, DEAF), sound, part)
    for key in wrong:
        assert abs(found[key] - before[key]) < 0.3


def test_somebody_is_found_within_three_blocks_and_forgotten_after_a_while():
    ear = Ear(config=UntrackedVoiceConfig(hold_s=0.4))
    blocks = ear.blocks(planted_voices([-60.0], [(0.5, 1.2)], 2.2))
    found = ear.hear(blocks, [35.0])
    times = np.array([block.stamp_ns - START_NS for block in blocks]) * 1e-9
    assert np.isnan(found[times < 0.45]).all()
    heard = (times > 0.65) & (times < 1.2)
    np.testing.assert_allclose(found[heard], -60.0, atol=11.0)
    assert np.isnan(found[times > 1.2 + 0.4 + 0.4]).all()


def test_a_track_takes_the_place_of_who_had_none():
    ear = Ear()
    blocks = ear.blocks(planted_voices([-60.0], [(0.2, 1.2)], 1.2))
    assert not np.isnan(ear.hear(blocks[:20], [35.0])[-1])
    assert np.isnan(ear.hear(blocks[20:], [35.0, -50.0])).all()


@pytest.mark.parametrize('error_deg', [0.0, 6.0, -12.0])
def test_people_whose_tracks_are_wrong_are_nobody_else(error_deg):
    ear = Ear()
    blocks = ear.blocks(planted_voices([35.0, -35.0], [(0.1, 1.5), (0.6, 2.0)], 2.0))
    found = ear.hear(blocks, [35.0 + error_deg, -35.0 + error_deg])
    assert np.isnan(found).all()


@pytest.mark.parametrize('error_deg', [0.0, 12.0, -12.0])
def test_two_microphones_do_not_find_the_mirror_image_of_who_is_tracked(error_deg):
    """Who sits behind is heard in front as well, and nobody is there."""
    pair = MicrophoneArray(((0.0, 0.05, 0.0), (0.0, -0.05, 0.0)))
    ear = Ear(pair)
    random = np.random.default_rng(1)
    dry = np.fft.rfft(random.standard_normal(RATE) * (np.arange(RATE) // 1600 % 2))
    advance = pair.positions @ towards(150.0) / 343.0
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(RATE, 1 / RATE)[:, None] * advance)
    sound = np.fft.irfft(dry[:, None] * phase, RATE, axis=0)
    sound = (0.05 * sound + 1e-4 * random.standard_normal(sound.shape)).astype(np.float32)
    blocks = ear.blocks(sound)
    assert np.isnan(ear.hear(blocks, [150.0 + error_deg])).all()
    assert np.nanmax(ear.hear(blocks, [-60.0])) == pytest.approx(30.0, abs=11.0)


def test_evidence_is_what_the_people_do_not_explain():
    """One block, against the sum written out bin by bin."""
    ear = Ear()
    blocks = ear.blocks(planted_voices([-60.0], [(0.1, 0.8)], 0.8))
    block = max(blocks, key=len)
    people = np.array([towards(35.0), towards(100.0)])
    steering = ear.likelihood.whitened_steering(people, block.bins)
    ratios = ear.likelihood.ratios_of_rows(block, steering)
    pairs = pair_ratios(block, steering)
    config = UntrackedVoiceConfig(threshold=1e8, limit=1e9, share=0.3)
    voice = UntrackedVoice(ear.likelihood, direction_grid(SQUARE, 10.0, (10.0,)), config)
    voice.update(block, ratios, people, steering)
    grid = direction_grid(SQUARE, 10.0, (10.0,)).directions
    for index in range(0, len(grid), 5):
        own = ear.likelihood.ratios_towards(block, grid[index : index + 1])[:, 0]
        total = 0.0
        for row in range(len(block)):
            explained = max(0.0, ratios[row].max(), pairs[row].max())
            total += np.log(0.7 + 0.3 * np.exp(float(own[row]) - explained))
        azimuth = np.degrees(np.arctan2(grid[index, 1], grid[index, 0]))
        is_near = min(abs(azimuth - 35.0), abs(azimuth - 100.0)) <= 25.0
        expected = 0.0 if is_near else max(0.0, total)
        assert voice._evidence[index] == pytest.approx(expected, abs=1e-2)


def test_time_that_runs_backward_begins_anew():
    ear = Ear()
    blocks = ear.blocks(planted_voices([-60.0], [(0.1, 1.5)], 1.5))
    assert not np.isnan(ear.hear(blocks[-10:], [35.0])[-1])
    early = replace(blocks[0], stamp_ns=blocks[0].stamp_ns - 5 * 10**9)
    assert np.isnan(ear.hear([early], [35.0])[-1])


@pytest.mark.parametrize(
    'wrong',
    [
        {'share': 0.0},
        {'share': float('nan')},
        {'threshold': 0.0},
        {'limit': 1.0},
        {'memory_s': 0.0},
        {'hold_s': -1.0},
        {'near_deg': float('nan')},
        {'alike': 1.5},
    ],
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        UntrackedVoiceConfig(**wrong)


def test_two_who_sound_at_once_have_the_density_of_both():
    """Against determinants and inverses of the scatter matrices, row by row."""
    ear = Ear()
    block = max(ear.blocks(planted_voices([-60.0], [(0.1, 0.5)], 0.5)), key=len)
    people = np.array([towards(35.0), towards(100.0), towards(-20.0)])
    steering = ear.likelihood.whitened_steering(people)
    found = pair_ratios(block, steering[block.bins])
    vectors = GeometricSteering(SQUARE).vectors(people, BINS.frequencies)[:, block.bins]
    for pair, (n, m) in enumerate([(0, 1), (0, 2), (1, 2)]):
        for row in range(0, len(block), 7):
            white = ear.likelihood.whitening[block.bins[row]] @ vectors[[n, m], row].T  # (4, 2)
            scatter = np.eye(4) + 2.0 * white @ white.conj().T
            frames = block.unit[row][block.kept[row]]
            forms = np.einsum('ti,ij,tj->t', frames.conj(), np.linalg.inv(scatter), frames).real
            log_density = -np.linalg.slogdet(scatter)[1] - 4 * np.mean(np.log(forms))
            assert found[row, pair] == pytest.approx(log_density, abs=2e-3)
