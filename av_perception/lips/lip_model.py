# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What `av-perception train lips` made, in a file: lips to features to latents of speech.

The weights are those of whose recordings they were learnt from; none ship. A file is accepted only
where people who were left out of the training gained what the gate asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.audio_visual.visual_files import load_visual_prior, save_visual_prior
from av_perception.audio_visual.visual_prior import LinearVisualPrior, VisualPrior
from av_perception.errors import UserError
from av_perception.lips.lip_reader import LipEncoder
from av_perception.networks.weights import read_arrays

#: [nat per frame] that people who were left out have to gain over a fixed Gaussian of the latents
LEAST_GAIN = 1.0
GAIN = 'nats_per_frame'
SPEECH_PRIOR = 'speech_prior'
_ARRAYS = ('lips.mean', 'lips.scale')


@dataclass(frozen=True)
class LipModel:
    """encoder: crops to features; visual: features to latents; card: what is known of them."""

    encoder: LipEncoder
    visual: VisualPrior
    card: dict

    @property
    def speech_prior(self) -> str:
        """Name of the prior of speech whose latents these are."""
        return str(self.card[SPEECH_PRIOR])


def save_lips(path: Path, encoder: LipEncoder, visual: LinearVisualPrior, card: Mapping) -> None:
    """Write a model. Raises UserError when it cannot be written."""
    save_visual_prior(path, visual, card)
    arrays: dict[str, Any] = dict(read_arrays(path))
    arrays.update(zip(_ARRAYS, (encoder.mean, encoder.scale)))
    try:
        np.savez_compressed(path, **arrays)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def load_lips(path: Path) -> LipModel:
    """Read a model.

    Raises
    ------
    UserError
        When there is no such file, it holds something else, or it did not pass the gate.
    """
    if not path.is_file():
        raise UserError(
            f'there are no lips at {path}: train them on recordings of yours '
            '(av-perception train lips), none ship'
        )
    visual, card = load_visual_prior(path)
    arrays = read_arrays(path)
    try:
        mean, scale = (np.asarray(arrays[name], np.float32) for name in _ARRAYS)
        encoder = LipEncoder(mean, scale)
        fits = mean.ndim == 1 and scale.shape == mean.shape
        fits = fits and visual.num_features == encoder.num_features
        gain = float(card[GAIN])
        card[SPEECH_PRIOR]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f'{path} holds no lips ({error}): train them again') from error
    if not fits or not np.isfinite(scale).all() or not np.isfinite(mean).all():
        raise UserError(f'{path} is damaged: train the lips again')
    if not gain >= LEAST_GAIN:
        raise UserError(
            f'the lips of {path} tell {gain:.2f} nat a frame of people who were left out, '
            f'{LEAST_GAIN:.0f} is needed: they are not used'
        )
    return LipModel(encoder, visual, card)
