# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rendered recordings, of which it is known what they are made of, as scenes to separate."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from av_perception.benchmarks.sensors import microphones_of
from av_perception.benchmarks.separation_scenes import RATE, SceneKind, SeparationScene
from av_perception.errors import UserError
from av_perception.recording import Recording
from av_perception.recording.source_sounds import read_sources
from av_perception.recording.tables import TruthTable
from av_perception.separation.offline import DIRECTION_STEP_S


def recorded_scene(folder: Path) -> SeparationScene:
    """Open what `simulate --images` wrote.

    Parameters
    ----------
    folder
        A recording with `sources/` and the truth, its sound at 16 kHz.

    Raises
    ------
    UserError
        Where any of it is missing, or the rate is another one.
    """
    recording = Recording.open(folder)
    if recording.truth is None or recording.sample_rate != RATE:
        raise UserError(
            f'{folder} must have a truth.csv and sound at {RATE} Hz: render it with '
            'av-perception simulate --images'
        )
    parts = read_sources(folder)
    array = microphones_of(recording.head)
    ids = sorted(parts.images)
    mixture = recording.read_audio(0, recording.num_samples).astype(float)
    images = np.stack([parts.images[i][: len(mixture)] for i in ids], axis=2)
    dry = np.stack([parts.dry[i][: len(mixture)] for i in ids], axis=1)
    times = np.arange(len(mixture) // round(DIRECTION_STEP_S * RATE) + 1) * DIRECTION_STEP_S
    places = np.stack([_places(recording.truth, i, times, folder) for i in ids], axis=1)
    away = array.base_from_array.inverse().apply(places.reshape(-1, 3)).reshape(places.shape)
    directions = away / np.maximum(np.linalg.norm(away, axis=2, keepdims=True), 1e-9)
    noise = parts.noise[: len(mixture)]
    kind = SceneKind(talkers=len(ids))
    return SeparationScene(kind, array, mixture, images, noise, dry, directions, Path(folder).name)


def _places(truth: TruthTable, person: int, times: np.ndarray, folder: Path) -> np.ndarray:
    """(T, 3) [m] of a person in the head's base frame."""
    own = truth.id == person
    if not own.any():
        raise UserError(f'{folder} has sound of person {person}, of whom the truth says nothing')
    columns = truth.position[own].T
    return np.stack([np.interp(times, truth.time_s[own], column) for column in columns], axis=1)
