# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker and bins of direction: several voices at once, noise, turning heads, no bins."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from av_perception.audio.bin_stream import direction_likelihood
from av_perception.audio.direction_bins import BinBlock, DirectionBinsConfig
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.audio.propagation import array_response
from av_perception.benchmarks.hearing_trials import real_recordings
from av_perception.benchmarks.noise_sounds import START_NS
from av_perception.geometry.rigid_transform import direction_from_angles, wrap_angle
from av_perception.pipelines.full import OfflinePipeline
from av_perception.recording import Recording
from av_perception.robot_head import load_head
from av_perception.tracking.state_space.interface import LinearMap
from av_perception.tracking.tracker import Tracker
from av_perception.tracking.tracker_config import SUBBANDS, TrackerConfig
from av_perception.tracking.voice_directions import VoiceDirections, VoiceDirectionsConfig

HEAD = load_head('respeaker')
ARRAY = HEAD.microphones
LIKELIHOOD = direction_likelihood(ARRAY)
FREQUENCIES = DirectionBinsConfig().frequencies
STEP_NS, ROWS = 40_000_000, 50
DATA = Path(
    os.environ.get('AV_PERCEPTION_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data')
)


@pytest.fixture(scope='module')
def acoustic_map():
    return head_map(ARRAY, AcousticMapConfig(), AudioFrontEndConfig())


def toward(azimuth_deg):
    return direction_from_angles(np.radians(azimuth_deg), np.radians(10.0))


def planted(azimuths_deg, count, random, first=0, voice=0.95):
    """Blocks whose rows are one voice's each, over a diffuse field, the voices equally loud."""
    noise = np.linalg.inv(LIKELIHOOD.whitening)
    for index in range(first, first + count):
        bins = np.sort(random.choice(len(FREQUENCIES), ROWS, replace=False))
        directions = np.array([toward(a) for a in azimuths_deg])
        heard = array_response(ARRAY, directions, FREQUENCIES[bins])
        owner = random.choice(len(azimuths_deg), ROWS, p=random.dirichlet([1] * len(directions)))
        steering = heard[owner, np.arange(ROWS)][:, None]
        direct = steering * normal(random, ROWS, 5, 1)
        diffuse = np.einsum('fij,ftj->fti', noise[bins], normal(random, ROWS, 5, 4))
        white = (direct + 0.5 * diffuse) @ LIKELIHOOD.whitening[bins].swapaxes(1, 2)
        unit = (white / np.linalg.norm(white, axis=2, keepdims=True)).astype(np.complex64)
        kept = np.ones((ROWS, 5), bool)
        stamp_ns = START_NS + index * STEP_NS
        yield BinBlock(stamp_ns, voice, bins, unit, kept, np.ones(ROWS), (True,) * 4)


def normal(random, *shape):
    return random.normal(size=shape) + 1j * random.normal(size=shape)


def azimuths(frame):
    return sorted(float(np.degrees(np.arctan2(t.mean[1], t.mean[0]))) for t in frame.tracks)


def run(tracker, blocks):
    return [tracker.step(block.stamp_ns, None, None, blocks=[block]) for block in blocks]


@pytest.mark.slow
def test_two_who_talk_at_once_are_two_people_and_stay_where_they_are(acoustic_map):
    """Sub-bands drew both to the average direction."""
    tracker = Tracker(TrackerConfig(), HEAD, acoustic_map)
    frames = run(tracker, planted((-30, 25), 150, np.random.default_rng(0)))
    np.testing.assert_allclose(azimuths(frames[-1]), (-30, 25), atol=5)
    assert all(len(frame.tracks) <= 2 for frame in frames)
    assert len({track.id for frame in frames for track in frame.tracks}) == 2


@pytest.mark.slow
def test_who_is_only_heard_is_followed(acoustic_map):
    """One person, though the voice walks through 60 degrees in 6 s."""
    random = np.random.default_rng(1)
    tracker = Tracker(TrackerConfig(), HEAD, acoustic_map)
    ids = set()
    for index in range(200):
        azimuth = 30.0 + 60.0 * np.clip((index - 50) / 150, 0, 1)
        (frame,) = run(tracker, planted((azimuth,), 1, random, first=index))
        ids |= {track.id for track in frame.tracks}
    assert ids == {1}
    np.testing.assert_allclose(azimuths(frame), [90], atol=10)


def test_what_is_no_voice_is_nobody(acoustic_map):
    tracker = Tracker(TrackerConfig(), HEAD, acoustic_map)
    frames = run(tracker, planted((60,), 60, np.random.default_rng(2), voice=0.1))
    assert not any(frame.tracks for frame in frames)


def test_without_bins_or_by_choice_sub_bands_decide(acoustic_map):
    random = np.random.default_rng(3)
    tracker = Tracker(TrackerConfig(sound_births=SUBBANDS), HEAD, acoustic_map)
    assert not any(frame.tracks for frame in run(tracker, planted((60,), 60, random)))
    with pytest.raises(ValueError, match='sound_births'):
        TrackerConfig(sound_births='ears')


