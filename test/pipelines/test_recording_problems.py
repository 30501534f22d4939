# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What `track` says of sound and images that it tracks all the same."""

import numpy as np
import pytest

from av_perception.interfaces import AudioChunk, VisualFeatures
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.pipelines.recording_problems import SoundSample, image_problems
from av_perception.robot_head import load_head
from av_perception.simulation.cache import simulated_recording
from av_perception.vision.front_end import COUNTED

MICROPHONES = load_head('respeaker').microphones


@pytest.mark.parametrize(
    'gains, words',
    [
        ([1, 1, 1, 1], []),
        ([1, 1, 0, 1], ['channel 2 is dead']),
        ([1, 0.01, 1, 1], ['channel 1 is 40 dB quieter']),
        ([0, 0, 0, 0], ['the recording is silent']),
    ],
)
def test_a_dead_or_quiet_channel_was_tracked_without_a_word(gains, words):
    noise = np.random.default_rng(0).normal(0.0, 0.1, (32000, 4)) * gains
    sample = SoundSample(MICROPHONES)
    for first in range(0, 32000, 256):
        sample.take(AudioChunk(10**9, 16000, first, noise[first : first + 256]))
    problems = sample.problems
    assert len(problems) == len(words)
    assert all(word in problem for word, problem in zip(words, problems))


def test_half_a_minute_of_sound_is_kept():
    sample = SoundSample(MICROPHONES)
    for first in range(0, 60 * 16000, 16000):
        sample.take(AudioChunk(10**9, 16000, first, np.zeros((16000, 4), np.float32)))
    assert sample.length_s == 30.0


@pytest.mark.parametrize(
    'changes, words',
    [
        ({}, ''),
        ({'upside_down': 2}, ''),
        ({'upside_down': 12, 'faces': 1}, 'upside down'),
        ({'over_exposed': 40}, 'lower the exposure'),
        ({'noise': 90}, 'is it dark'),
        ({'too_many': 7}, '7 faces were left out: of each image the best 20'),
    ],
)
def test_a_camera_upside_down_was_taken_for_one_without_faces(changes, words):
    problems = image_problems(dict.fromkeys(COUNTED, 0) | {'images': 100, 'faces': 100} | changes)
    assert len(problems) == bool(words) and words in ''.join(problems)


@pytest.mark.parametrize(('ahead_s', 'word'), [(0.0, ''), (1.7e9, 'different clocks')])
def test_a_recording_whose_images_count_from_another_moment_was_deaf_without_a_word(ahead_s, word):
    """Regression: a camera since 1970 beside sound since the start left counters alone."""
    recording = simulated_recording('short')
    pipeline = OfflinePipeline(recording)
    size = recording.sample_rate // 25
    for number in range(20):
        start_ns = START_NS + number * 40_000_000
        samples = recording.read_audio(number * size, size)
        pipeline.hear(AudioChunk(start_ns, recording.sample_rate, number * size, samples))
        pipeline.take_visual(VisualFeatures(start_ns + round(1e9 * ahead_s), ()))
        pipeline.poll(start_ns)
    pipeline.flush()
    problems = [p for p in pipeline.problems if 'without sound' in p]
    assert len(problems) == bool(word) and word in ''.join(problems)
