# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train the HiT-DVAE, which forecasts skeletons.

  av-perception train motion cmu_positions_train.npz -o hit_dvae.npz
  av-perception train motion clips.npz --noise 0.04 --go-on hit_dvae.npz -o better.npz

Without --noise this is the recipe of the weights that ship: two stages, of much noise and of
little. CLIPS is a file as av_perception/motion_forecast/skeletons.py describes it; the clips that
the benchmark reports, and those by which weights are chosen, are left out. The latter decide
whether the outcome is worth keeping: it is not where it is no better than standing still. It needs
PyTorch: pip install "av_perception[train]".
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from av_perception.cli.output import check_writable, staged_progress, write_json
from av_perception.errors import UserError

if TYPE_CHECKING:
    from av_perception.benchmarks.motion_skeletons import SkeletonRow
    from av_perception.motion_forecast.skeletons import Clip

# Share of the time, and the noise [m] of a coordinate given the latents.
RECIPE = ((0.38, 0.08), (0.62, 0.04))
_SECONDS = 463.0
_LEAST_APD_M = 1.0  # draws that differ less are one
_NOT_CHECKED = 'not checked: CLIPS holds none of the clips by which weights are chosen'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('clips', type=Path, metavar='CLIPS', help='joint positions (.npz)')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=_SECONDS,
        metavar='S',
        help=f'of processor time (default {_SECONDS:.0f})',
    )
    parser.add_argument('--go-on', type=Path, metavar='FILE', help='weights to begin as')
    parser.add_argument(
        '--noise',
        type=float,
        metavar='M',
        help='of a coordinate given the latents, in one stage; less makes them say more '
        '(default: the recipe)',
    )
    parser.add_argument('--seed', type=int, default=0, help='of everything drawn (default 0)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to FILE')


def run(options: argparse.Namespace) -> int:
    """Train, check, write the weights."""
    check_writable(options.output)
    check_writable(options.json)
    if options.seconds <= 0 or (options.noise is not None and options.noise <= 0):
        raise UserError('--seconds and --noise must be positive')
    try:
        from av_perception.training.hit_dvae import arrays_of
    except ImportError as error:
        raise UserError('training needs PyTorch: pip install "av_perception[train]"') from error
    from av_perception.motion_forecast.skeletons import CHOSEN_BY, UNSEEN, load_clips

    clips = load_clips(options.clips)
    trained = [clip for clip in clips if clip.name not in (*UNSEEN, *CHOSEN_BY)]
    if not trained:
        raise UserError(f'{options.clips} holds no clips to train on')
    weights: dict[str, Any] = arrays_of(_trained(options, trained))
    rows = check_rows(weights, [clip for clip in clips if clip.name in CHOSEN_BY])
    print(verdict(*rows) if rows else _NOT_CHECKED)
    np.savez_compressed(options.output, **weights)
    print(f'wrote {options.output}')
    if options.json:
        figures = dict(zip(('trained', 'still'), map(asdict, rows or ())))
        write_json(options.json, {'clips': len(trained), 'seconds': options.seconds, **figures})
    return 0


def _trained(options: argparse.Namespace, clips: Sequence[Clip]):
    """Train stage by stage."""
    import torch

    from av_perception.networks.weights import read_arrays
    from av_perception.training.hit_dvae import TrainingConfig

    start = None
    if options.go_on is not None:
        arrays = read_arrays(options.go_on)
        start = {
            name: torch.from_numpy(np.asarray(array, np.float32))
            for name, array in arrays.items()
            if name != 'shape'
        }
    stages = RECIPE if options.noise is None else ((1.0, options.noise),)
    for share, noise in stages:
        config = TrainingConfig(seconds=share * options.seconds, noise=noise, seed=options.seed)
        net = _stage(config, clips, start)
        start = net.state_dict()
    return net


def _stage(config, clips: Sequence[Clip], start):
    """Train once, with a bar."""
    from av_perception.training.hit_dvae import train

    with staged_progress() as progress:
        task = progress.add_task(f'noise {config.noise:g} m', total=1.0, text='')

        def note(gone: float, figures: dict) -> None:
            words = [f'{k} {v:.2f}' for k, v in figures.items() if isinstance(v, float)]
            progress.update(task, completed=gone, text=' '.join(words))

        return train(list(clips), config, note, start)


def check_rows(
    weights: dict[str, np.ndarray], clips: Sequence[Clip]
) -> tuple[SkeletonRow, SkeletonRow] | None:
    """Compare weights with standing still.

    Parameters
    ----------
    weights
        As they would be written.
    clips
        Neither trained on nor reported.

    Returns
    -------
    tuple of SkeletonRow or None
        Figures of the weights, and of standing still; None without clips.
    """
    from av_perception.benchmarks.motion_skeletons import HIT_DVAE, forecasts_of, rows_of
    from av_perception.motion_forecast.hit_dvae import HitDvae
    from av_perception.motion_forecast.skeleton_forecaster import (
        SkeletonConfig,
        SkeletonForecaster,
    )

    # The one draw that stands still would be as good as standing still whatever the rest is.
    forecaster = SkeletonForecaster(HitDvae(weights), SkeletonConfig(holds_one=False))
    made = list(forecasts_of(HIT_DVAE, clips, forecaster))
    if not made:
        return None
    ours = rows_of(HIT_DVAE, made)[-1]
    still = rows_of('still', list(forecasts_of('zero velocity', clips, None)))[-1]
    return ours, still


def verdict(ours: SkeletonRow, still: SkeletonRow) -> str:
    """Describe figures in a line. Raises UserError where they do not justify weights."""
    figures = (
        f'ADE {ours.ade_m:.3f} m, FDE {ours.fde_m:.3f} m, standing still {still.ade_m:.3f} and '
        f'{still.fde_m:.3f} m, APD {ours.apd_m:.2f} m, {ours.fallbacks} of {ours.windows} fell '
        f'back'
    )
    if not (ours.ade_m < still.ade_m and ours.fde_m < still.fde_m):
        raise UserError(f'not written, no better than standing still ({figures}): train longer')
    if ours.apd_m < _LEAST_APD_M:
        raise UserError(f'not written, the draws hardly differ ({figures}): train longer')
    return figures
