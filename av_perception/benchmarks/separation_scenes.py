# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Scenes in which it is known what each talker alone gives every microphone.

Boxes of rooms by the image source method, and the measured responses of a dummy head in a room;
diffuse noise with the spectrum of the voices; talkers who stand or walk. Voices are those of the
development data: speakers numbered `FIRST_REPORTED` and up are for reports, all others for tuning.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from av_perception.audio.steering import GeometricSteering
from av_perception.benchmarks.hearing_trials import frontal_responses
from av_perception.benchmarks.sensors import microphones_of
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.robot_head import MicrophoneArray, load_head
from av_perception.simulation.activity import voice_activity
from av_perception.simulation.room_audio import MovingSource, block_times, render_room
from av_perception.simulation.scene import RoomConfig
from av_perception.spectral.transform import ShortTimeFourier

RATE = 16000
FIRST_REPORTED = 6500
ARRAYS = ('4.6 cm', '20 cm', 'two ears')
STANDING = 'standing'
WALKING = 'walking'
CHANGING = 'changing places'
_ROOM_M = (6.0, 5.0, 2.8)
_HEAD_M = (3.0, 2.4, 1.3)
_DISTANCE_M = (1.0, 1.6)
_RISE_M = (0.0, 0.4)  # of a mouth over the head
_WALK_DEG = 60.0  # how far a walk leads around the head, and back
_EARS_T60_S = 0.32  # of the measured room


@dataclass(frozen=True)
class SceneKind:
    """What is asked of a scene.

    array: one of ARRAYS; talkers: how many; motion: STANDING, WALKING around the head and back, or
    CHANGING places with each other, which brings them into one line; t60_s: reverberation time;
    overlap: share of the time in which two and more have the floor; snr_db: of their sound over
    the noise; apart_deg: between neighbors in azimuth, NaN for least_apart_deg or more at random.
    """

    array: str = '4.6 cm'
    talkers: int = 2
    motion: str = STANDING
    t60_s: float = 0.2
    overlap: float = 1.0
    snr_db: float = 20.0
    apart_deg: float = float('nan')
    least_apart_deg: float = 45.0

    @property
    def label(self) -> str:
        """Name of the row in tables."""
        apart = f', {self.apart_deg:.0f} deg apart' if np.isfinite(self.apart_deg) else ''
        return (
            f'{self.array}, {self.talkers} {self.motion}, T60 {self.t60_s:g} s, '
            f'overlap {100 * self.overlap:.0f} %, {self.snr_db:.0f} dB{apart}'
        )


@dataclass(frozen=True)
class SeparationScene:
    """One scene of N samples, I microphones and J talkers.

    mixture: (N, I) = images summed + noise; images: (N, I, J) what each talker gives each
    microphone; noise: (N, I); dry: (N, J) voices; directions: (T, J, 3) unit vectors in the array
    frame every 40 ms; name: in tables, in place of the kind's.
    """

    kind: SceneKind
    array: MicrophoneArray
    mixture: np.ndarray
    images: np.ndarray
    noise: np.ndarray
    dry: np.ndarray
    directions: np.ndarray
    name: str = ''

    @property
    def label(self) -> str:
        """Name of the row in tables."""
        return self.name or self.kind.label

    @property
    def references(self) -> np.ndarray:
        """(N, J) the images at the first microphone, which streams are compared with."""
        return self.images[:, 0]

    @property
    def duration_s(self) -> float:
        """Of the sound."""
        return len(self.mixture) / RATE


def array_of(name: str) -> MicrophoneArray:
    """Microphones of an array of ARRAYS."""
    if name == 'two ears':
        return microphones_of(load_head('kemar'))
    small = microphones_of(load_head('respeaker'))
    if name == '4.6 cm':
        return small
    wider = tuple((4.376 * x, 4.376 * y, 4.376 * z) for x, y, z in small.coordinates)
    return replace(small, coordinates=wider)  # a square of 20 cm


