# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well methods find directions of talkers, and what the audio front end costs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.front_end import AudioFrontEnd, AudioFrontEndConfig
from av_perception.benchmarks.hearing_methods import OURS, PEERS, by_map, by_peer, free_field
from av_perception.benchmarks.hearing_trials import (
    RATE,
    Trial,
    dummy_heads,
    real_recordings,
    simulated_room,
    voices,
)
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk
from av_perception.robot_head import load_head

METHODS = (OURS, *PEERS)
TOLERANCE_DEG = 10.0
_REAL_TRIALS = 9  # recordings, and twice 25 directions of dummy heads
_DUMMY_HEAD_TRIALS = 2 * 25
_FAR_DEG = 1e3  # cost of a pair outside the tolerance
_CHUNK_S = 0.016


@dataclass(frozen=True)
class HearingConfig:
    """Which rooms are simulated."""

    #: names of the heads
    heads: tuple[str, ...]
    #: T60 [s]
    reverberations_s: tuple[float, ...]
    #: signal-to-noise ratios [dB]
    snrs_db: tuple[float, ...]
    #: numbers of talkers
    talkers: tuple[int, ...]
    #: rooms per head, reverberation and number of talkers
    trials: int
    #: length of each simulated sound [s]
    duration_s: float
    #: of everything that is drawn
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What one method made of one trial."""

    #: true number of sources
    sources: int
    #: number of azimuths that belong to no source
    ghosts: int
    #: errors of the sources found [deg]
    errors_deg: list[float]
    #: processor time per second of sound
    real_time_factor: float


@dataclass(frozen=True)
class HearingRow:
    """Figures of one method in one condition."""

    #: what was heard
    condition: str
    #: one of METHODS
    method: str
    #: how many sounds there were
    sounds: int
    #: share of the sources found
    recall: float
    #: ghosts per sound
    ghosts: float
    #: share of the sounds with all sources found and no ghost
    all_right: float
    #: median over the sources found [deg]
    error_deg: float | None
    #: largest over the sources found [deg]
    worst_deg: float | None
    #: processor time per second of sound, median
    real_time_factor: float


Outcomes = dict[tuple[str, str], list[Outcome]]  # by condition and method


def make_trials(
    config: HearingConfig, data: Path | None
) -> Iterator[tuple[Trial, AcousticMap | None]]:
    """Make all trials.

    Parameters
    ----------
    config
        Which rooms are simulated.
    data
        Data folder; None leaves out what needs it.

    Yields
    ------
    trial : Trial
        What is heard.
    acoustic_map : AcousticMap or None
        The map to use; None for the head's.
    """
    random = np.random.default_rng(config.seed)
    talkers = voices(data)
    for name, reverberation_s, count in product(
        config.heads, config.reverberations_s, config.talkers
    ):
        for _ in range(config.trials):
            head = free_field(load_head(name))
            for trial in simulated_room(
                head,
                reverberation_s,
                config.snrs_db,
                count,
                talkers,
                random,
                config.duration_s,
            ):
                yield trial, None
    if data is not None:
        for trial in real_recordings(data):
            yield trial, None
        yield from dummy_heads(data, talkers, random, config.duration_s)


def count_trials(config: HearingConfig, data: Path | None) -> int:
    """Count what `make_trials` makes, for a progress bar."""
    rooms = len(config.heads) * len(config.reverberations_s) * len(config.talkers) * config.trials
    simulated = rooms * len(config.snrs_db)
    return simulated if data is None else simulated + _REAL_TRIALS + _DUMMY_HEAD_TRIALS


def try_method(method: str, trial: Trial, acoustic_map: AcousticMap | None) -> Outcome:
    """Localize a trial's sources and take the time.

    Parameters
    ----------
    method
        One of METHODS.
    trial
        What is heard.
    acoustic_map
        For OURS; None for the head's.

    Returns
    -------
    Outcome
        Errors and time.
    """
    if method == OURS:
        # The map is learned once for a head and kept, so its time does not count.
        by_map(trial.sound[: RATE // 2], trial.head, 1, acoustic_map)
    count = len(trial.azimuths_deg)
    started = time.process_time()
    if method == OURS:
        azimuths = by_map(trial.sound, trial.head, count, acoustic_map)
    else:
        azimuths = by_peer(method, trial.sound, trial.head, count)
    spent_s = time.process_time() - started
    errors = compare(azimuths, trial.azimuths_deg)
    factor = spent_s * RATE / len(trial.sound)
    return Outcome(count, len(azimuths) - len(errors), errors, factor)


def compare(azimuths_deg: np.ndarray, true_deg: np.ndarray) -> list[float]:
    """Pair azimuths one to one, as many as possible within the tolerance, as near as possible.

    Parameters
    ----------
    azimuths_deg, true_deg
        (N,) and (M,) [deg].

    Returns
    -------
    list of float
        Errors [deg] of the pairs.
    """
    difference = np.subtract.outer(azimuths_deg, true_deg)
    error = np.abs((difference + 180) % 360 - 180)
    rows, columns = linear_sum_assignment(np.where(error <= TOLERANCE_DEG, error, _FAR_DEG))
    return [float(e) for e in error[rows, columns] if e <= TOLERANCE_DEG]


def rows_of(outcomes: Outcomes) -> list[HearingRow]:
    """Make a row of figures per condition and method."""
    return [_row(condition, method, group) for (condition, method), group in outcomes.items()]


def summarize(outcomes: Outcomes) -> list[HearingRow]:
    """Pool the simulated rooms over heads and noise.

    Parameters
    ----------
    outcomes
        By condition and method.

    Returns
    -------
    list of HearingRow
        Simulated rooms by number of talkers and reverberation, other sounds as they are.
    """
    pooled: Outcomes = defaultdict(list)
    for (condition, method), group in outcomes.items():
        parts = condition.split(', ')
        if len(parts) == 4:  # head, talkers, reverberation, noise
            condition = ', '.join(parts[1:3])
        pooled[condition, method] += group
    return rows_of(pooled)


def _row(condition: str, method: str, outcomes: list[Outcome]) -> HearingRow:
    errors = [error for outcome in outcomes for error in outcome.errors_deg]
    sources = np.array([outcome.sources for outcome in outcomes])
    located = np.array([len(outcome.errors_deg) for outcome in outcomes])
    ghosts = np.array([outcome.ghosts for outcome in outcomes])
    all_right = (located == sources) & (ghosts == 0)
    return HearingRow(
        condition,
        method,
        len(outcomes),
        recall=float(located.sum() / sources.sum()),
        ghosts=float(ghosts.mean()),
        all_right=float(all_right.mean()),
        error_deg=float(np.median(errors)) if errors else None,
        worst_deg=max(errors, default=None),
        real_time_factor=float(np.median([outcome.real_time_factor for outcome in outcomes])),
    )


def front_end_share(seconds: float = 10.0, repetitions: int = 5) -> float:
    """Measure the streaming front end on four channels in chunks of 16 ms.

    Parameters
    ----------
    seconds
        Length of the sound [s].
    repetitions
        How often it is heard.

    Returns
    -------
    float
        Processor time per second of sound, median of the repetitions.
    """
    random = np.random.default_rng(0)
    count = round(_CHUNK_S * RATE)
    sound = 0.05 * random.standard_normal((round(seconds * RATE), 4)).astype(np.float32)
    # Pauses, as speech has them: an eighth of a second is sound or silence.
    is_on = np.repeat(random.random(round(8 * seconds)) < 0.6, RATE // 8)
    sound *= is_on[: len(sound), None]
    shares = []
    for _ in range(repetitions):
        front_end = AudioFrontEnd(AudioFrontEndConfig(), 4, RATE)
        started = time.process_time()
        for start in range(0, len(sound), count):
            samples = sound[start : start + count]
            front_end.push(AudioChunk(nanoseconds(start / RATE), RATE, start, samples))
        shares.append((time.process_time() - started) / seconds)
    return float(np.median(shares))
