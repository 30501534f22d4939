# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train the gate of forecasts of paths, on simulated walks: which of its experts to believe when.

  av-perception train paths -o path_gate.npz
  av-perception train paths --seeds 4 --steps 200 -o path_gate.npz

It needs no data, and PyTorch: pip install "av_perception[train]".
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from av_perception.cli.output import check_writable
from av_perception.errors import UserError

# What counts how much: who lives in a hall does everything.
KINDS = {'social': 2.0, 'passing': 1.0, 'standing': 1.0, 'crossings': 1.0}
_NOISES = (1.0, 0.1, 0.5, 1.0, 1.5)  # of the sensor, scene by scene
_MAX_SEEDS = 1000  # the benchmark takes those from there on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument('--seeds', type=int, default=24, metavar='N', help='scenes of each kind')
    parser.add_argument('--steps', type=int, default=1000, metavar='N', help='of training')


def run(options: argparse.Namespace) -> int:
    """Simulate, train, write."""
    check_writable(options.output)
    if not 1 <= options.seeds <= _MAX_SEEDS // 4 or options.steps < 1:
        raise UserError(f'--seeds must lie in 1..{_MAX_SEEDS // 4}, --steps be at least 1')
    try:
        from av_perception.training.path_gate import gate_examples, train_gate
    except ImportError as error:
        raise UserError('training needs PyTorch: pip install "av_perception[train]"') from error
    from av_perception.benchmarks.motion_walks import HORIZONS_S, joined, walks_of, windows_of

    sets = []
    for kind, weight in KINDS.items():
        count = 4 * options.seeds if kind == 'crossings' else options.seeds
        parts = []
        for seed in track(range(count), description=kind):
            parts.append(windows_of(walks_of(kind, seed, _NOISES[seed % len(_NOISES)]), 1.0))
        windows = joined(parts)
        sets.append(gate_examples(windows.histories, windows.truth, HORIZONS_S, weight))
    gate = train_gate(sets, HORIZONS_S, options.steps)
    arrays: dict[str, Any] = {
        name: array.astype(np.float32) for name, array in asdict(gate).items()
    }
    np.savez_compressed(options.output, **arrays)
    print(f'wrote {options.output}, trained on {sum(len(one.truth) for one in sets)} windows')
    return 0
