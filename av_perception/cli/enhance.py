# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A voice in noise made clear, out of a recording of one microphone.

  av-perception enhance noisy.wav -o clear.wav
  av-perception enhance noisy.wav -o clear.flac --method amortized --plot clear.png
  av-perception enhance noisy.wav -o clear.wav --prior none
  av-perception enhance talk.wav --channel 2 -o clear.wav --noise rest.wav --json clear.json
  av-perception enhance sounds -o clear --jobs 4 --resume     all in a folder, to clear/<name>.wav
  av-perception enhance noisy.wav -o clear.wav --visual swvae --lips lips.npz --mouths one.npz

FILE is a WAV or FLAC file, or what else libsndfile reads, of any rate; what is written has 16 kHz.
Noise is learnt from the recording itself. --prior names what is known of speech:

  none               nothing: the classic gain
  wide_vae, vae ...  a prior learnt from clean speech alone, or the file of one

and --method how a prior is used, from fast to thorough:

  amortized  what the prior's encoder says of the recording less the noise
  peem       the most probable speech
  vem        the encoder tuned to the recording
  adam, ldem, mala, mcem  for comparison: see docs/enhancement.md

--visual lets the mouth of who speaks help (av-perception track --mouths), with lips that were
trained on recordings of yours (av-perception train lips): see docs/lips.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from av_perception.cli.eyes import add_visual_arguments, open_eyes
from av_perception.cli.many import (
    Columns,
    Job,
    add_many_arguments,
    check_folder_of_several,
    run_many,
    run_one_or_many,
)
from av_perception.cli.output import check_picture, check_writable, make_folder, write_json
from av_perception.dvae.speech_prior import PRIORS, load_prior
from av_perception.enhancement.engine import EngineConfig
from av_perception.enhancement.latent_steps import METHODS, VEM
from av_perception.enhancement.offline import (
    Progress,
    enhance_by_lsa,
    enhance_by_prior,
    finite_samples,
)
from av_perception.enhancement.prior import RATE, SpeechPrior
from av_perception.errors import UserError
from av_perception.recording.collection import Found, find_sounds
from av_perception.recording.sound_file import open_sound, read_samples

