# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Names of files that are no text of the locale: OpenCV ended the process over them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.files import opencv_name
from av_perception.recording.images import ImageWriter

NO_TEXT = os.fsdecode(b'bad\xff')
C_LOCALE = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}


def test_opencv_gets_the_bytes_of_a_name_or_a_word_of_advice():
    assert opencv_name(Path('/réc/left.mp4')) == '/réc/left.mp4'
    with pytest.raises(UserError, match='rename it'):
        opencv_name(Path(NO_TEXT) / 'left.mp4')


def test_a_video_whose_name_is_no_utf_8_ended_the_process(tmp_path):
    with pytest.raises(UserError, match='rename it'):
        ImageWriter(tmp_path / f'{NO_TEXT}.mp4', (64, 48), 25.0)


def test_a_name_beyond_ascii_in_the_c_locale_ended_the_process(tmp_path):
    path = tmp_path / 'réc.mp4'
    writer = ImageWriter(path, (64, 48), 25.0)
    writer.write(np.full((48, 64, 3), 128, np.uint8))
    writer.close()
    words = (
        'import sys; from av_perception.recording.images import _probe_video; '
        'print(_probe_video(sys.argv[1])[:3])'
    )
    done = subprocess.run(
        [sys.executable, '-c', words, path],
        env={**os.environ, **C_LOCALE},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == '(1, 64, 48)', done.stderr


def test_a_name_that_is_no_text_could_not_be_printed():
    words = f"import sys; sys.argv = ['x', 'track', {NO_TEXT!r}]; "
    words += 'from av_perception.cli.main import main; sys.exit(main())'
    done = subprocess.run([sys.executable, '-c', words], capture_output=True, text=True)
    assert done.returncode == 2
    assert '\\udcff' in done.stderr and 'Traceback' not in done.stderr, done.stderr
