# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks when, and the dry sound of every talker: turns, voices, the voice's own activity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, sosfilt

from av_perception.errors import UserError
from av_perception.recording.sound_file import read_sound
from av_perception.simulation.activity import voice_activity
from av_perception.simulation.assets import VOICES, asset_path, resample
from av_perception.simulation.clips import read_clip_audio
from av_perception.simulation.scene import ConversationConfig, Scene, TalkerConfig

LONGEST_PAUSE_S = 0.35  # pauses of the source recordings are cut to this
FADE_S = 0.02  # at the begin and end of a turn
_RUMBLE_HZ = 70.0

Turn = tuple[float, float]


@dataclass(frozen=True)
class DrySpeech:
    """What one talker utters.

    Attributes
    ----------
    samples
        (N,) of unit power while active.
    active
        (N,) bool: the voice sounds.
    turns
        [start, end) [s].
    """

    samples: np.ndarray
    active: np.ndarray
    turns: tuple[Turn, ...]


def plan_turns(scene: Scene, seed: int, lengths: dict[int, float]) -> dict[int, tuple[Turn, ...]]:
    """Give every talker turns: those of the scene, else drawn from the seed.

    Talkers who have no turns of their own take turns among themselves.

    Parameters
    ----------
    scene
        With its talkers.
    seed
        Of what is drawn.
    lengths
        [s] of turns, by id, of talkers whose turns have one length (a clip).

    Returns
    -------
    dict
        Turns (start, end) [s] by id.
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
    """Let talkers take turns, some of which begin before the last one ended.

    Parameters
    ----------
    config
        Lengths of turns and pauses, share of overlap.
    duration
        [s] turns begin before it.
    ids, random
        Of the talkers; source of what is drawn.
    lengths
        [s] of turns, by id, of talkers whose turns have one length.

    Returns
    -------
    dict
        Turns (start, end) [s] by id.
    """
    turns: dict[int, list[Turn]] = {key: [] for key in ids}
    longest_overlap, share = _overlap(config, len(ids))
    end = 0.0
    for speaker in _speakers(ids, random):
        if end >= duration:
            break
        if end > 0.0 and random.random() < share:
            gap = -longest_overlap * random.uniform(0.5, 1.0)
        else:
            gap = config.pause * random.uniform(0.4, 1.6) + 0.1
        own_end = turns[speaker][-1][1] + 0.2 if turns[speaker] else 0.0
        start = max(end + gap, own_end)
        end = start + lengths.get(speaker, random.uniform(*config.turn))
        turns[speaker].append((start, end))
    return {key: tuple(value) for key, value in turns.items()}


def _speakers(ids: list[int], random: np.random.Generator) -> Iterator[int]:
    """Name who speaks next, without end: nobody twice in a row, everybody equally often."""
    last: int | None = None
    while ids:
        order = random.permutation(ids).tolist()
        if order[-1] == last and len(order) > 1:
            order.reverse()
        while order:
            last = order.pop()
            yield last


def _overlap(config: ConversationConfig, num_talkers: int) -> tuple[float, float]:
    """Longest overlap of two turns [s], and the share of turns that begin before the last ended.

    The share is such that `config.overlap` of the time belongs to two at once.
    """
    longest = min(1.2, 0.6 * config.turn[0])
    if num_talkers < 2:
        return longest, 0.0
    mean_overlap = 0.75 * longest
    mean_turn = sum(config.turn) / 2
    share = config.overlap * mean_turn / (mean_overlap * (1 + config.overlap))
    return longest, min(1.0, share)


def load_voice(talker: TalkerConfig, sample_rate: int) -> np.ndarray:
    """Load the talker's whole voice, without rumble.

    Parameters
    ----------
    talker
        With a voice or a clip.
    sample_rate
        [Hz] wanted.

    Returns
    -------
    np.ndarray
        (samples,)

    Raises
    ------
    UserError
        When it cannot be read, is too short, silent or not finite.
    """
    if talker.clip:
        samples, rate = read_clip_audio(Path(talker.clip))
    else:
        path = asset_path(talker.voice) if talker.voice in VOICES else Path(talker.voice)
        try:
            channels, rate = read_sound(path)
        except UserError as error:
            raise UserError(f'the voice {path} is not a readable sound file: {error}') from error
        samples = channels[:, 0]
    if len(samples) < 0.2 * rate or not np.isfinite(samples).all() or np.ptp(samples) == 0:
        raise UserError(
            f'the voice {talker.voice or talker.clip} is shorter than 0.2 s, silent or not finite'
        )
    samples = resample(samples, rate, sample_rate)
    highpass = butter(2, _RUMBLE_HZ, 'highpass', fs=sample_rate, output='sos')
    return sosfilt(highpass, samples)


def utter(
    voice: np.ndarray, turns: tuple[Turn, ...], duration: float, sample_rate: int, restart: bool
) -> DrySpeech:
    """Lay a voice into turns; it is silent elsewhere and repeats when it ends.

    Parameters
    ----------
    voice
        (samples,)
    turns
        (start, end) [s].
    duration
        [s] of the speech.
    sample_rate
        [Hz]
    restart
        Whether every turn begins the voice anew (a clip, in step with its images); else a turn
        goes on, at the next sound, where the last one ended, and long pauses of the source are
        cut.
    """
    if not restart:
        voice = _cut_pauses(voice, voice_activity(voice, sample_rate), sample_rate)
    sounding = voice_activity(voice, sample_rate)
    if sounding.any():
        voice = voice / np.sqrt(np.mean(voice[sounding] ** 2))
    samples = np.zeros(int(round(duration * sample_rate)))
    _lay(samples, voice, np.flatnonzero(sounding), turns, sample_rate, restart)
    active = voice_activity(samples, sample_rate)
    return DrySpeech(samples * _smooth_gate(active, sample_rate), active, turns)


def _lay(
    samples: np.ndarray,
    voice: np.ndarray,
    onsets: np.ndarray,
    turns: tuple[Turn, ...],
    sample_rate: int,
    restart: bool,
) -> None:
    """Write the voice into the turns of `samples`. onsets: where in the voice a turn may begin."""
    position = 0
    for start, end in turns:
        first = int(round(start * sample_rate))
        last = min(int(round(end * sample_rate)), len(samples))
        if not restart and len(onsets):
            position = onsets[np.searchsorted(onsets, position) % len(onsets)]
        part = np.take(voice, np.arange(position, position + last - first), mode='wrap')
        samples[first:last] = part * _fades(last - first, int(FADE_S * sample_rate))
        position = 0 if restart else (position + last - first) % len(voice)


def _cut_pauses(voice: np.ndarray, active: np.ndarray, sample_rate: int) -> np.ndarray:
    """Drop of the voice what lies deeper than half of LONGEST_PAUSE_S inside a pause."""
    near = _widened(active, int(LONGEST_PAUSE_S / 2 * sample_rate))
    return voice[near] if near.any() else voice


def _smooth_gate(active: np.ndarray, sample_rate: int) -> np.ndarray:
    """(N,) in [0, 1]: 1 from 30 ms before to 30 ms after activity, with soft edges.

    So the source's own noise does not sound in pauses.
    """
    width = int(0.03 * sample_rate)
    widened = _widened(active, 2 * width).astype(float)
    return np.clip(uniform_filter1d(widened, 2 * width + 1, mode='constant'), 0.0, 1.0)


def _widened(active: np.ndarray, margin: int) -> np.ndarray:
    """(N,) bool: active within `margin` samples."""
    width = 2 * margin + 1
    return uniform_filter1d(active.astype(float), width, mode='constant') > 0.5 / width


def _fades(length: int, fade: int) -> np.ndarray:
    """(length,) in [0, 1]: rises and falls over `fade` samples."""
    ramp = np.minimum(np.arange(length), np.arange(length)[::-1]) / max(fade, 1)
    return np.clip(ramp, 0.0, 1.0)
