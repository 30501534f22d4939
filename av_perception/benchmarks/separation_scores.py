# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Figures of merit of separated voices, and a run of all methods over scenes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from av_perception.benchmarks.separation_methods import (
    BEST_MICROPHONE,
    MASKS,
    STREAMS,
    Trial,
    best_microphone,
    best_microphones,
    stream_microphones,
)
from av_perception.benchmarks.separation_scenes import RATE, SeparationScene
from av_perception.benchmarks.word_errors import spoken_words, word_error_rate
from av_perception.errors import UserError

_LOUD = 1e-3  # of the loudest 50 ms of the microphone: somebody speaks
_SILENT = 1e-5  # of a talker's loudest 50 ms: they do not
_TINY = 1e-12


@dataclass(frozen=True)
class SeparationRow:
    """One method on one scene: means over the talkers, and the talker with the least gain.

    si_sdr_db, sdr_db: signal to distortion, up to a factor and up to a filter of 512 taps;
    gain_db: SI-SDR above that of the best microphone, least_gain_db: of the talker with the least;
    pesq, stoi: by their packages; cpu: processor time per second of sound; word_errors: see
    `benchmarks/word_errors.py`, NaN unless asked for; least_stoi_gain: STOI above that of the best
    microphone, of the talker with the least; silent_db: of the talker with the most, the level of
    their voice while they are silent, over that of the first microphone, NaN where nobody is;
    stoi_gain: STOI above that of the best microphone; num_words: in the dry voices. NaN where a
    method does not work on a scene.
    """

    scene: str
    method: str
    si_sdr_db: float
    gain_db: float
    least_gain_db: float
    sdr_db: float
    pesq: float
    stoi: float
    cpu: float
    word_errors: float = float('nan')
    least_stoi_gain: float = float('nan')
    silent_db: float = float('nan')
    stoi_gain: float = float('nan')
    num_words: float = float('nan')


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Scale-invariant signal-to-distortion ratio (Le Roux, Wisdom, Erdogan and Hershey 2019).

    Parameters
    ----------
    estimate, reference
        (N, J).

    Returns
    -------
    np.ndarray
        (J,) [dB].
    """
    tiny = np.finfo(float).tiny
    factor = np.sum(estimate * reference, axis=0) / (np.sum(reference**2, axis=0) + tiny)
    target = factor * reference
    error = np.sum((estimate - target) ** 2, axis=0)
    return 10 * np.log10((np.sum(target**2, axis=0) + tiny) / (error + tiny))


def measure(
    scene: SeparationScene,
    methods: Sequence[str],
    seed: int,
    noted: Callable[[str, np.ndarray], None] = lambda method, voices: None,
    words: bool = False,
) -> Iterator[SeparationRow]:
    """Run methods on a scene.

    Parameters
    ----------
    scene, methods
        What they hear, and names in METHODS.
    seed
        Of the error of the directions.
    noted
        Called with each result, (N, J).
    words
        Whether a recognizer listens.

    Yields
    ------
    SeparationRow
        One per method.
    """
    trial = Trial(scene, seed)
    floor = _Floor.of(trial)
    spoken = spoken_words(scene.dry) if words else []
    for method in methods:
        started = time.process_time()
        voices = _result(trial, method)
        spent = (time.process_time() - started) / scene.duration_s
        if voices is None:
            yield SeparationRow(scene.label, method, *[float('nan')] * 7)
            continue
        noted(method, voices)
        row = _row(scene, method, voices, floor, spent)
        yield _with_words(row, voices, spoken) if words else row


def _with_words(row: SeparationRow, voices: np.ndarray, spoken: list[list[str]]) -> SeparationRow:
    num_words = float(sum(len(words) for words in spoken))
    return replace(row, word_errors=word_error_rate(voices, spoken), num_words=num_words)


def _result(trial: Trial, method: str) -> np.ndarray | None:
    """(N, J), None where the method does not work; of earlier results only masks are kept."""
    try:
        return trial.result(method)
    except (ValueError, np.linalg.LinAlgError):
        return None
    finally:
        trial.found = {name: trial.found[name] for name in (MASKS,) if name in trial.found}


@dataclass(frozen=True)
class _Floor:
    """What the best microphone gives each talker: (J,) SI-SDR [dB] and (J,) STOI."""

    si_sdr_db: np.ndarray
    stoi: np.ndarray

    @classmethod
    def of(cls, trial: Trial) -> _Floor:
        voices = best_microphone(trial)
        references = references_of(trial.scene, BEST_MICROPHONE)
        return cls(si_sdr(voices, references), _stois(voices, references))


def silent_level_db(voices: np.ndarray, scene: SeparationScene) -> np.ndarray:
    """Level of each voice while its talker is silent and others are not.

    Parameters
    ----------
    voices
        (N, J).
    scene
        That they are of.

    Returns
    -------
    np.ndarray
        (J,) over that of the first microphone [dB]; NaN for who is silent for less than 0.5 s.
    """
    size = RATE // 20
    count = len(voices) // size

    def powers(sound: np.ndarray) -> np.ndarray:
        return np.mean(sound[: count * size].reshape(count, size, -1) ** 2, axis=1)

    own = powers(scene.references)
    heard = powers(scene.mixture[:, :1])[:, 0]
    is_loud = heard > _LOUD * heard.max()
    levels = np.full(voices.shape[1], np.nan)
    for j, level in enumerate(powers(voices).T):
        silent = (own[:, j] < _SILENT * own[:, j].max()) & is_loud
        if silent.sum() >= 10:
            levels[j] = 10 * np.log10(level[silent].mean() / heard[silent].mean() + _TINY)
    return levels


def _row(
    scene: SeparationScene, method: str, voices, floor: _Floor, spent: float
) -> SeparationRow:
    references = references_of(scene, method)
    distortion = si_sdr(voices, references)
    gain = distortion - floor.si_sdr_db
    pairs = list(zip(references.T, voices.T))
    stois = _stois(voices, references)
    silent = silent_level_db(voices, scene)
    return SeparationRow(
        scene.label,
        method,
        float(distortion.mean()),
        float(gain.mean()),
        float(gain.min()),
        float(np.mean(filtered_sdr(voices, references))),
        float(np.mean([_pesq(reference, voice) for reference, voice in pairs])),
        float(stois.mean()),
        spent,
        least_stoi_gain=float((stois - floor.stoi).min()),
        silent_db=float('nan') if np.isnan(silent).all() else float(np.nanmax(silent)),
        stoi_gain=float((stois - floor.stoi).mean()),
    )


def references_of(scene: SeparationScene, method: str) -> np.ndarray:
    """(N, J) what a method should give: a microphone is compared with what it hears itself.

    Another microphone hears a voice a little earlier or later, which SI-SDR does not forgive.
    Streams are those of the nearer ear, enhanced or not.
    """
    is_stream = method == STREAMS or method.startswith(MASKS)
    if method != BEST_MICROPHONE and not is_stream:
        return scene.references
    best = best_microphones(scene) if method == BEST_MICROPHONE else stream_microphones(scene)
    return np.stack([scene.images[:, i, j] for j, i in enumerate(best)], axis=1)


def filtered_sdr(voices: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(J,) [dB] BSS-eval's SDR, which forgives a filter of 512 taps. Raises UserError."""
    package = _package('fast_bss_eval')
    # what does not sound at all has no SDR: a little noise has one, far below
    quiet = 1e-9 * np.random.default_rng(0).standard_normal(voices.shape)
    return package.sdr(references.T, (voices + quiet).T, filter_length=512)


def _pesq(reference: np.ndarray, voice: np.ndarray) -> float:
    package = _package('pesq')
    try:
        return float(package.pesq(RATE, reference, voice, 'wb'))
    except package.PesqError:  # it hears no utterance
        return 1.0


def _stois(voices: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(J,) short-time objective intelligibility; voices, references: (N, J)."""
    package = _package('pystoi')
    pairs = zip(references.T, voices.T, strict=True)
    return np.array([package.stoi(reference, voice, RATE) for reference, voice in pairs])


def _package(name: str):
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f'this benchmark needs the package {name}: pip install "av_perception[evaluation]", '
            'or pip install pesq pystoi fast-bss-eval'
        ) from None
