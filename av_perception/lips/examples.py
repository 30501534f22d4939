# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Moments of a recording in which lips can be learnt from: one speaks, alone, clear and seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import NANOSECONDS, seconds
from av_perception.interfaces import MouthCrop, MouthFrame, SpeakingFrame, TrackFrame
from av_perception.lips.mouth_tracks import mouths_by_track

_SPEAKS = 0.7  # probability from which on somebody speaks
_SILENT = 0.3  # and up to which the others do not
_BRIDGED_S = 0.24  # pauses within speech
_SHORTEST_S = 0.6
_LEAST_SNR_DB = 15.0
_RELIABLE = 0.5
_LEAST_SEEN = 0.8  # share of the images of a stretch that show the mouth well
_LEAST_SILENCE_S = 0.4  # from which the noise is known; else by the quietest tenth
_BLOCK_S = 0.04
#: so long before a stretch its mouth is looked at already: how it looks on average
_LEAD_S = 4.0


@dataclass(frozen=True)
class Stretch:
    """Somebody speaks alone. start_ns: of samples (N,) at 16 kHz."""

    start_ns: int
    samples: np.ndarray


@dataclass(frozen=True)
class LipExample:
    """One person of a recording.

    Attributes
    ----------
    name
        Recording and id of the track.
    stretches
        What is said.
    mouths
        Stamps [ns] and crops of the mouth, growing, around all of it.
    """

    name: str
    stretches: tuple[Stretch, ...]
    mouths: tuple[tuple[int, MouthCrop], ...]

    @property
    def duration_s(self) -> float:
        """Of all stretches [s]."""
        return sum(len(one.samples) for one in self.stretches) / 16000


@dataclass(frozen=True)
class Sound:
    """One microphone at 16 kHz: (N,) samples, the first captured at start_ns."""

    start_ns: int
    samples: np.ndarray

    def between(self, first_ns: int, last_ns: int) -> tuple[int, np.ndarray]:
        """Stamp [ns] and samples of a time."""
        first = max(0, round(seconds(first_ns - self.start_ns) * 16000))
        last = max(first, round(seconds(last_ns - self.start_ns) * 16000))
        stamp_ns = self.start_ns + first * NANOSECONDS // 16000
        return stamp_ns, self.samples[first:last]


def lip_examples(
    name: str,
    frames: Sequence[tuple[TrackFrame, SpeakingFrame]],
    mouths: Sequence[MouthFrame],
    sound: Sound,
) -> tuple[list[LipExample], dict[str, float]]:
    """Choose the moments of a recording, called by a name, to learn from.

    Parameters
    ----------
    frames, mouths
        Tracks and who speaks, image by image, and the mouths in the images.
    sound
        Of one microphone.

    Returns
    -------
    examples : list of LipExample
        People with a stretch or more.
    lost : dict
        Seconds of speech that do not count, by reason.
    """
    stamps_ns = np.array([tracks.stamp_ns for tracks, _ in frames])
    speaking = _speaking(frames)
    quiet = noise_power(sound, stamps_ns, speaking)
    seen = mouths_by_track((tracks for tracks, _ in frames), mouths)
    lost = {'others speak too': 0.0, 'not seen well': 0.0, 'too noisy': 0.0, 'too short': 0.0}
    examples = []
    for key, own in speaking.items():
        others = [p for other, p in speaking.items() if other != key]
        alone = np.all([p <= _SILENT for p in others], axis=0) if others else own >= 0
        lost['others speak too'] += float(((own >= _SPEAKS) & ~alone).sum() * _BLOCK_S)
        spans = _spans((own >= _SPEAKS) & alone, alone, stamps_ns)
        stretches = _stretches(spans, sound, quiet, seen.get(key, []), lost)
        if stretches:
            first_ns = stretches[0].start_ns - int(_LEAD_S * NANOSECONDS)
            crops = tuple(row for row in seen[key] if row[0] >= first_ns)
            examples.append(LipExample(f'{name}, person {key}', tuple(stretches), crops))
    return examples, lost


def _stretches(
    spans: list[tuple[int, int]],
    sound: Sound,
    quiet: float,
    seen: list[tuple[int, MouthCrop]],
    lost: dict[str, float],
) -> list[Stretch]:
    """Keep what is clear and seen; the seconds of the rest are added to `lost` by reason."""
    kept = []
    for span in spans:
        start_ns, samples = sound.between(*span)
        reason = _reason(samples, quiet, seen, span)
        if reason:
            lost[reason] += seconds(span[1] - span[0])
        else:
            kept.append(Stretch(start_ns, samples))
    return kept


def noise_power(sound: Sound, stamps_ns: np.ndarray, speaking: dict[int, np.ndarray]) -> float:
    """Mean power of the sound while nobody speaks; by its quietest tenth where that is short."""
    size = int(_BLOCK_S * 16000)
    count = len(sound.samples) // size
    power = (sound.samples[: count * size].reshape(count, size).astype(float) ** 2).mean(axis=1)
    centers_ns = sound.start_ns + ((np.arange(count) + 0.5) * _BLOCK_S * NANOSECONDS).astype(int)
    nobody = np.ones(len(stamps_ns), bool)
    for probability in speaking.values():
        nobody &= probability <= _SILENT
    if not count or not len(stamps_ns):
        return 0.0
    nearest = np.clip(np.searchsorted(stamps_ns, centers_ns), 0, len(stamps_ns) - 1)
    silent = power[nobody[nearest]]
    if len(silent) * _BLOCK_S >= _LEAST_SILENCE_S:
        return float(np.median(silent))
    return float(np.quantile(power, 0.1))


def _speaking(frames: Sequence[tuple[TrackFrame, SpeakingFrame]]) -> dict[int, np.ndarray]:
    """(T,) probability of speaking of everybody, 0 where there is no track."""
    ids = {status.id for _, said in frames for status in said.statuses}
    found = {key: np.zeros(len(frames)) for key in sorted(ids)}
    for index, (_, said) in enumerate(frames):
        for status in said.statuses:
            found[status.id][index] = status.probability
    return found


def _spans(speaks: np.ndarray, alone: np.ndarray, stamps_ns: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) stamps of speech [ns]; pauses in which nobody else speaks are bridged."""
    spans: list[tuple[int, int]] = []
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speaks, [False]]).astype(int)))
    for begin, end in zip(edges[::2], edges[1::2]):
        first, last = int(stamps_ns[begin]), int(stamps_ns[end - 1])
        if spans and first - spans[-1][1] <= _BRIDGED_S * NANOSECONDS:
            between = (stamps_ns > spans[-1][1]) & (stamps_ns < first)
            if alone[between].all():
                spans[-1] = (spans[-1][0], last)
                continue
        spans.append((first, last))
    return spans


def _reason(
    samples: np.ndarray,
    quiet: float,
    seen: list[tuple[int, MouthCrop]],
    span: tuple[int, int],
) -> str:
    """Say why a stretch does not count, '' when it does."""
    if len(samples) < _SHORTEST_S * 16000:
        return 'too short'
    power = float((samples.astype(float) ** 2).mean())
    if 10 * np.log10(max(power, 1e-20) / max(quiet, 1e-20)) <= _LEAST_SNR_DB:
        return 'too noisy'
    good = [s for s, crop in seen if span[0] <= s <= span[1] and crop.reliability >= _RELIABLE]
    expected = seconds(span[1] - span[0]) / _BLOCK_S
    return '' if len(good) >= _LEAST_SEEN * expected else 'not seen well'
