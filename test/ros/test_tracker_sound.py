# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The tracker hears for itself: live as offline, whatever comes first, and without the sound."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import yaml
from av_perception_msgs.msg import AudioChunk, AudioFeatures, TrackArray

from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.interfaces import AudioChunk as Chunk
from av_perception.nodes.tracker import TrackerNode
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording
from av_perception.ros.conversions import (
    audio_chunk_to_msg,
    audio_features_to_msg,
    track_frame_from_msg,
)
from av_perception.simulation.cache import simulated_recording

RATE, SIZE, SECONDS = 16000, 512, 3.0
INPUTS = {'audio': AudioChunk, 'audio_features': AudioFeatures}


@pytest.fixture(scope='module')
def sound():
    """Samples of a scene with two talkers."""
    return simulated_recording('short').read_audio(0, round(SECONDS * RATE))


def chunks(sound):
    for first in range(0, len(sound), SIZE):
        stamp_ns = START_NS + round(first * 1e9 / RATE)
        yield Chunk(stamp_ns, RATE, first, sound[first : first + SIZE])


def send(b, sound, features_first):
    """The sound and its features, as two nodes would."""
    front_end = AudioFrontEnd(AudioFrontEndConfig(), sound.shape[1], RATE)
    for chunk in chunks(sound):
        features = [audio_features_to_msg(f, 'microphone_array') for f in front_end.push(chunk)]
        if features_first:
            b.send('audio_features', *features)
        b.send('audio', audio_chunk_to_msg(chunk, 'microphone_array'))
        if not features_first:
            b.send('audio_features', *features)


def by_stamp(frames):
    return {f.stamp_ns: {t.id: t.mean[:3] for t in f.tracks} for f in frames}


@pytest.mark.slow
@pytest.mark.parametrize('features_first', [False, True])
def test_the_node_hears_what_the_pipeline_hears(bench, sound, tmp_path, features_first):
    soundfile.write(tmp_path / 'audio.wav', sound, RATE, subtype='FLOAT')
    description = {'head': 'simulated', 'sample_rate': RATE, 'audio_start': 0.0}
    (tmp_path / 'recording.yaml').write_text(yaml.safe_dump(description))
    pipeline = OfflinePipeline(Recording.open(tmp_path))
    offline = by_stamp(frame for frame, _ in pipeline.run())
    b = bench(TrackerNode, INPUTS, ('tracks', TrackArray))
    b.stop_time()
    send(b, sound, features_first)
    assert b.until(lambda: len(b.heard) >= len(offline) - 2)
    live = by_stamp(track_frame_from_msg(message) for message in b.heard)
    assert set(live) <= set(offline)
    assert any(live.values()), 'somebody was heard'
    for stamp_ns, tracks in live.items():
        assert set(tracks) == set(offline[stamp_ns])
        for i, place in tracks.items():
            np.testing.assert_allclose(place, offline[stamp_ns][i], atol=1e-3)


@pytest.mark.slow
def test_features_without_sound_still_give_people(bench, sound):
    """A bag without `audio`: nothing waits for bins that never come."""
    b = bench(TrackerNode, INPUTS, ('tracks', TrackArray))
    front_end = AudioFrontEnd(AudioFrontEndConfig(), sound.shape[1], RATE)
    features = [f for chunk in chunks(sound) for f in front_end.push(chunk)]
    b.send('audio_features', *(audio_features_to_msg(f, 'microphone_array') for f in features))
    assert b.until(lambda: any(message.tracks for message in b.heard))
