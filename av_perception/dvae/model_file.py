# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Models in files: plain arrays, half precision where that is enough, sizes beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from av_perception.array_files import json_of
from av_perception.dvae.config import DvaeConfig
from av_perception.dvae.families import MODELS
from av_perception.dvae.model import DynamicalVae
from av_perception.errors import UserError

CARD = 'card'  # the name of the entry that is text


def save_model(path: Path, model: DynamicalVae, card: Mapping, half: bool = True) -> None:
    """Write a model.

    Parameters
    ----------
    path
        The .npz file.
    model
        A model of NumPy arrays.
    card
        What else is known of it, of numbers and text: training, data, figures.
    half
        Whether numbers are kept in half precision.
    """
    card = {**card, 'model': model.name, 'config': asdict(model.config)}
    kind = np.float16 if half else np.float32
    arrays: dict[str, Any] = {
        name: np.asarray(values, kind) for name, values in model.parameters.items()
    }
    arrays[CARD] = np.frombuffer(json.dumps(card, sort_keys=True).encode(), np.uint8)
    try:
        np.savez_compressed(path, **arrays)
    except OSError as error:
        raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def model_of(
    arrays: Mapping[str, np.ndarray],
    source: str,
    kinds: Mapping[str, type[DynamicalVae]] = MODELS,
    config_type: type[DvaeConfig] = DvaeConfig,
) -> tuple[DynamicalVae, dict]:
    """Make the model that arrays of a file are, in single precision, and its card.

    Parameters
    ----------
    arrays, source
        As `networks.weights.read_arrays` gives them, and the file, for messages.
    kinds, config_type
        Models that it may be, by name, and the class of their configuration.

    Returns
    -------
    tuple
        The model, and what `save_model` was told of it.

    Raises
    ------
    UserError
        When arrays are missing, of other shapes or not finite.
    """
    try:
        card = json_of(arrays[CARD])
        config = config_type(**card['config'])
        kind = kinds[card['model']]
        parameters = {}
        for name, shape in kind.shapes(config).items():
            values = np.ascontiguousarray(arrays[name], np.float32)
            if values.shape != shape or not np.isfinite(values).all():
                raise ValueError(f'{name} is not {shape} finite numbers')
            parameters[name] = values
    except (KeyError, TypeError, ValueError) as error:
        reason = ' '.join(str(error).split())
        raise UserError(f'{source} holds no dynamical VAE ({reason}): train it again') from error
    return kind(config, parameters), card
