# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Train a prior of speech: a dynamical VAE of the spectra of clean talkers.

  av-perception train speech-prior speech --model vae -o vae.npz
  av-perception train speech-prior speech --model wide_vae --vae vae.npz -o wide.npz
  av-perception train speech-prior speech --model rvae --vae wide.npz -o rvae.npz
  av-perception train speech-prior speech --model vae -o vae.npz --epochs 3 --json report.json

FOLDER has clean speech: a sound file per talker, or a sub-folder per talker. Some talkers are held
out: those of the check decide which epoch is kept, those of the test give the figures. Every model
but the small VAE begins as a trained VAE (--vae). Training that was stopped goes on where it was
when the command is given again. It needs PyTorch: pip install "av_perception[train]".
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from av_perception.cli.output import check_writable, staged_progress, write_json
from av_perception.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument('folder', type=Path, metavar='FOLDER', help='clean speech')
    parser.add_argument(
        '--model',
        default='vae',
        metavar='NAME',
        help='vae (default), wide_vae, dkf, kvae, storn, vrnn, srnn, rvae, rvae_noncausal, dsae',
    )
    parser.add_argument('--vae', type=Path, metavar='FILE', help='the trained VAE to begin as')
    parser.add_argument(
        '-o', '--output', type=Path, required=True, metavar='FILE', help='the weights (.npz)'
    )
    parser.add_argument('--epochs', type=int, metavar='N', help='passes through the speech')
    parser.add_argument('--seed', type=int, default=1, help='of everything drawn (default 1)')
    parser.add_argument(
        '--check', type=int, default=12, metavar='N', help='talkers of the check (default 12)'
    )
    parser.add_argument(
        '--test', type=int, default=25, metavar='N', help='talkers of the test (default 25)'
    )
    parser.add_argument(
        '--data', default='', metavar='TEXT', help='what the speech is, and its license'
    )
    parser.add_argument(
        '--work', type=Path, metavar='FOLDER', help='for state and spectra (default: FILE.work)'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the report to FILE')


def run(options: argparse.Namespace) -> int:
    """Train, write the weights, say how unseen talkers sound."""
    check_writable(options.json)
    check_writable(options.output)
    work = options.work or options.output.with_suffix('.work')
    config = _config(options)
    vae = _vae(options, config)
    from av_perception.training.speech_data import read_talkers, split_talkers

    talkers = split_talkers(options.folder, options.check, options.test, options.seed)
    check = read_talkers(talkers.check)
    test = read_talkers(talkers.test)
    state = _train(config, talkers.train, check, vae, work)
    model = _best(config, state)
    report = {
        'config': _plain(config),
        'talkers': {
            part: [path.name for path in getattr(talkers, part)]
            for part in ('train', 'check', 'test')
        },
        'history': state.history,
        **_figures(config, model, test),
    }
    _write(options, model, config, report)
    _print(report)
    return 0


def _config(options: argparse.Namespace):
    """Choose the recipe of the model; UserError where PyTorch is missing."""
    try:
        import torch
    except ImportError:
        raise UserError(
            'training needs PyTorch: pip install "av_perception[train]" (what robots run does not)'
        ) from None
    from av_perception.training.recipes import recipe

    torch.set_num_threads(1)
    config = replace(recipe(options.model), seed=options.seed)
    if min(options.check, options.test) < 1:
        raise UserError('--check and --test must be positive: somebody has to be held out')
    if options.epochs is None:
        return config
    if options.epochs < 1:
        raise UserError(f'--epochs must be positive, not {options.epochs}')
    return replace(config, epochs=options.epochs)


def _vae(options: argparse.Namespace, config):
    """Read the model to begin as; None for a VAE itself."""
    from av_perception.dvae.model_file import model_of
    from av_perception.networks.weights import read_arrays
    from av_perception.training.recipes import beginning

    start = beginning(options.model)
    if options.vae is None:
        if start is not None:
            raise UserError(f'--model {options.model} begins as a {start}: name one (--vae FILE)')
        return None
    if start is None:
        raise UserError(f'--model {options.model} begins at random: leave --vae out')
    model, _ = model_of(read_arrays(options.vae), str(options.vae))
    if model.name != 'vae':
        raise UserError(f'{options.vae} holds a {model.name}, not a vae')
    sizes = ('data_dim', 'hidden_dim')
    if any(getattr(model.config, name) != getattr(config.sizes, name) for name in sizes):
        raise UserError(f'{options.vae} has other sizes than {config.model}: train it again')
    return model


def _train(config, files: list[Path], check: list[np.ndarray], vae, work: Path):
    """Run to the end, from the state in the work folder if there is one."""
    from av_perception.training.recipes import SPEEDS
    from av_perception.training.speech_prior import first_state, train
    from av_perception.training.work_folder import cached_frames, load_state, save_state

    path = work / 'state.npz'
    with staged_progress() as bar:
        task = bar.add_task('spectra', total=1.0, text='')
        versions = []
        for number, speed in enumerate(SPEEDS):

            def show(fraction: float, number: int = number) -> None:
                bar.update(task, completed=(number + fraction) / len(SPEEDS))

            versions.append(cached_frames(work, files, speed, config.floor, show))
        bar.update(task, completed=1.0)
        task = bar.add_task(config.model, total=1.0, text='')
        if path.is_file():
            state = load_state(path, config)
        else:
            state = first_state(config, versions[0], vae)
        return train(
            config,
            versions,
            check,
            state,
            done=lambda now: save_state(path, config, now),
            progress=lambda fraction, text: bar.update(task, completed=fraction, text=text),
        )


def _best(config, state):
    from av_perception.dvae.families import model_named

    return model_named(config.model)(config.sizes, state.best)


def _figures(config, model, sounds: list[np.ndarray]) -> dict:
    """Resynthesis of the test, in generation mode and, where that differs, of the true past."""
    from av_perception.training.resynthesis import measure

    modes = {'own_past': True, 'true_past': False}
    found = {}
    for mode, own_past in modes.items():
        if own_past or model.is_autoregressive:
            result = measure(model, sounds, config.floor, own_past)
            found[mode] = {
                'si_sdr_db': round(float(result.si_sdr_db.mean()), 2),
                'estoi': round(float(result.estoi.mean()), 3),
            }
    return {'resynthesis': found}


def _write(options: argparse.Namespace, model, config, report: dict) -> None:
    from av_perception.dvae.model_file import save_model

    card = {
        'floor': config.floor,
        'data': options.data or options.folder.name,
        'talkers': {part: len(names) for part, names in report['talkers'].items()},
        'training': {name: value for name, value in report['config'].items() if name != 'sizes'},
        'epoch': _kept(report['history']),
        'resynthesis': report['resynthesis'],
    }
    save_model(options.output, model, card)
    if options.json:
        write_json(options.json, report)


def _kept(history: list[dict]) -> int:
    return max(history, key=lambda row: row['si_sdr_db'])['epoch']


def _plain(config) -> dict:
    from dataclasses import asdict

    return asdict(config)


def _print(report: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table('resynthesis of the test', 'SI-SDR [dB]', 'ESTOI')
    for mode, found in report['resynthesis'].items():
        name = mode.replace('_', ' ')
        table.add_row(name, f'{found["si_sdr_db"]:.2f}', f'{found["estoi"]:.3f}')
    Console().print(table)
    spent = sum(row['cpu_s'] for row in report['history'])
    kept = _kept(report['history'])
    print(f'epoch {kept} of {len(report["history"])} is kept; training took {spent:.0f} CPU s')
