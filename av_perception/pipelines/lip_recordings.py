# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings to the moments in which lips can be learnt from: all stages of the suite, offline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from av_perception.interfaces import MouthFrame
from av_perception.lips.examples import LipExample, Sound, lip_examples
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording
from av_perception.recording.timing import sample_stamp_ns

_RATE = 16000


def examples_of(
    recording: Recording, name: str, progress: Callable[[float], None] = lambda fraction: None
) -> tuple[list[LipExample], dict[str, float]]:
    """Track a recording, cut out its mouths, and choose the moments to learn from.

    Parameters
    ----------
    recording
        With images and the sound of an array.
    name
        How its people are called.
    progress
        Called with the fraction that is done.

    Returns
    -------
    examples : list of LipExample
        A person each.
    lost : dict
        Seconds of speech that do not count, by reason.

    Raises
    ------
    UserError
        Where there are no images.
    """
    pipeline = OfflinePipeline(recording)
    mouths: list[MouthFrame] = []
    pipeline.watch_mouths(mouths.append)
    frames = pipeline.run(progress)
    return lip_examples(name, frames, mouths, _sound(recording))


def _sound(recording: Recording) -> Sound:
    """Of the first microphone, at 16 kHz."""
    samples = recording.read_audio(0, recording.num_samples)[:, 0]
    samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    if recording.sample_rate != _RATE:
        samples = soxr.resample(samples, recording.sample_rate, _RATE)
    return Sound(START_NS + sample_stamp_ns(recording, 0), samples)