def ears(*known_deg):
    """Directions of tracks as the state space gives them."""
    value = np.array([toward(a) for a in known_deg]).reshape(-1, 3)
    matrix = np.tile(np.eye(3), (len(value), 1, 1))
    directions = LinearMap(value, matrix, np.ones(len(value), bool))
    return np.arange(len(value)), directions, np.zeros(len(value))


def test_a_voice_between_two_people_is_theirs():
    """22 degrees from each: the average of two who speak at once was born as a third."""
    random = np.random.default_rng(4)
    voices = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    for block in planted((0,), 60, random):
        close = voices.observe([block], *ears(-22, 22), np.eye(3))
        assert not close.strangers
    free = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    for block in planted((0,), 60, random):
        far = free.observe([block], *ears(-50, 50), np.eye(3))
    assert len(far.strangers) == 1


def test_the_observed_direction_pulls_to_the_voice():
    voices = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    ids, directions, awake = ears(40, -90)
    pulls = []
    for block in planted((46,), 40, np.random.default_rng(5)):
        heard = voices.observe([block], ids, directions, awake, np.eye(3))
        if heard.precision[0].any():
            pulls.append(np.degrees(np.arctan2(heard.observed[0, 1], heard.observed[0, 0])))
    assert 42 < np.mean(pulls) < 48
    assert heard.share[0] > 0.3 > heard.share[1]
    precision, vector = heard.information(directions)
    assert (np.linalg.eigvalsh(precision[0]) > -1e-9).all() and np.isfinite(vector).all()
    assert not precision[1].any() and not vector[1].any(), 'who is silent is not moved'


def test_who_is_not_sought_is_a_known_voice_and_nothing_more():
    """The others, and the strangers, are what they are for everybody."""
    everybody = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    some = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    ids, directions, awake = ears(40, -60)
    sought = np.array([False, True])
    for block in planted((42, -58, 150), 60, np.random.default_rng(11)):
        whole = everybody.observe([block], ids, directions, awake, np.eye(3))
        part = some.observe([block], ids, directions, awake, np.eye(3), sought)
    assert whole.precision.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(part.observed[1], whole.observed[1])
    np.testing.assert_array_equal(part.precision[1], whole.precision[1])
    assert not part.precision[0].any() and part.share[0] == 0 and part.share[1] == whole.share[1]
    (stranger,), (expected,) = part.strangers, whole.strangers
    np.testing.assert_array_equal(stranger.direction, expected.direction)


def test_a_voice_near_where_a_sleeper_may_be_is_the_sleepers():
    """Who walked on in silence got a second id."""
    random = np.random.default_rng(8)
    ids, directions, awake = ears(100, -60)
    asleep = np.radians([25.0, 0.0])
    for std, expected in ((asleep, 0), (awake, 1)):
        voices = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
        for block in planted((68,), 40, random):
            heard = voices.observe([block], ids, directions, std, np.eye(3))
        assert len(heard.strangers) == expected
        assert heard.precision[0].any() == (expected == 0)
    assert not heard.precision[1].any()


def test_known_noise_is_no_voice_however_the_detector_errs():
    random = np.random.default_rng(6)
    voices = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    for block in planted((80,), 75, random, voice=0.0):
        voices.observe([block], *ears(), np.eye(3))
    for block in planted((80,), 60, random, first=75):
        assert not voices.observe([block], *ears(), np.eye(3)).strangers


def test_a_head_that_turned_forgets_where_it_heard():
    """Otherwise the old direction would be a voice in the new axes."""
    random = np.random.default_rng(7)
    voices = VoiceDirections(VoiceDirectionsConfig(), ARRAY)
    for block in planted((80,), 40, random):
        heard = voices.observe([block], *ears(), np.eye(3))
    assert heard.strangers
    cosine, sine = np.cos(np.radians(30)), np.sin(np.radians(30))
    turned = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    (block,) = planted((50,), 1, random, first=41)
    assert not voices.observe([block], *ears(), turned).strangers


def trials():
    return list(real_recordings(DATA))


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / 'array_respeaker4').is_dir(),
    reason='AV_PERCEPTION_DATA does not name a folder with array_respeaker4',
)
@pytest.mark.parametrize('index', range(9))
def test_real_recordings_give_every_talker_live_and_no_ghost(index, tmp_path):
    import soundfile
    import yaml

    trial = trials()[index]
    soundfile.write(tmp_path / 'audio.wav', trial.sound, 16000, subtype='FLOAT')
    description = {'head': 'respeaker', 'sample_rate': 16000, 'audio_start': 0.0}
    (tmp_path / 'recording.yaml').write_text(yaml.safe_dump(description))
    frames = [frame for frame, _ in OfflinePipeline(Recording.open(tmp_path)).run()]
    truth = np.radians(trial.azimuths_deg)
    for frame in frames:
        heard = np.radians(np.array(azimuths(frame)))
        error = np.abs(wrap_angle(heard[:, None] - truth))
        assert (error.min(axis=1) < np.radians(15)).all(), 'a ghost'
    assert len(heard) == len(truth)
    assert (error.min(axis=0) < np.radians(10)).all()
