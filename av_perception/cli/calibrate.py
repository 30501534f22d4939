# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Learn what a head's profile does not say.

For example:
  av-perception calibrate acoustic --head my_head.yaml -o my_head_map.npz
  av-perception calibrate stereo --left left --right right --board 9x6 --square 0.025 -o my_head
  av-perception calibrate microphones my_recording -o my_head.yaml
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from av_perception.cli import calibrations
from av_perception.cli.subcommands import add_subcommands


def add_arguments(parser: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    """Declare one sub-command per calibration."""
    add_subcommands(parser, calibrations, 'WHAT', words)


def run(args: argparse.Namespace) -> int:
    """Run the chosen calibration."""
    return args.run_subcommand(args)
