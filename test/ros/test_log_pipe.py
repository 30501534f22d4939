# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of logs that nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys

LINES = 1200  # of 100 characters and more: a pipe holds a half of them
TALKATIVE = f"""
import sys
from rclpy.logging import get_logger
from av_perception.ros.log_pipe import never_wait_for_readers
never_wait_for_readers()
for _ in range({LINES}):
    get_logger('node').info(100 * 'x')
open(sys.argv[1], 'w').write('went on')
"""


def talk(folder, stream):
    """Run a process that logs a lot into a stream; tells what it wrote to a file at the end."""
    path = folder / 'end.txt'
    words = [sys.executable, '-c', TALKATIVE, str(path)]
    done = subprocess.run(words, stdout=stream, stderr=stream, timeout=300)
    assert done.returncode == 0
    return path.read_text()


def test_a_pipe_that_nobody_reads_halted_every_node(tmp_path):
    reading, writing = os.pipe()
    try:
        assert talk(tmp_path, writing) == 'went on'
        assert b'[node]: xxx' in os.read(reading, 1 << 16), 'what there was room for'
        assert os.get_blocking(writing), 'others who write to it wait as before'
    finally:
        os.close(reading)
        os.close(writing)


def test_files_get_every_line(tmp_path):
    log = tmp_path / 'log.txt'
    with open(log, 'wb') as file:
        assert talk(tmp_path, file) == 'went on'
    assert log.read_text().count('[node]: xxx') == LINES
