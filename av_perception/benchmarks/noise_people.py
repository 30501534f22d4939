# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People whom a tracker without camera finds in noise, where there are none, and voices in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.audio.acoustic_map import AcousticMap
from av_perception.audio.direction_bins import BinBlock
from av_perception.audio.front_end import AudioFrontEndConfig
from av_perception.audio.map_learning import AcousticMapConfig, head_map
from av_perception.benchmarks.noise_sounds import (
    DISTANCE_M,
    LEVEL,
    RATE,
    START_NS,
    Listener,
    PlayedNoise,
    noise_features,
    play_from,
    take_samples,
)
from av_perception.benchmarks.sensors import microphones_of
from av_perception.geometry.rigid_transform import wrap_angle
from av_perception.geometry.time import nanoseconds, seconds
from av_perception.interfaces import AudioFeatures, TrackFrame
from av_perception.robot_head.profile import HeadProfile
from av_perception.tracking.association.noise_model import NoiseConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

AS_DETECTED = 'as detected'
WITH_ALARMS = 'with false alarms'
WITHOUT_MODEL = 'with false alarms, no noise model'
QUIET = 'quiet'
ALARM_DUTY = 0.2  # share of the time with false alarms
ALARM_S = 0.6  # mean length of a false alarm
VOICE_S = 6.0  # of voice ...
LEAD_S = 12.0  # ... after so much silence or noise
VOICE_SNR_DB = 10.0
_ALARM_ACTIVITY = 0.9
_BLOCK_S = 0.04
_AWAY_RAD = np.radians(40)  # least angle between voice and noise
_TOLERANCE_DEG = 10.0


@dataclass(frozen=True)
class Birth:
    """A person who is none."""

    #: when [s]
    second: float
    #: the noise that was on
    noise: str
    #: 'one place' or 'all around'
    played: str


@dataclass(frozen=True)
class VoiceResult:
    """How one voice was found."""

    #: name of the recording
    voice: str
    #: name of the noise, or QUIET
    noise: str
    #: speech heard until the person was found [s]; None: never
    speech_s: float | None
    #: mean while heard [deg]
    azimuth_error_deg: float | None
    #: how many people were found
    people: int


def noise_births(
    head: HeadProfile,
    noises: list[Path],
    seed: int,
    stretches: Iterable[int],
    alarms: bool = True,
) -> tuple[dict[str, list[Birth]], float]:
    """Find people in noise, all of whom are false.

    Parameters
    ----------
    head
        A head with an array of microphones.
    noises
        Recordings of noise.
    seed
        Of places, motors and false alarms.
    stretches
        Numbers of the stretches, see `noise_features`.
    alarms
        Whether the conditions with false alarms are tried, too.

    Returns
    -------
    births, voiced
        By condition (AS_DETECTED, WITH_ALARMS, WITHOUT_MODEL); share of the voiced frames.
    """
    registers = _registers(head, alarms)
    num_frames = 0
    num_voiced = 0
    random = np.random.default_rng(seed)
    alarm = false_alarms(np.random.default_rng(seed + 1))
    for played, features, blocks in noise_features(head, noises, random, stretches):
        num_frames += 1
        num_voiced += _is_voiced(features)
        alarmed = _alarmed(features, blocks, next(alarm))
        for name, register in registers.items():
            register.hear(*((features, blocks) if name == AS_DETECTED else alarmed), played)
    births = {name: register.births for name, register in registers.items()}
    return births, num_voiced / max(num_frames, 1)


def _registers(head: HeadProfile, alarms: bool) -> dict[str, _BirthRegister]:
    """Make a tracker for each condition."""
    plain = TrackerConfig()
    if not alarms:
        return {AS_DETECTED: _BirthRegister(head, plain)}
    without_model = dataclasses.replace(plain, noise=NoiseConfig(sources=0))
    return {
        AS_DETECTED: _BirthRegister(head, plain),
        WITH_ALARMS: _BirthRegister(head, plain),
        WITHOUT_MODEL: _BirthRegister(head, without_model),
    }


class _BirthRegister:
    """A tracker without camera, and the births of people in it."""

    def __init__(self, head: HeadProfile, config: TrackerConfig):
        self.births: list[Birth] = []
        self._tracker = Tracker(config, head, _map(head))
        self._known: set[int] = set()

    def hear(
        self, features: AudioFeatures, blocks: list[BinBlock] | None, played: PlayedNoise
    ) -> None:
        """Make a step of the tracker and note who is new."""
        frame = self._tracker.step(features.stamp_ns, None, features, blocks=blocks)
        for new in {track.id for track in frame.tracks} - self._known:
            self._known.add(new)
            when_s = seconds(features.stamp_ns)
            self.births.append(Birth(when_s, played.noise, played.played))


