# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Make weights out of data that you name.

For example:
  av-perception train speech-prior speech --model vae -o vae.npz
  av-perception train speech-prior speech --model wide_vae --vae vae.npz -o wide.npz
  av-perception train motion cmu_positions_train.npz -o hit_dvae.npz
  av-perception train paths -o path_gate.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from av_perception.cli import trainings
from av_perception.cli.subcommands import add_subcommands


def add_arguments(parser: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    """Declare one sub-command per training."""
    add_subcommands(parser, trainings, 'WHAT', words)


def run(args: argparse.Namespace) -> int:
    """Run the chosen training."""
    return args.run_subcommand(args)
