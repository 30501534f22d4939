# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Separation of one channel by faces: its arguments, its files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from av_perception.errors import UserError

BY_FACES = 'av-vae'
_PRIOR = 'wide_vae'


def add_face_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `separate --method av-vae` needs."""
    group = parser.add_argument_group('av-vae')
    group.add_argument(
        '--visual', type=Path, metavar='FILE', help='features of the people of this recording'
    )
    group.add_argument(
        '--visual-prior', type=Path, metavar='FILE', help='what features say of speech (.npz)'
    )
    group.add_argument(
        '--channel', type=int, default=0, metavar='N', help='of the recording, from 0 (default 0)'
    )


def check_faces(options: argparse.Namespace) -> None:
    """Raise UserError where arguments do not go together."""
    named = (options.visual, options.visual_prior)
    if options.method != BY_FACES:
        if any(one is not None for one in named):
            raise UserError(f'--visual and --visual-prior go with --method {BY_FACES}')
        return
    if any(one is None for one in named):
        raise UserError(
            f'--method {BY_FACES} needs --visual (features of the people) and --visual-prior '
            '(what `av-perception train` made of such features)'
        )
    if options.directions is not None or options.tracks is not None or options.people is not None:
        raise UserError(
            f'--method {BY_FACES} takes the people of --visual: leave out --people, --directions '
            'and --tracks'
        )
    if options.channel < 0:
        raise UserError(f'--channel must not be negative, but is {options.channel}')


def separate_by_faces(
    options: argparse.Namespace,
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Read everything and separate: ids (J,), samples (N,) at 16 kHz, voices (N, J)."""
    from rich.progress import Progress

    from av_perception.audio_visual.offline import separate_seen
    from av_perception.audio_visual.people_file import load_people
    from av_perception.audio_visual.visual_files import load_visual_prior
    from av_perception.dvae.speech_prior import load_prior

    people = load_people(options.visual)
    visual, card = load_visual_prior(options.visual_prior)
    prior = load_prior(str(card.get('speech_prior', _PRIOR)))
    sizes = {seen.features.shape[1] for seen in people.values()}
    if sizes != {visual.num_features} or visual.num_latents != prior.num_latents:
        raise UserError(
            f'{options.visual_prior} is of {visual.num_features} features, {options.visual} has '
            f'{sizes.pop()} per image: train the prior on such features'
        )
    samples, start_s = _one_channel(options.recording, options.channel)
    known = any(seen.speaking is not None for seen in people.values())
    with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(BY_FACES, total=1.0)
        voices = separate_seen(
            samples,
            prior,
            visual,
            [_shifted(seen.at, start_s) for seen in people.values()],
            [_shifted(seen.speaking_at, start_s) for seen in people.values()] if known else None,
            progress=lambda fraction: bar.update(task, completed=fraction),
        )
    return list(people), samples, voices


def _shifted(function, start_s: float):
    """Take times after the first sample in place of those on the recording's clock."""
    return lambda times: function(times + start_s)


def _one_channel(path: Path, channel: int) -> tuple[np.ndarray, float]:
    """(N,) at 16 kHz, finite, and the stamp of the first sample [s]."""
    from av_perception.enhancement.prior import RATE
    from av_perception.recording import Recording
    from av_perception.recording.sound_file import open_sound, read_samples

    if not path.exists():
        raise UserError(f'there is no recording {path}: give a sound file or a recording folder')
    if path.is_dir():
        recording = Recording.open(path)
        every = recording.read_audio(0, recording.num_samples)
        rate, start_s = recording.sample_rate, recording.audio_start_s
    else:
        with open_sound(path) as sound:
            every = read_samples(sound, 0, sound.frames)
            rate, start_s = sound.samplerate, 0.0
    if channel >= every.shape[1]:
        raise UserError(
            f'{path} has {every.shape[1]} channels: --channel must lie in '
            f'0..{every.shape[1] - 1}, not {channel}'
        )
    samples = np.nan_to_num(every[:, channel], nan=0.0, posinf=0.0, neginf=0.0)
    if rate != RATE:
        import soxr

        samples = soxr.resample(samples, rate, RATE)
    return samples, start_s
