# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Played sound reaches to the end of the recording, so that no image waits for it in vain."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, VisualFeatures
from av_perception.nodes.microphone_array import _pieces
from av_perception.robot_head import load_head
from av_perception.synchronization.block_queue import BlockQueue
from av_perception.synchronization.frame_assembler import FrameAssembler

RATE = 16000
SIZE = 256
START_NS = 10**9


def source(num_samples):
    samples = np.random.default_rng(1).normal(0, 0.1, (num_samples, 4)).astype(np.float32)
    return SimpleNamespace(
        num_samples=num_samples,
        sample_rate=RATE,
        read_audio=lambda start, count: samples[start : start + count],
        samples=samples,
    )


@pytest.mark.parametrize('num_samples', [480000, 480255, 15872, 100, 0])
def test_every_sample_is_played_once(num_samples):
    """Regression: up to 16 ms at the end were left out, which the offline pipeline hears."""
    played = source(num_samples)
    pieces = list(_pieces(played, SIZE))
    assert [first for first, _ in pieces] == list(range(0, num_samples, SIZE))
    assert all(len(samples) == SIZE for _, samples in pieces[:-1])
    together = np.concatenate([samples for _, samples in pieces] or [np.zeros((0, 4))])
    np.testing.assert_array_equal(together, played.samples)


def test_no_image_to_the_end_waits_for_sound_that_cannot_come():
    """Late images at the end of a run looked like sound that ends early: it does not.

    Sound of 2.0 s and 255 samples, images to the end of the sound: when all has come, the sound
    of every image is decided, by features and by bins.
    """
    head = load_head('simulated')
    features = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE)
    bins = BinStream(direction_likelihood(head.microphones), RATE)
    played = source(2 * RATE + 255)
    assembler = FrameAssembler()
    blocks = BlockQueue()
    for first, samples in _pieces(played, SIZE):
        chunk = AudioChunk(START_NS + nanoseconds(first / RATE), RATE, first, samples)
        for found in features.push(chunk):
            assembler.push_audio(found, 0)
        blocks.push(bins.push(chunk))
    stamps = [START_NS + k * 40_000_000 for k in range(50)]
    for stamp_ns in stamps:
        assembler.push_visual(VisualFeatures(stamp_ns, ()), 0)
    frames = assembler.poll(0)  # at once: nothing has waited
    assert [stamp for stamp, _, _ in frames] == stamps
    assert not assembler.is_waiting
    assert all(blocks.is_decided(stamp) for stamp in stamps)
