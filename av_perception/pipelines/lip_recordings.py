# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Recordings to the moments in which lips can be learnt from: all stages of the suite, offline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr

from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioChunk, MouthFrame
from av_perception.lips.examples import LipExample, Sound, lip_examples
from av_perception.pipelines.full import OfflinePipeline, Result
from av_perception.recording import Recording

_RATE = 16000

#: Runs a recording through its pipeline.
Run = Callable[[OfflinePipeline], list[Result]]


class ListeningPipeline(OfflinePipeline):
    """Keeps the sound of the first microphone."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self._chunks: list[tuple[int, int, np.ndarray]] = []  # stamp [ns], rate, samples

    def hear(self, chunk: AudioChunk) -> None:
        """See `OfflinePipeline`."""
        samples = np.nan_to_num(chunk.samples[:, 0], nan=0.0, posinf=0.0, neginf=0.0)
        self._chunks.append((chunk.stamp_ns, chunk.sample_rate, samples))
        super().hear(chunk)

    def sound(self) -> Sound:
        """Give all that was heard, at 16 kHz; gaps are silent."""
        if not self._chunks:
            return Sound(0, np.zeros(0, np.float32))
        start_ns, rate, _ = self._chunks[0]
        places = [round(seconds(stamp_ns - start_ns) * rate) for stamp_ns, _, _ in self._chunks]
        ends = [place + len(row[2]) for place, row in zip(places, self._chunks)]
        whole = np.zeros(max(ends), np.float32)
        for place, (_, _, samples) in zip(places, self._chunks):
            if place >= 0:
                whole[place : place + len(samples)] = samples
        if rate != _RATE:
            whole = soxr.resample(whole, rate, _RATE)
        return Sound(start_ns, whole)


def examples_of(
    recording: Recording, name: str, run: Run = lambda pipeline: pipeline.run()
) -> tuple[list[LipExample], dict[str, float]]:
    """Track a recording, cut out its mouths, and choose the moments to learn from.

    Parameters
    ----------
    recording
        With images and the sound of an array.
    name
        How its people are called.
    run
        Feeds the recording to its pipeline; of a bag somebody else has to.

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
    pipeline = ListeningPipeline(recording)
    mouths: list[MouthFrame] = []
    pipeline.watch_mouths(mouths.append)
    frames = run(pipeline)
    return lip_examples(name, frames, mouths, pipeline.sound())
