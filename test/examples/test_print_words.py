# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The example that prints words: whose, in which order, of which samples."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from av_perception.interfaces import AudioChunk, SpeakingFrame, SpeakingStatus
from av_perception.recording.voice_files import VoiceFiles

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'print_words.py'


@pytest.fixture
def voices(tmp_path):
    """Person 3 speaks from 1 to 2 s, person 5 from 1.6 to 2.4 s."""
    files = VoiceFiles(tmp_path, 0)
    for key, level in ((3, 0.25), (5, 0.5)):
        samples = np.full((48000, 1), level, np.float32)
        files.write(key, AudioChunk(0, 16000, 0, samples))
    turns = {3: (1.0, 2.0), 5: (1.6, 2.4)}
    frames = []
    for k in range(75):
        statuses = [
            SpeakingStatus(i, start - 1e-9 <= 0.04 * k < end, 0.5, 0)
            for i, (start, end) in turns.items()
        ]
        frames.append(SpeakingFrame(k * 40_000_000, tuple(statuses)))
    files.finish(frames, 'talk')
    return tmp_path


def test_each_turn_is_recognized_by_its_own_voice(voices, capsys):
    spec = importlib.util.spec_from_file_location('print_words', EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    def recognize(samples):
        assert samples.dtype == np.int16
        return f'{len(samples) / 16000:.1f} s of {samples[0] / 32768:.2f}'

    example.main(str(voices), recognize)
    assert capsys.readouterr().out == 'id 3: 1.4 s of 0.25\nid 5: 1.2 s of 0.50\n'


def test_without_a_recognizer_it_says_what_to_install(voices):
    code = (
        'import sys, runpy; sys.modules["pocketsphinx"] = None; '
        f'sys.argv = ["x", {str(voices)!r}]; runpy.run_path({str(EXAMPLE)!r}, run_name="__main__")'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 1 and 'pip install pocketsphinx' in done.stderr
