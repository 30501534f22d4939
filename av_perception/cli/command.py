# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the command begins: Ctrl-C ends it without a word while it still imports."""

from __future__ import annotations

import signal


def main() -> int:
    """Run the command; see `av_perception.cli.main`, which has a handler of its own."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody waits for it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from av_perception.cli.main import main as run

    return run()