def voice_files(data: Path, reported: bool) -> list[Path]:
    """List the voices for reports, or those for tuning. Raises UserError without any."""
    files = sorted((data / 'speech' / 'librispeech_train').glob('*.flac'))
    if not files:
        raise UserError(f'there are no voices in {data}: AV_PERCEPTION_DATA must name the data')
    return [f for f in files if (speaker_of(f) >= FIRST_REPORTED) == reported]


def speaker_of(file: Path) -> int:
    """Read the number of the speaker in the name of a voice."""
    return int(file.stem.split('_')[1].split('-')[0])


def make_scene(
    kind: SceneKind,
    duration_s: float,
    data: Path,
    seed: int,
    reported: bool = True,
    files: list[Path] | None = None,
) -> SeparationScene:
    """Render a scene; the seed draws voices (of these files, if any are named), places, noise."""
    random = np.random.default_rng(seed)
    array = array_of(kind.array)
    files = voice_files(data, reported) if files is None else files
    dry = _dry_voices(kind, duration_s, files, random)
    azimuths = _azimuths(kind, duration_s, random)
    if kind.array == 'two ears':
        images, azimuths = _through_ears(dry, azimuths, data)
        directions = direction_from_angles(azimuths, np.zeros_like(azimuths))
    else:
        positions = _positions(azimuths, random)
        images = _in_room(dry, positions, array, kind)
        away = positions - np.array(_HEAD_M)
        directions = away / np.linalg.norm(away, axis=2, keepdims=True)
    speech = images.sum(axis=2)
    level = np.sqrt(np.mean(speech[dry.any(axis=1)] ** 2))
    noise = diffuse_noise(array, dry, random)
    noise *= level * 10 ** (-kind.snr_db / 20) / noise.std()
    scale = 0.06 / level
    clean = images * scale
    noise = noise * scale
    return SeparationScene(kind, array, clean.sum(axis=2) + noise, clean, noise, dry, directions)


def turns(num_talkers: int, overlap: float) -> list[tuple[float, float]]:
    """Start and end of each talker's turn, as shares of the time.

    All turns are of one length and evenly spaced, so that two and more have the floor for
    `overlap` of the time, 0..1.
    """
    if overlap >= 1:
        return [(0.0, 1.0)] * num_talkers
    length = (1 + overlap) / num_talkers
    if num_talkers > 2 and overlap > 0.5:
        length = overlap
    space = (1 - length) / (num_talkers - 1)
    return [(n * space, n * space + length) for n in range(num_talkers)]


