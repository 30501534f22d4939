# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording to moments to learn lips from: who, when, and with which sound."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.pipelines.full import START_NS
from av_perception.pipelines.lip_recordings import examples_of
from av_perception.recording.mouth_files import read_mouths
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow


def test_people_of_a_recording_come_with_their_own_sound_and_mouths():
    recording = simulated_recording('short')
    examples, lost = examples_of(recording, 'short')
    assert examples, lost
    channel = recording.read_audio(0, recording.num_samples)[:, 0]
    for example in examples:
        assert example.name.startswith('short, person ')
        stamps_ns = [stamp_ns for stamp_ns, _ in example.mouths]
        assert (np.diff(stamps_ns) > 0).all() and example.mouths[0][1].reliability > 0
        for stretch in example.stretches:
            first = round((stretch.start_ns - START_NS) * 16e-6)
            assert np.array_equal(stretch.samples, channel[first : first + len(stretch.samples)])
            truth = recording.truth
            inside = (truth.time_s * 1e9 + START_NS >= stretch.start_ns) & (
                truth.time_s * 1e9 + START_NS <= stretch.start_ns + len(stretch.samples) * 62500
            )
            speakers = np.unique(truth.id[inside & truth.speaking])
            assert len(speakers) == 1, 'alone'


def test_track_writes_the_mouths_of_everybody(tmp_path):
    from av_perception.cli.main import main

    folder = simulated_recording('short').folder
    words = ['track', str(folder), '-o', str(tmp_path / 'tracks.csv')]
    assert main([*words, '--mouths', str(tmp_path / 'mouths')]) == 0
    files = sorted((tmp_path / 'mouths').iterdir())
    assert len(files) == 2
    for path in files:
        mouths = read_mouths(path)
        assert len(mouths) > 20 and mouths[0][1].mouth.std() > 5
