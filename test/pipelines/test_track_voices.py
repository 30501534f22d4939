# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""`track --voices`: a file for each person, who spoke when, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from av_perception.cli.main import main
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow
RATE = 16000


def test_each_person_has_a_file_and_turns(tmp_path):
    """The scene's turns: one person from 0.4 to 2.6 and 5.0 to 6.6 s, the other 3.0 to 5.3 s."""
    recording = simulated_recording('short')
    folder = tmp_path / 'v'
    words = ['track', str(recording.folder), '-o', str(tmp_path / 't.csv')]
    assert main([*words, '--voices', str(folder)]) == 0
    levels = {}
    for path in folder.glob('person_*.flac'):
        samples, rate = soundfile.read(path)
        assert rate == RATE and len(samples) <= recording.num_samples
        padded = np.pad(samples, (0, recording.num_samples - len(samples)))
        parts = [(0.8, 2.5), (3.4, 4.8), (5.6, 6.5)]
        levels[path.stem] = [padded[int(a * RATE) : int(b * RATE)].std() for a, b in parts]
    assert len(levels) == 2
    (one, other), (late_one, late_other), (again_one, again_other) = zip(*levels.values())
    first = one > other
    assert (late_other if first else late_one) > 5.6 * (late_one if first else late_other), '15 dB'
    assert (again_one if first else again_other) > 5.6 * (again_other if first else again_one)
    rows = (folder / 'turns.csv').read_text().splitlines()
    assert rows[0] == 'start,end,id' and len(rows) >= 4
    starts = [float(row.split(',')[0]) for row in rows[1:]]
    for turn in (0.4, 3.0, 5.0):
        assert min(abs(start - turn) for start in starts) < 0.35
    lines = (folder / 'turns.rttm').read_text().splitlines()
    assert len(lines) == len(rows) - 1
    assert all(line.startswith('SPEAKER short') for line in lines)


def test_light_modes_tell_no_voices_apart(tmp_path, capsys):
    folder = str(simulated_recording('short').folder)
    words = ['track', folder, '--mode', 'events', '-o', str(tmp_path / 't.csv')]
    assert main([*words, '--voices', str(tmp_path / 'v')]) != 0
    assert 'full mode' in capsys.readouterr().err
    assert not (tmp_path / 'v').exists()
