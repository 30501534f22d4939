# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Enhancement of a recording whose speaker is seen: the arguments, and the work."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from av_perception.audio_visual.offline import enhance_switched
from av_perception.audio_visual.seen_stream import OFF, SWVAE, VISUAL_MODES, SeenStream
from av_perception.dvae.speech_prior import load_prior
from av_perception.errors import UserError
from av_perception.lips.lip_model import LipModel, load_lips
from av_perception.lips.lip_reader import read_all
from av_perception.recording.mouth_files import read_mouths

_CHUNK = 16000  # samples


def add_visual_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        '--visual',
        choices=VISUAL_MODES,
        default=OFF,
        help='how the mouth of who speaks helps: not at all (default), as the prior of the '
        'latents, as a second encoder, or as the prior where a switch believes it',
    )
    parser.add_argument(
        '--lips', type=Path, metavar='FILE', help='what av-perception train lips made of yours'
    )
    parser.add_argument(
        '--mouths',
        type=Path,
        metavar='FILE',
        help='of who speaks, from second 0 of the sound (av-perception track --mouths)',
    )


class Eyes:
    """What is seen of the speaker, and how it helps."""

    def __init__(self, model: LipModel, mode: str, mouths: list):
        self._model = model
        self._mode = mode
        self._seen = read_all(model.encoder, mouths)

    def enhanced(self, samples: np.ndarray) -> np.ndarray:
        """(N,) voice in samples (N,) at 16 kHz: by the switch of recordings, or a live stream."""
        prior = load_prior(self._model.speech_prior)
        if self._mode == SWVAE:
            return enhance_switched(samples, prior, self._model.visual, self._seen)
        stream = SeenStream(prior, self._model.visual, self._seen, self._mode)
        parts = [
            stream.push(samples[first : first + _CHUNK])
            for first in range(0, len(samples), _CHUNK)
        ]
        found = np.concatenate([*parts, stream.finish()])[: len(samples)]
        return found.astype(samples.dtype)


def open_eyes(options: argparse.Namespace) -> Eyes | None:
    """Read lips and mouths; None where nobody asks. Raises UserError where one is missing."""
    if options.visual == OFF:
        if options.lips or options.mouths:
            raise UserError('--lips and --mouths need --visual cvae, min_vae or swvae')
        return None
    if options.lips is None or options.mouths is None:
        raise UserError(f'--visual {options.visual} needs --lips and --mouths')
    return Eyes(load_lips(options.lips), options.visual, read_mouths(options.mouths))
