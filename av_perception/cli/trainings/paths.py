# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train the gate of forecasts of paths, on simulated walks: which of its experts to believe when.

  av-perception train paths -o path_gate.npz
  av-perception train paths --seeds 4 --steps 200 -o path_gate.npz

It needs no data, and PyTorch: pip install "av_perception[train]".
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.progress import track

from av_perception.cli.output import check_writable
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.benchmarks.motion_walks import Windows


# What counts how much: who lives in a hall does everything.
KINDS = {'social': 2.0, 'passing': 1.0, 'standing': 1.0, 'crossings': 1.0}
_NOISES = (1.0, 0.1, 0.5, 1.0, 1.5)  # of the sensor, scene by scene
# Scenes of each kind by which the regions are set, from this seed on.
HELD_OUT = {'social': 3, 'passing': 2, 'standing': 2, 'crossings': 8}
_HELD_OUT = 500
_MAX_SEEDS = 100


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
    if not 1 <= options.seeds <= _MAX_SEEDS or options.steps < 1:
        raise UserError(f'--seeds must lie in 1..{_MAX_SEEDS}, --steps be at least 1')
    try:
        from av_perception.training.path_gate import calibrated, gate_examples, train_gate
    except ImportError as error:
        raise UserError('training needs PyTorch: pip install "av_perception[train]"') from error
    from av_perception.benchmarks.motion_walks import HORIZONS_S, joined

    sets = []
    for kind, weight in KINDS.items():
        count = 4 * options.seeds if kind == 'crossings' else options.seeds
        windows = _windows(kind, range(count), _NOISES, 1.0)
        sets.append(gate_examples(windows.histories, windows.truth, HORIZONS_S, weight))
    gate = train_gate(sets, HORIZONS_S, options.steps)
    seeds = [(kind, range(_HELD_OUT, _HELD_OUT + count)) for kind, count in HELD_OUT.items()]
    others = joined([_windows(kind, some, (1.0,), 0.5) for kind, some in seeds])
    gate = calibrated(gate, gate_examples(others.histories, others.truth, HORIZONS_S), HORIZONS_S)
    arrays: dict[str, Any] = {
        name: array.astype(np.float32) for name, array in asdict(gate).items()
    }
    np.savez_compressed(options.output, **arrays)
    print(f'wrote {options.output}, trained on {sum(len(one.truth) for one in sets)} windows')
    return 0


def _windows(kind: str, seeds: Iterable[int], noises: Sequence[float], stride_s: float) -> Windows:
    """Windows of scenes, the noise of the sensor scene by scene."""
    from av_perception.benchmarks.motion_walks import joined, walks_of, windows_of

    parts = []
    for seed in track(seeds, description=kind):
        parts.append(windows_of(walks_of(kind, seed, noises[seed % len(noises)]), stride_s))
    return joined(parts)