def diffuse_noise(
    array: MicrophoneArray, voices: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """(N, I) noise from everywhere with the mean spectrum of voices (N, J), and some white.

    The microphones' coherence is that of the array in a diffuse field.
    """
    transform = ShortTimeFourier(512, 128)
    power = np.mean(np.abs(transform.forward(voices)) ** 2, axis=(0, 2))
    frequencies = np.maximum(transform.frequencies(RATE), 1.0)
    count = len(array.coordinates)
    coherence = GeometricSteering(array).diffuse_coherence(frequencies) + 0.02 * np.eye(count)
    factors = np.linalg.cholesky(coherence) * np.sqrt(power)[:, None, None]
    white = transform.forward(random.standard_normal((len(voices), count)))
    return transform.inverse(np.einsum('fij,tfj->tfi', factors, white), len(voices))


def _dry_voices(kind: SceneKind, duration_s, files: list[Path], random) -> np.ndarray:
    """(N, J) each talker's voice in their turn, of equal power while it sounds."""
    count = round(duration_s * RATE)
    voices = np.zeros((count, kind.talkers))
    chosen = random.choice(len(files), kind.talkers, replace=False)
    for j, (start, end) in enumerate(turns(kind.talkers, kind.overlap)):
        sound, _ = soundfile.read(files[chosen[j]])
        sound = sound / sound[voice_activity(sound, RATE)].std()
        first = round(start * count)
        length = min(round(end * count), count) - first
        voices[first : first + length, j] = np.resize(sound, length)
    return voices


def _azimuths(kind: SceneKind, duration_s: float, random) -> np.ndarray:
    """(T, J) [rad] every 40 ms; for two ears in front."""
    times = block_times(round(duration_s * RATE), RATE)
    span = 360.0
    first = random.uniform(-180, 180)
    if kind.array == 'two ears':
        span = 120.0 * kind.talkers / max(kind.talkers - 1, 1)
        first = -60.0
    free = span - kind.talkers * kind.least_apart_deg
    cuts = np.sort(random.uniform(0, free, kind.talkers)) - 0.0
    azimuth = first + cuts + np.arange(kind.talkers) * kind.least_apart_deg
    if np.isfinite(kind.apart_deg):
        azimuth = first + np.arange(kind.talkers) * kind.apart_deg
    walk = np.zeros((len(times), 1))
    if kind.motion == WALKING:  # all the same way round, so that nobody overtakes
        walk = 0.5 * _WALK_DEG * np.sin(2 * np.pi * times[:, None] / duration_s)
    if kind.motion == CHANGING:  # to where the next one is, the shorter way
        way = (np.roll(azimuth, -1) - azimuth + 180.0) % 360.0 - 180.0
        walk = way * (0.5 - 0.5 * np.cos(np.pi * times[:, None] / duration_s))
    return np.radians(azimuth + walk)


def _positions(azimuths: np.ndarray, random) -> np.ndarray:
    """(T, J, 3) [m] in the room."""
    count = azimuths.shape[1]
    distance = random.uniform(*_DISTANCE_M, count)
    rise = random.uniform(*_RISE_M, count) * np.ones_like(azimuths)
    flat = direction_from_angles(azimuths, np.zeros_like(azimuths)) * distance[:, None]
    flat[..., 2] = rise
    return flat + np.array(_HEAD_M)


def _in_room(dry, positions, array: MicrophoneArray, kind: SceneKind) -> np.ndarray:
    """(N, I, J) images."""
    room = RoomConfig(_ROOM_M, kind.t60_s, _HEAD_M)
    places = np.array(_HEAD_M) + array.positions
    images = [
        render_room(room, places, [MovingSource(dry[:, j], positions[:, j])], RATE)
        for j in range(dry.shape[1])
    ]
    return np.stack(images, axis=2)


def _through_ears(dry, azimuths, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2, J) images through the responses nearest to each azimuth, and those azimuths."""
    measured = list(frontal_responses(data / 'hrtf' / 'UniS_Room_A_BRIR_16k.sofa'))
    known = np.radians([azimuth for azimuth, _ in measured])
    images = []
    heard = np.empty_like(azimuths)
    for j, azimuth in enumerate(azimuths[0]):
        nearest = int(np.argmin(np.abs(known - azimuth)))
        heard[:, j] = known[nearest]
        responses = measured[nearest][1]
        images.append([fftconvolve(dry[:, j], ear)[: len(dry)] for ear in responses])
    return np.array(images).transpose(2, 1, 0), heard


#: What the benchmark hears; the first `NUM_QUICK` are its short form.
SCENES = (
    SceneKind(),
    SceneKind(t60_s=0.4, overlap=0.5),
    SceneKind(t60_s=0.4, overlap=0.5, motion=WALKING),
    SceneKind(talkers=3),
    SceneKind(talkers=3, t60_s=0.4, overlap=0.5),
    SceneKind(talkers=3, t60_s=0.4, overlap=0.5, motion=WALKING),
    SceneKind(t60_s=0.4, overlap=0.25, snr_db=5.0),
    SceneKind(t60_s=0.6, overlap=0.5, snr_db=10.0),
    SceneKind(t60_s=0.4, motion=WALKING),
    SceneKind(array='20 cm', t60_s=0.4),
    SceneKind(array='20 cm', talkers=3, t60_s=0.4, overlap=0.5),
    SceneKind(array='20 cm', t60_s=0.4, overlap=0.5, motion=WALKING),
    SceneKind(array='two ears', t60_s=_EARS_T60_S, snr_db=25.0),
    SceneKind(array='two ears', t60_s=_EARS_T60_S, overlap=0.5, snr_db=25.0),
    SceneKind(t60_s=0.3, overlap=0.5, motion=CHANGING),
    SceneKind(talkers=3, t60_s=0.3, overlap=0.5, motion=CHANGING),
)
NUM_QUICK = 3
