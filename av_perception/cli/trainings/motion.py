# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train the HiT-DVAE, which forecasts skeletons.

  av-perception train motion cmu_positions_train.npz -o hit_dvae.npz
  av-perception train motion clips.npz --seconds 600 --go-on hit_dvae.npz -o better.npz

CLIPS is a file as av_perception/motion_forecast/skeletons.py describes it; the clips that the
benchmark reports, and those by which weights are chosen, are left out. It needs PyTorch:
pip install "av_perception[train]".
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.cli.output import check_writable, staged_progress
from av_perception.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('clips', type=Path, metavar='CLIPS', help='joint positions (.npz)')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument(
        '--seconds', type=float, default=600.0, metavar='S', help='of processor time (default 600)'
    )
    parser.add_argument('--go-on', type=Path, metavar='FILE', help='weights to begin as')
    parser.add_argument(
        '--noise',
        type=float,
        default=0.04,
        metavar='M',
        help='of a coordinate given the latents; less makes them say more (default 0.04)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of everything drawn (default 0)')


def run(options: argparse.Namespace) -> int:
    """Train, write the weights."""
    check_writable(options.output)
    if options.seconds <= 0 or options.noise <= 0:
        raise UserError('--seconds and --noise must be positive')
    try:
        import torch

        from av_perception.training.hit_dvae import TrainingConfig, arrays_of, train
    except ImportError as error:
        raise UserError('training needs PyTorch: pip install "av_perception[train]"') from error
    from av_perception.motion_forecast.skeletons import CHOSEN_BY, UNSEEN, load_clips
    from av_perception.networks.weights import read_arrays

    clips = [c for c in load_clips(options.clips) if c.name not in (*UNSEEN, *CHOSEN_BY)]
    if not clips:
        raise UserError(f'{options.clips} holds no clips to train on')
    start = None
    if options.go_on is not None:
        arrays = read_arrays(options.go_on)
        start = {
            name: torch.from_numpy(np.asarray(array, np.float32))
            for name, array in arrays.items()
            if name != 'shape'
        }
    config = TrainingConfig(seconds=options.seconds, noise=options.noise, seed=options.seed)
    with staged_progress() as progress:
        task = progress.add_task('training', total=1.0, text='')

        def note(gone: float, figures: dict) -> None:
            words = [f'{k} {v:.2f}' for k, v in figures.items() if isinstance(v, float)]
            progress.update(task, completed=gone, text=' '.join(words))

        net = train(clips, config, note, start)
    weights: dict[str, Any] = arrays_of(net)
    np.savez_compressed(options.output, **weights)
    print(f'wrote {options.output}')
    return 0
