# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Streams of people who cross: planted streams are scored, the command prints what it counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

from av_perception.benchmarks import crossing_voices
from av_perception.benchmarks.crossing_voices import (
    CrossingVoices,
    live_streams,
    score_streams,
    tracked,
    true_directions,
)
from av_perception.cli.benchmarks import crossing_voices as command
from av_perception.cli.main import main
from av_perception.evaluation.voice_owners import in_one_line
from av_perception.recording.source_sounds import SourceSounds
from av_perception.robot_head import load_head
from av_perception.simulation.crossings import CROSSINGS, crossing

RATE = 16000


def test_swapped_streams_are_counted():
    random = np.random.default_rng(1)
    first, second = random.standard_normal((2, 8 * RATE))
    parts = SourceSounds({1: first[:, None], 5: second[:, None]}, {}, np.zeros((8 * RATE, 1)))
    late = np.arange(8 * RATE) >= 5 * RATE
    streams = {3: np.where(late, second, first), 4: second}
    directions = np.tile(np.eye(3)[:2], (31, 1, 1))
    found = score_streams('before', 7, streams, first + second, parts, directions)
    assert (found.streams, found.swaps, found.shared, found.passed_on) == (2, 1, 0, 1)
    assert found.minutes == pytest.approx(8 / 60)
    # In the window of the change the stream is half of each.
    assert found.windows in (61, 62) and found.wrong in (11, 12)
    directions[18:] = np.eye(3)[0]
    found = score_streams('before', 7, streams, first + second, parts, directions)
    assert (found.swaps, found.wrong, found.passed_on) == (0, 0, 0) and found.shared > 10


def test_directions_are_those_of_the_walks():
    """In the middle of a hiding both are in one line, at its end they are not."""
    head = load_head(crossing_voices.HEAD)
    camera = head.camera
    walks = crossing('stop_hidden', 1000, camera)
    hidden_s = np.mean([row[0] for row in walks.paths[1]][2:4])
    times = np.array([hidden_s, walks.duration_s])
    directions = true_directions('stop_hidden', 1000, head, times)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=2), 1.0)
    found = in_one_line(directions)
    assert found[0, 0, 1] and not found[1, 0, 1]


@pytest.mark.slow
def test_a_stranger_has_another_stream_than_who_left():
    """Faces are described, as in the benchmark of crossings: by place alone they are one."""
    frames = tracked('stranger', 1000, load_head(crossing_voices.HEAD))
    seen = {track.id for frame in frames for track in frame.tracks if track.seen}
    assert len(seen) == 3


@pytest.mark.slow
def test_ids_of_the_tracker_are_those_of_the_streams():
    """A voice from where the tracker sees somebody comes out of that track's stream."""
    head = load_head(crossing_voices.HEAD)
    frames = tracked('behind', 1000, head)[:75]
    track = frames[30].tracks[0]
    array = head.microphones
    towards = array.base_from_array.inverse().apply(track.mean[:3])
    advance = array.positions @ (towards / np.linalg.norm(towards)) / 343.0
    random = np.random.default_rng(2)
    count = 3 * RATE
    voice = random.standard_normal(count) * (np.arange(count) // 1600 % 3 < 2)
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(count, 1 / RATE)[:, None] * advance)
    sound = np.fft.irfft(np.fft.rfft(voice)[:, None] * phase, count, axis=0)
    samples = (0.05 * sound + 1e-4 * random.standard_normal(sound.shape)).astype(np.float32)
    streams = live_streams(samples, frames, head)
    part = slice(16000, 28000)
    powers = {key: np.mean(stream[part] ** 2) for key, stream in streams.items()}
    assert max(powers, key=powers.get) == track.id
    assert np.corrcoef(streams[track.id][part], samples[part, 0])[0, 1] > 0.8


def test_the_command_prints_a_line_per_scene_and_swaps_in_ten_minutes(
    monkeypatch, capsys, tmp_path
):
    def measure(kinds, seeds):
        assert list(seeds) == [1000, 1001]
        for kind in kinds:
            for seed in seeds:
                yield CrossingVoices(
                    kind, seed, 0.25, 3, 40, 2, 4, int(kind == 'before'), int(kind == 'dark')
                )

    monkeypatch.setattr(command, 'measure_crossings', measure)
    figures = tmp_path / 'swaps.json'
    words = ['benchmark', 'crossing-voices', '--seeds', '2', '--json', str(figures)]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert output.count('5.0%') == output.count('10.0%') == 2 * len(CROSSINGS) + 1
    assert 'in ten minutes: 3.3 swaps, 3.3 streams passed on' in output
    rows = json.loads(figures.read_text())['rows']
    assert len(rows) == 2 * len(CROSSINGS) and sum(row['swaps'] for row in rows) == 2


def test_senseless_numbers_of_scenes_are_refused(capsys):
    assert main(['benchmark', 'crossing-voices', '--seeds', '0']) == 2
    assert '--seeds must be at least 1' in capsys.readouterr().err
