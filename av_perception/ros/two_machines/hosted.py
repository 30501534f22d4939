# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Processes on one of two machines, which run until the input of this one ends.

That happens whatever becomes of who started it.

python -m av_perception.ros.two_machines.hosted -- COMMAND [-- COMMAND]...
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

STOP_S = 20.0  # from asking a process to stop to ending it by force
POLL_S = 0.1


class Hosted:
    """Commands that run together. Use as a context manager: leaving it stops them."""

    def __init__(self, commands: list[list[str]]):
        """Start nothing yet."""
        self._commands = commands
        self._processes: list[subprocess.Popen] = []
        self._is_over = threading.Event()

    def __enter__(self) -> Hosted:
        for command in self._commands:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
            self._processes.append(process)
        threading.Thread(target=self._wait_for_end, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def goes_on(self) -> bool:
        """Wait a moment; False when the input, or one of the commands, has ended."""
        if self._is_over.wait(POLL_S):
            return False
        return all(process.poll() is None for process in self._processes)

    def _wait_for_end(self) -> None:
        sys.stdin.read()
        self._is_over.set()


def commands_of(words: list[str]) -> list[list[str]]:
    """Take commands apart, each behind a --."""
    commands: list[list[str]] = []
    for word in words:
        if word == '--':
            commands.append([])
        else:
            commands[-1].append(word)
    return commands


if __name__ == '__main__':
    with Hosted(commands_of(sys.argv[1:])) as hosted:
        while hosted.goes_on():
            pass