NONE = 'none'
BEST = 'wide_vae'  # of the priors, where time is no matter
_MAX_ITERATIONS = 1000
_FORMATS = ('.wav', '.flac')
_COLUMNS: Columns = {
    'seconds': lambda figures: f'{figures["duration_s"]:.1f}',
    'method': lambda figures: figures['method'],
    'voice over noise, estimated': lambda figures: f'{figures["estimated_snr_db"]:.1f} dB',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        'recordings',
        type=Path,
        nargs='+',
        metavar='FILE',
        help='the sound; several, or folders of such',
    )
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        required=True,
        metavar='FILE',
        help='the voice (wav, flac); of several sounds a folder',
    )
    parser.add_argument('--noise', type=Path, metavar='FILE', help='what was taken away')
    parser.add_argument(
        '--channel', type=int, default=0, metavar='N', help='of the recording, from 0 (default 0)'
    )
    parser.add_argument(
        '--prior',
        default=BEST,
        metavar='NAME',
        help=f'none, {", ".join(PRIORS)} or the file of a prior (default {BEST})',
    )
    parser.add_argument(
        '--method', choices=METHODS, default=VEM, help='how a prior is used (default vem)'
    )
    parser.add_argument(
        '--iterations', type=int, metavar='N', help='of the method (default: as it needs)'
    )
    add_visual_arguments(parser)
    parser.add_argument('--seed', type=int, default=0, help='of what is drawn (default 0)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to FILE')
    parser.add_argument(
        '--plot', type=Path, metavar='FILE', help='draw the spectrograms (png, svg, pdf)'
    )
    add_many_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Enhance one sound or several."""
    return run_one_or_many(options, find_sounds(options.recordings), _run_one, _run_many)


def _run_many(found: list[Found], options: argparse.Namespace) -> int:
    """Enhance each in a process of its own."""
    for name in ('noise', 'plot', 'lips', 'mouths'):
        if getattr(options, name) is not None:
            raise UserError(f'--{name} is for one sound, and {len(found)} are to be enhanced')
    check_writable(options.json)
    check_folder_of_several(options.output)
    _check_numbers(options)
    jobs = []
    made = options.output.resolve()
    for one in [one for one in found if made not in one.path.resolve().parents]:
        output = options.output / f'{one.name}.wav'
        make_folder(output.parent)
        changed = {'recordings': [one.path], 'output': output, 'resume': False}
        single = argparse.Namespace(**{**vars(options), **changed})
        jobs.append(Job(one.name, single, [one.path, Path(options.prior)], output))
    return run_many(jobs, options, _COLUMNS)


def _run_one(options: argparse.Namespace) -> int:
    """Enhance, write what was asked for, say what came out."""
    _check(options)
    eyes = open_eyes(options)
    prior = None
    if eyes is None and options.prior != NONE:
        prior = load_prior(options.prior)
    samples = _read(options.recording, options.channel)
    samples, not_numbers = finite_samples(samples)
    started = time.process_time()
    voice = _enhance(samples, prior, options) if eyes is None else eyes.enhanced(samples)
    spent_s = time.process_time() - started
    rest = samples - voice
    _write(options.output, voice)
    if options.noise:
        _write(options.noise, rest)
    result = _figures(samples, voice, options)
    result.update(samples_that_were_no_numbers=not_numbers, cpu_s=round(spent_s, 2))
    if options.json:
        write_json(options.json, result)
    if options.plot:
        from av_perception.visualization.separation_picture import draw_voices

        draw_voices(samples, np.column_stack([voice, rest]), ['voice', 'noise'], options.plot)
    _print(result)
    return 0


def _check(options: argparse.Namespace) -> None:
    check_picture(options.plot)
    for path in (options.output, options.noise, options.json):
        check_writable(path)
    for path in (options.output, options.noise):
        if path is not None and path.suffix.lower() not in _FORMATS:
            raise UserError(f'cannot write {path}: name a file that ends in .wav or .flac')
    _check_numbers(options)


def _check_numbers(options: argparse.Namespace) -> None:
    if options.channel < 0:
        raise UserError(f'--channel must not be negative, but is {options.channel}')
    if options.iterations is not None and not 1 <= options.iterations <= _MAX_ITERATIONS:
        raise UserError(f'--iterations must lie in 1..{_MAX_ITERATIONS}, not {options.iterations}')
    if options.seed < 0:
        raise UserError(f'--seed must not be negative, but is {options.seed}')


def _read(path: Path, channel: int) -> np.ndarray:
    """(N,) float32 of one channel at 16 kHz."""
    if not path.exists():
        raise UserError(f'there is no recording {path}: name a WAV or FLAC file')
    with open_sound(path) as sound:
        if channel >= sound.channels:
            raise UserError(
                f'{path} has {sound.channels} channels: --channel must lie in '
                f'0..{sound.channels - 1}, not {channel}'
            )
        samples = read_samples(sound, 0, sound.frames)[:, channel]
        rate = sound.samplerate
    if rate == RATE:
        return samples
    import soxr

    return soxr.resample(np.nan_to_num(samples, posinf=0.0, neginf=0.0), rate, RATE)


def _enhance(
    samples: np.ndarray, prior: SpeechPrior | None, options: argparse.Namespace
) -> np.ndarray:
    """(N,) voice, with a progress bar."""
    from rich.progress import Progress as Bar

    with Bar(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task('enhance', total=1.0)

        def show(fraction: float) -> None:
            bar.update(task, completed=fraction)

        return enhanced(samples, prior, options, show)


def enhanced(
    samples: np.ndarray, prior: SpeechPrior | None, options: argparse.Namespace, show: Progress
) -> np.ndarray:
    """(N,) voice in samples (N,) at 16 kHz, by the method that was asked for."""
    if prior is None:
        return enhance_by_lsa(samples, progress=show)
    config = EngineConfig(
        method=options.method, iterations=options.iterations or 0, seed=options.seed
    )
    return enhance_by_prior(samples, prior, config, progress=show)


def _write(path: Path, samples: np.ndarray) -> None:
    try:
        soundfile.write(path, np.clip(samples, -1.0, 1.0), RATE)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot write {path}: {reason}') from error


def _figures(samples: np.ndarray, voice: np.ndarray, options: argparse.Namespace) -> dict:
    """Tell what came out, as written to JSON."""
    # (products, not squares: an hour of sound is not copied)
    whole = float(np.dot(samples, samples))
    kept = float(np.dot(voice, voice))
    noise = samples - voice
    rest = float(np.dot(noise, noise))
    tiny = np.finfo(float).tiny
    return {
        'file': str(options.output),
        'prior': options.prior,
        'method': _method(options),
        'duration_s': round(len(samples) / RATE, 3),
        'level_change_db': round(10 * float(np.log10((kept + tiny) / (whole + tiny))), 2),
        'estimated_snr_db': round(10 * float(np.log10((kept + tiny) / (rest + tiny))), 2),
        'noise_file': None if options.noise is None else str(options.noise),
    }


def _method(options: argparse.Namespace) -> str:
    if options.visual == 'swvae':
        return 'the switch of recordings (swvae)'
    if options.visual != 'off':
        return f'the live stream with eyes ({options.visual})'
    return 'lsa' if options.prior == NONE else options.method


def _print(result: dict) -> None:
    told = f'{result["file"]}: {result["duration_s"]:.1f} s by {result["method"]}'
    print(f'{told}; voice over noise, as estimated: {result["estimated_snr_db"]:.1f} dB')
    bad = result['samples_that_were_no_numbers']
    if bad:
        print(f'{bad} samples were no numbers and became silence: check how it was recorded')
