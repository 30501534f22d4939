# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of enhanced voices, and their medians over clips."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.enhancement_clips import RATE, NoisyClip
from av_perception.benchmarks.enhancement_methods import Method
from av_perception.benchmarks.separation_scores import si_sdr
from av_perception.errors import UserError

FIGURES = ('si_sdr_db', 'pesq', 'estoi', 'cpu')


@dataclass(frozen=True)
class EnhancementRow:
    """One method on one clip.

    kind, snr_db: of the clip's noise; si_sdr_db: signal to distortion, up to a factor; pesq:
    wide-band; estoi: extended short-time objective intelligibility; cpu: processor time per
    second of sound.
    """

    method: str
    kind: str
    snr_db: float
    si_sdr_db: float
    pesq: float
    estoi: float
    cpu: float


def measure(clip: NoisyClip, name: str, method: Method) -> EnhancementRow:
    """Run a method on a clip. Raises UserError where a package of the figures is missing."""
    started = time.process_time()
    voice = method(clip.mixture)
    spent = (time.process_time() - started) / clip.duration_s
    return EnhancementRow(
        name,
        clip.kind,
        clip.snr_db,
        float(si_sdr(voice[:, None], clip.voice[:, None])[0]),
        _pesq(clip.voice, voice),
        estoi(clip.voice, voice),
        spent,
    )


def medians(rows: Sequence[EnhancementRow]) -> dict[str, dict[str, float]]:
    """Median of each figure by method, in the order in which methods come."""
    found = {}
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        found[method] = {
            figure: float(np.median([getattr(row, figure) for row in own])) for figure in FIGURES
        }
    return found


def _pesq(reference: np.ndarray, voice: np.ndarray) -> float:
    try:
        import pesq
    except ImportError:
        raise _missing('pesq') from None
    try:
        return float(pesq.pesq(RATE, reference, voice, 'wb'))
    except pesq.PesqError:  # it hears no utterance
        return 1.0


def estoi(reference: np.ndarray, voice: np.ndarray) -> float:
    """Intelligibility of a voice (N,); UserError where its package is missing."""
    try:
        import pystoi
    except ImportError:
        raise _missing('pystoi') from None
    return float(pystoi.stoi(reference, voice, RATE, extended=True))


def _missing(package: str) -> UserError:
    return UserError(
        f'this benchmark needs the package {package}: pip install "av_perception[evaluation]"'
    )
