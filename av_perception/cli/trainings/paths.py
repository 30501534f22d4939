# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train what forecasts paths, on simulated walks: the gate of imm, or the SRNN of dvae.

  av-perception train paths -o path_gate.npz
  av-perception train paths --method dvae -o path_srnn.npz
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

from av_perception.cli.output import check_writable, staged_progress, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.benchmarks.motion_walks import Windows


# What counts how much: who lives in a hall does everything.
KINDS = {'social': 2.0, 'passing': 1.0, 'standing': 1.0, 'crossings': 1.0}
_MORE = {'standing': 2, 'crossings': 4}  # scenes of kinds that are short or uneventful
_NOISES = (1.0, 0.1, 0.5, 1.0, 1.5)  # of the sensor, scene by scene
# Scenes of each kind by which the regions are set, from this seed on.
HELD_OUT = {'social': 5, 'passing': 5, 'standing': 5, 'crossings': 16}
_HELD_OUT = 500
_MAX_SEEDS = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument(
        '--method', choices=('imm', 'dvae'), default='imm', help='whose weights (default imm)'
    )
    parser.add_argument(
        '--seeds', type=int, default=16, metavar='N', help='scenes of each kind (default 16)'
    )
    parser.add_argument(
        '--steps', type=int, metavar='N', help='of training (default 700 of imm, 900 of dvae)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to FILE')


def run(options: argparse.Namespace) -> int:
    """Simulate, train, write."""
    check_writable(options.output)
    check_writable(options.json)
    steps = options.steps
    if not 1 <= options.seeds <= _MAX_SEEDS or (steps is not None and steps < 1):
        raise UserError(f'--seeds must lie in 1..{_MAX_SEEDS}, --steps be at least 1')
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError('training needs PyTorch: pip install "av_perception[train]"') from error
    trained = {}
    for kind in KINDS:
        count = options.seeds * _MORE.get(kind, 1)
        trained[kind] = _windows(kind, range(count), _NOISES, 1.0)
    seeds = {kind: range(_HELD_OUT, _HELD_OUT + count) for kind, count in HELD_OUT.items()}
    others = {kind: _windows(kind, some, (1.0,), 0.5) for kind, some in seeds.items()}
    train = _train_gate if options.method == 'imm' else _train_dvae
    train(options.output, trained, others, steps)
    count = sum(len(windows) for windows in trained.values())
    print(f'wrote {options.output}, trained on {count} windows')
    if options.json:
        by_kind = {kind: len(windows) for kind, windows in trained.items()}
        write_json(options.json, {'method': options.method, 'windows': count, **by_kind})
    return 0


def _train_gate(
    output: Path, trained: dict[str, Windows], others: dict[str, Windows], steps: int | None
) -> None:
    """Train and calibrate the gate of imm."""
    from av_perception.benchmarks.motion_walks import HORIZONS_S
    from av_perception.training.path_gate import calibrated, gate_examples, train_gate

    sets = [
        gate_examples(windows.histories, windows.truth, HORIZONS_S, KINDS[kind])
        for kind, windows in trained.items()
    ]
    gate = train_gate(sets, HORIZONS_S, steps or 700)
    held_out = [gate_examples(one.histories, one.truth, HORIZONS_S) for one in others.values()]
    gate = calibrated(gate, held_out, HORIZONS_S)
    arrays: dict[str, Any] = {
        name: array.astype(np.float32) for name, array in asdict(gate).items()
    }
    np.savez_compressed(output, **arrays)


def _train_dvae(
    output: Path, trained: dict[str, Windows], others: dict[str, Windows], steps: int | None
) -> None:
    """Train the SRNN, set its radii, and write down what it was made of."""
    from av_perception.benchmarks.motion_walks import joined
    from av_perception.dvae.model_file import save_model
    from av_perception.training.path_dvae import (
        PathTrainingConfig,
        region_radii_of,
        train_path_dvae,
    )

    config = PathTrainingConfig(steps=steps or PathTrainingConfig.steps)
    all_trained = joined(list(trained.values()))
    with staged_progress() as progress:
        task = progress.add_task('training', total=1.0, text='')

        def note(gone: float, text: str) -> None:
            progress.update(task, completed=gone, text=text)

        model = train_path_dvae(all_trained.histories, all_trained.truth, config, note)
    held_out = joined(list(others.values()))
    radii = region_radii_of(model, held_out.histories, held_out.truth)
    card = {
        'radii': np.round(radii, 4).tolist(),
        'data': 'walks simulated by this project',
        'windows': len(all_trained),
        'steps': config.steps,
        'seed': config.seed,
    }
    save_model(output, model, card)


def _windows(kind: str, seeds: Iterable[int], noises: Sequence[float], stride_s: float) -> Windows:
    """Windows of scenes, the noise of the sensor scene by scene."""
    from av_perception.benchmarks.motion_walks import joined, walks_of, windows_of

    parts = []
    for seed in track(seeds, description=kind):
        parts.append(windows_of(walks_of(kind, seed, noises[seed % len(noises)]), stride_s))
    return joined(parts)
