# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings of every sample rate are tracked to their end."""

import numpy as np
import pytest
import soundfile
import yaml

from av_perception.pipelines.full import OfflinePipeline
from av_perception.recording import Recording


@pytest.mark.parametrize('rate', [44100, 22050, 16000])
def test_sound_whose_chunks_are_no_whole_milliseconds_comes_to_an_end(tmp_path, rate):
    """706 samples of 44.1 kHz last longer than the 16 ms for which the run waited."""
    (tmp_path / 'recording.yaml').write_text(
        yaml.safe_dump({'head': 'respeaker', 'sample_rate': rate})
    )
    noise = np.random.default_rng(0).normal(0.0, 0.01, (rate, 4))
    soundfile.write(tmp_path / 'audio.wav', noise, rate)
    fractions = []

    def note(fraction):
        fractions.append(fraction)
        assert len(fractions) < 200, f'stands still at {fraction:.2f}'

    frames = OfflinePipeline(Recording.open(tmp_path)).run(note)
    assert fractions[-1] == 1.0
    assert len(frames) >= 23  # one each 40 ms, but for the edges
