# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Processes that do nothing but keep the processors busy, beside what is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Ends with the process that started it, however that ends.
_BUSY = """
import os, sys
starter = int(sys.argv[1])
while os.getppid() == starter:
    for _ in range(100000):
        pass
"""


@contextmanager
def busy_processes(number: int) -> Iterator[list[subprocess.Popen]]:
    """Keep as many processors busy, if there are so many, until the context is left.

    Parameters
    ----------
    number : int
        Of processes, of the usual priority.

    Yields
    ------
    list of subprocess.Popen
        The processes.
    """
    words = [sys.executable, '-c', _BUSY, str(os.getpid())]
    processes: list[subprocess.Popen] = []
    try:
        for _ in range(number):
            processes.append(subprocess.Popen(words, stdin=subprocess.DEVNULL))
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
