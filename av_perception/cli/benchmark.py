# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Measure speed and accuracy.

For example:
  av-perception benchmark tracker --json tracker.json
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from av_perception.cli import benchmarks
from av_perception.cli.subcommands import add_subcommands


def add_arguments(parser: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    """Declare one sub-command per benchmark."""
    add_subcommands(parser, benchmarks, 'NAME', words)


def run(args: argparse.Namespace) -> int:
    """Run the chosen benchmark."""
    return args.run_subcommand(args)