def _alarmed(
    features: AudioFeatures, blocks: list[BinBlock] | None, activity: float
) -> tuple[AudioFeatures, list[BinBlock] | None]:
    """Sound with at least this voice activity."""
    features = dataclasses.replace(features, voice_activity=max(features.voice_activity, activity))
    if blocks is None:
        return features, None
    return features, [
        dataclasses.replace(block, voice_activity=max(block.voice_activity or 0.0, activity))
        for block in blocks
    ]


def false_alarms(random: np.random.Generator) -> Iterator[float]:
    """Be a detector of voice activity that is wrong in bursts.

    Parameters
    ----------
    random
        Draws when bursts start and stop.

    Yields
    ------
    float
        Voice activity of a block of 40 ms, without end.
    """
    stop = _BLOCK_S / ALARM_S
    start = stop * ALARM_DUTY / (1 - ALARM_DUTY)
    is_on = False
    while True:
        draw = random.random()
        is_on = draw > stop if is_on else draw < start
        yield _ALARM_ACTIVITY if is_on else 0.0


def find_voice(head: HeadProfile, voice: Path, noise: Path | None, seed: int) -> VoiceResult:
    """Let one voice speak somewhere in the room, after LEAD_S of silence or noise.

    Parameters
    ----------
    head
        A head with an array of microphones.
    voice
        Recording of it.
    noise
        Recording of a noise that is on all the time; None: quiet.
    seed
        Of places and sensor noise.

    Returns
    -------
    VoiceResult
        How it was found.
    """
    random = np.random.default_rng(seed)
    azimuth = random.uniform(-np.pi, np.pi)
    lead = int(LEAD_S * RATE)
    speech = np.concatenate([np.zeros(lead), take_samples(voice, int(VOICE_S * RATE), random)])
    sound = play_from(head, speech, azimuth, random.uniform(*DISTANCE_M))
    sound *= LEVEL / sound[lead:].std()
    if noise is not None:
        away = azimuth + random.choice([-1, 1]) * random.uniform(_AWAY_RAD, np.pi)
        samples = take_samples(noise, len(speech), random)
        hum = play_from(head, samples, away, random.uniform(*DISTANCE_M))
        sound += hum * (LEVEL / hum.std() * 10 ** (-VOICE_SNR_DB / 20))
    tracker = Tracker(TrackerConfig(), head, _map(head))
    heard = [
        (features, tracker.step(features.stamp_ns, None, features, blocks=blocks))
        for features, blocks in Listener(head).hear(sound, 0, random)
    ]
    return _judge(heard, azimuth, voice.stem, noise.stem if noise else QUIET)


def _judge(
    heard: list[tuple[AudioFeatures, TrackFrame]], azimuth: float, voice: str, noise: str
) -> VoiceResult:
    began_ns = START_NS + nanoseconds(LEAD_S)
    speech_s = 0.0
    is_found = False
    errors_deg: list[float] = []
    ids: set[int] = set()
    for features, frame in heard:
        now_deg = [_azimuth_error_deg(t.mean, azimuth) for t in frame.tracks if t.heard]
        errors_deg += now_deg
        ids |= {track.id for track in frame.tracks}
        is_found = is_found or min(now_deg, default=np.inf) <= _TOLERANCE_DEG
        if not is_found and features.stamp_ns >= began_ns and _is_voiced(features):
            speech_s += AudioFrontEndConfig().block_s
    return VoiceResult(
        voice=voice,
        noise=noise,
        speech_s=speech_s if is_found else None,
        azimuth_error_deg=float(np.mean(errors_deg)) if errors_deg else None,
        people=len(ids),
    )


def _azimuth_error_deg(mean: np.ndarray, azimuth: float) -> float:
    return abs(np.degrees(wrap_angle(np.arctan2(mean[1], mean[0]) - azimuth)))


def _is_voiced(features: AudioFeatures) -> bool:
    return features.voice_activity >= TrackerConfig().audio.vad_threshold


def _map(head: HeadProfile) -> AcousticMap:
    return head_map(microphones_of(head), AcousticMapConfig(), AudioFrontEndConfig())
