# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Logs into a pipe that nobody reads: lines are lost then, and no node waits."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

STREAMS = (1, 2)  # of every process: output and errors


def never_wait_for_readers() -> None:
    """Make writing to the output of this process fail where a pipe is full, not wait.

    A program that starts nodes with pipes and does not read them (64 KiB are all that a pipe
    holds) would halt every node at its next line. The pipe is opened anew: whoever else writes to
    it waits as before. Where that cannot be done (no /proc) all stays as it is.
    """
    for stream in STREAMS:
        with suppress(OSError):  # closed, or no Linux
            if stat.S_ISFIFO(os.fstat(stream).st_mode):
                again = os.open(f'/proc/self/fd/{stream}', os.O_WRONLY | os.O_NONBLOCK)
                os.dup2(again, stream)
                os.close(again)
