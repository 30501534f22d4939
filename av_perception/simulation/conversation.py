# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks when, and the dry sound of every talker: turns, voices, and the voice's own activity."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt

from av_perception.errors import UserError
from av_perception.simulation.activity import voice_activity
from av_perception.simulation.assets import VOICES, asset_path, resample
from av_perception.simulation.clips import read_clip_audio
from av_perception.simulation.scene import ConversationConfig, Scene, TalkerConfig

LONGEST_PAUSE_S = 0.35  # pauses of the source recordings are cut to this
FADE_S = 0.02

Turn = tuple[float, float]


@dataclass(frozen=True)
class DrySpeech:
    """What one talker utters. samples: (N,) of unit power while active; active: (N,) bool; turns: [start, end) in seconds."""

    samples: np.ndarray
    active: np.ndarray
    turns: tuple[Turn, ...]


def plan_turns(scene: Scene, seed: int, lengths: dict[int, float]) -> dict[int, tuple[Turn, ...]]:
    """Turns [s] of every talker by id: those the scene gives, else drawn from the seed.

    lengths: talkers whose turn has one length (a clip). Talkers who have no turns of their own take turns among themselves.
    """
    drawn = [talker.id for talker in scene.talkers if talker.turns is None]
    turns = draw_turns(
        scene.conversation, scene.duration, drawn, np.random.default_rng([seed, 1]), lengths
    )
    given = {talker.id: talker.turns for talker in scene.talkers if talker.turns is not None}
    everyone = {**turns, **given}
    last = scene.duration
    return {
        key: tuple((start, min(end, last)) for start, end in value if start < last)
        for key, value in everyone.items()
    }


def draw_turns(
    config: ConversationConfig,
    duration: float,
    ids: list[int],
    random: np.random.Generator,
    lengths: dict[int, float],
) -> dict[int, tuple[Turn, ...]]:
    """Turn taking: nobody speaks twice in a row, everybody equally often; some turns begin before the last one ended."""
    turns: dict[int, list[Turn]] = {key: [] for key in ids}
    if not ids:
        return {}
    longest_overlap = min(1.2, 0.6 * config.turn[0])
    mean_overlap, mean_turn = 0.75 * longest_overlap, sum(config.turn) / 2
    share = (
        min(1.0, config.overlap * mean_turn / (mean_overlap * (1 + config.overlap)))
        if len(ids) > 1
        else 0.0
    )
    last, end, order = None, 0.0, []
    while end < duration:
        if not order:
            order = list(random.permutation(ids))
            if order[-1] == last and len(order) > 1:
                order.reverse()
        speaker = int(order.pop())
        overlaps = last is not None and random.random() < share
        gap = (
            -longest_overlap * random.uniform(0.5, 1.0)
            if overlaps
            else config.pause * random.uniform(0.4, 1.6) + 0.1
        )
        own_end = turns[speaker][-1][1] + 0.2 if turns[speaker] else 0.0
        start = max(end + gap, own_end)
        turns[speaker].append((start, start + lengths.get(speaker, random.uniform(*config.turn))))
        last, end = speaker, turns[speaker][-1][1]
    return {key: tuple(value) for key, value in turns.items()}


def load_voice(talker: TalkerConfig, sample_rate: int) -> np.ndarray:
    """(samples,) of the talker's voice, whole, without rumble. Raises UserError."""
    if talker.clip:
        samples, rate = read_clip_audio(Path(talker.clip))
    else:
        path = asset_path(talker.voice) if talker.voice in VOICES else Path(talker.voice)
        try:
            channels, rate = soundfile.read(str(path), always_2d=True)
        except (RuntimeError, OSError) as error:
            raise UserError(f'the voice {path} is not a readable sound file: {error}') from error
        samples = channels[:, 0]
    if len(samples) < 0.2 * rate or not np.isfinite(samples).all() or np.ptp(samples) == 0:
        raise UserError(
            f'the voice {talker.voice or talker.clip} is shorter than 0.2 s, silent or not finite'
        )
    samples = resample(samples, rate, sample_rate)
    return sosfilt(butter(2, 70.0, 'highpass', fs=sample_rate, output='sos'), samples)


def utter(
    voice: np.ndarray, turns: tuple[Turn, ...], duration: float, sample_rate: int, restart: bool
) -> DrySpeech:
    """The voice laid into the turns, silent elsewhere.

    restart: every turn begins the voice anew (a clip, in step with its images); else a turn goes on, at the next sound, where the last one
    ended, and long pauses of the source are cut. The voice repeats when it ends.
    """
    if not restart:
        voice = _cut_pauses(voice, voice_activity(voice, sample_rate), sample_rate)
    sounding = voice_activity(voice, sample_rate)
    voice = voice / np.sqrt(np.mean(voice[sounding] ** 2)) if sounding.any() else voice
    onsets = np.flatnonzero(sounding)
    samples, position = np.zeros(int(round(duration * sample_rate))), 0
    for start, end in turns:
        first, last = (
            int(round(start * sample_rate)),
            min(int(round(end * sample_rate)), len(samples)),
        )
        if not restart and len(onsets):
            position = onsets[np.searchsorted(onsets, position) % len(onsets)]
        taken = np.take(voice, np.arange(position, position + last - first), mode='wrap')
        samples[first:last] = taken * _fades(last - first, int(FADE_S * sample_rate))
        position = 0 if restart else (position + last - first) % len(voice)
    active = voice_activity(samples, sample_rate)
    return DrySpeech(samples * _smooth_gate(active, sample_rate), active, turns)


def _cut_pauses(voice: np.ndarray, active: np.ndarray, sample_rate: int) -> np.ndarray:
    """The voice without what lies deeper than half of LONGEST_PAUSE_S inside a pause."""
    margin = int(LONGEST_PAUSE_S / 2 * sample_rate)
    near = uniform_filter1d(active.astype(float), 2 * margin + 1, mode='constant') > 0.5 / (
        2 * margin + 1
    )
    return voice[near] if near.any() else voice


def _smooth_gate(active: np.ndarray, sample_rate: int) -> np.ndarray:
    """(N,) in [0, 1]: 1 from 30 ms before to 30 ms after activity, with soft edges: the source's own noise does not sound in pauses."""
    width = int(0.03 * sample_rate)
    widened = uniform_filter1d(active.astype(float), 4 * width + 1, mode='constant') > 0.5 / (
        4 * width + 1
    )
    return np.clip(
        uniform_filter1d(widened.astype(float), 2 * width + 1, mode='constant'), 0.0, 1.0
    )


def _fades(length: int, fade: int) -> np.ndarray:
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) / max(fade, 1)
    return np.clip(ramp, 0.0, 1.0)
