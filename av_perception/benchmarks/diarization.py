# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Who speaks: this project's methods and SRP-PHAT on the same tracks and sound.

Every method gets the tracks of the whole suite and the sound of the recording, and gives the
status of every track at every image, with no sound that is later than what our bins need (32 ms
behind the image, with look-ahead so much more).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.audio.bin_stream import BinStream, direction_likelihood
from av_perception.audio.propagation import SPEED_OF_SOUND
from av_perception.audio.voice_activity import VoiceActivity
from av_perception.benchmarks.rendered_scenes import truth_of
from av_perception.benchmarks.sensors import microphones_of
from av_perception.diarization.joint_activity_config import JointActivityConfig
from av_perception.diarization.speaking_estimator import (
    JOINT,
    VAVIT,
    SpeakingEstimator,
    SpeakingEstimatorConfig,
)
from av_perception.evaluation.diarization import assigned_people, diarization_scores
from av_perception.evaluation.frames import Frames, align
from av_perception.evaluation.tracking_metrics import match
from av_perception.geometry.rigid_transform import direction_from_angles, wrap_angle
from av_perception.geometry.time import seconds
from av_perception.interfaces import (
    AudioChunk,
    LifeState,
    MouthFrame,
    SpeakingFrame,
    SpeakingStatus,
    TrackFrame,
)
from av_perception.recording import Recording
from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import sample_stamp_ns

CHUNK_S = 0.016
COLLAR_S = 0.25
MATCH_M = 0.5  # a track within this distance of a person is the person
LOOK_AHEAD_S = 0.08
_SRP_WINDOW = 512
_SRP_HOP = 128
_SRP_BAND_HZ = (500.0, 4000.0)
_SRP_MEMORY_S = 0.1
_SRP_ELEVATIONS_DEG = (0.0, 15.0, 40.0)
_SRP_STEP_DEG = 5.0
_VOICE_THRESHOLD = 0.5
_VOICE_MEMORY_S = 0.04
_LEAST_SHARE = 0.3  # of the sound: who owns less does not speak

Answers = list[tuple[TrackFrame, SpeakingFrame]]
Mouths = Mapping[int, MouthFrame]  # by stamp


@dataclass(frozen=True)
class Scene:
    """What all methods get.

    recording: with sound and truth; frames: the tracks of the whole suite; start_ns: stamp of
    second 0.
    """

    recording: Recording
    frames: Sequence[TrackFrame]
    start_ns: int


@dataclass(frozen=True)
class Figures:
    """One method on one scene; error rates as shares of the true speech.

    der_collar: diarization error rate with a collar of 0.25 s; der: without collar, the sum of
    missed, false_alarm and confusion; turns: turns of speech that it says for each true one;
    cpu: processor time per second of sound.
    """

    scene: str
    method: str
    der_collar: float | None
    der: float | None
    missed: float
    false_alarm: float
    confusion: float
    turns: float
    cpu: float


def measure(name: str, scene: Scene, method: str) -> Figures:
    """Run one of METHODS on a scene and compare with the truth.

    Parameters
    ----------
    name
        Of the scene, for the result.
    scene
        Tracks, sound and truth, in which somebody speaks.
    method
        A key of METHODS.

    Returns
    -------
    Figures
        Error rates and processor time.
    """
    began = time.process_time()
    answers = METHODS[method](scene)
    cpu = (time.process_time() - began) / scene.recording.duration_s
    tracks = collect_tracks(answers, scene.start_ns)
    aligned = align(tracks, truth_of(scene.recording))
    people = assigned_people(aligned, match(aligned, aligned.distances_m, MATCH_M))
    with_collar, _ = diarization_scores(aligned, people, COLLAR_S)
    plain, _ = diarization_scores(aligned, people, 0.0)
    speech_s = plain.speech_s
    return Figures(
        scene=name,
        method=method,
        der_collar=with_collar.der,
        der=plain.der,
        missed=plain.missed_s / speech_s,
        false_alarm=plain.false_alarm_s / speech_s,
        confusion=plain.confusion_s / speech_s,
        turns=_turns_per_true_turn(aligned),
        cpu=cpu,
    )


def by_joint(scene: Scene, look_ahead_s: float = 0.0) -> Answers:
    """Bins of the sound and joint activity."""
    config = SpeakingEstimatorConfig(
        method=JOINT,
        joint=JointActivityConfig(look_ahead_s=look_ahead_s),
        audio_wait_s=math.inf,
    )
    return judge(scene, config)


def judge(scene: Scene, config: SpeakingEstimatorConfig, mouths: Mouths | None = None) -> Answers:
    """Judge by the bins of the sound, and by mouths where there are some."""
    recording = scene.recording
    microphones = microphones_of(recording.head)
    likelihood = direction_likelihood(microphones)
    bins = BinStream(likelihood, recording.sample_rate)
    estimator = SpeakingEstimator(config, likelihood)
    chunks = sound_chunks(recording, scene.start_ns)
    answers: Answers = []
    for frame in scene.frames:
        if mouths is not None and frame.stamp_ns in mouths:
            estimator.take_mouths(mouths[frame.stamp_ns])
        estimator.follow(frame, microphones.base_from_array, frame.stamp_ns)
        while (chunk := next(chunks, None)) is not None:
            estimator.take_blocks(bins.push(chunk))
            if chunk.stamp_ns > frame.stamp_ns:
                break
        answers += estimator.poll(frame.stamp_ns)
    for chunk in chunks:
        estimator.take_blocks(bins.push(chunk))
    return answers + estimator.flush()


def by_vavit(scene: Scene) -> Answers:
    """Judge the tracker's audio shares by one Markov model per person."""
    config = SpeakingEstimatorConfig(method=VAVIT)
    estimator = SpeakingEstimator(config, None)
    for frame in scene.frames:
        estimator.follow(frame, None, frame.stamp_ns)
    return estimator.flush()


def by_largest_share(scene: Scene) -> Answers:
    """Let the person speak who owns most of the frame's sound, while there is voice."""
    answers = []
    for frame in scene.frames:
        shares = {t.id: t.audio_responsibility for t in frame.tracks}
        speaker = max(shares, key=lambda i: shares[i], default=None)
        if speaker is not None and not (frame.voice_active and shares[speaker] >= _LEAST_SHARE):
            speaker = None
        answers.append((frame, _one_speaks(frame, speaker)))
    return answers


def by_srp_phat(scene: Scene) -> Answers:
    """Let the track nearest to the peak of SRP-PHAT speak, while Silero hears a voice."""
    recording = scene.recording
    rate = recording.sample_rate
    sound = recording.read_audio(0, recording.num_samples)
    microphones = microphones_of(recording.head)
    power = srp_power(sound, rate, microphones.positions)
    grid = _srp_grid()
    voice = VoiceActivity()
    mono = sound.mean(axis=1)
    first_ns = scene.start_ns + sample_stamp_ns(recording, 0)
    memory = round(_SRP_MEMORY_S * rate / _SRP_HOP)
    heard = 0
    answers = []
    for frame in scene.frames:
        # as much later sound as the bins of `joint` see
        end = min(round(seconds(frame.stamp_ns - first_ns) * rate) + _SRP_WINDOW, len(mono))
        if end > heard:
            voice.push(mono[heard:end])
            heard = end
        last = (end - _SRP_WINDOW) // _SRP_HOP + 1
        recent = power[max(0, last - memory) : max(0, last)]
        probability = voice.probability(max(0, end - round(_VOICE_MEMORY_S * rate)), end)
        speaker = None
        if probability >= _VOICE_THRESHOLD and len(recent):
            direction = grid[int(recent.sum(axis=0).argmax())]
            speaker = _nearest(frame, microphones.base_from_array.rotate(direction))
        answers.append((frame, _one_speaks(frame, speaker)))
    return answers


def sound_chunks(recording: Recording, start_ns: int):
    """Yield the sound of a recording in chunks, as the nodes get it."""
    size = max(1, round(CHUNK_S * recording.sample_rate))
    sound = recording.read_audio(0, recording.num_samples)
    for first in range(0, len(sound), size):
        stamp_ns = start_ns + sample_stamp_ns(recording, first)
        yield AudioChunk(stamp_ns, recording.sample_rate, first, sound[first : first + size])


def srp_power(sound: np.ndarray, sample_rate: int, positions: np.ndarray) -> np.ndarray:
    """Return the steered response power of every frame and direction of the grid.

    DiBiase 2000: sum over pairs and frequencies of the phases of the cross-spectra, steered.

    Parameters
    ----------
    sound
        (N, M) samples of all microphones.
    sample_rate
        [Hz].
    positions
        (M, 3) of the microphones in the array frame [m].

    Returns
    -------
    (T, G) array
        A row every 128 samples, a column per direction of the grid.
    """
    frequencies = np.fft.rfftfreq(_SRP_WINDOW, 1 / sample_rate)
    used = (frequencies >= _SRP_BAND_HZ[0]) & (frequencies <= _SRP_BAND_HZ[1])
    first, second = np.triu_indices(len(positions), 1)
    advance = _srp_grid() @ (positions[first] - positions[second]).T / SPEED_OF_SOUND  # (G, P)
    steering = np.exp(-2j * np.pi * frequencies[used, None, None] * advance)  # (F, G, P)
    steering = steering.transpose(0, 2, 1).reshape(-1, len(advance))  # (F P, G)
    window = np.hanning(_SRP_WINDOW + 1)[:-1, None]
    rows = []
    for start in range(0, len(sound) - _SRP_WINDOW + 1, _SRP_HOP):
        spectrum = np.fft.rfft(sound[start : start + _SRP_WINDOW] * window, axis=0)[used]
        cross = spectrum[:, first] * spectrum[:, second].conj()
        phases = cross / np.maximum(np.abs(cross), 1e-12)
        rows.append((phases.reshape(-1) @ steering).real)
    return np.array(rows).reshape(-1, len(advance))


def _srp_grid() -> np.ndarray:
    """(G, 3) unit vectors in the array frame."""
    azimuth = np.radians(np.arange(0.0, 360.0, _SRP_STEP_DEG))
    rings = [direction_from_angles(azimuth, np.radians(e)) for e in _SRP_ELEVATIONS_DEG]
    return np.concatenate(rings)


def _nearest(frame: TrackFrame, direction: np.ndarray) -> int | None:
    """Id of the active track nearest to a direction (3,) of the base frame, by azimuth."""
    azimuth = np.arctan2(direction[1], direction[0])
    active = [t for t in frame.tracks if t.state == LifeState.ACTIVE]
    offset = {t.id: abs(wrap_angle(np.arctan2(t.mean[1], t.mean[0]) - azimuth)) for t in active}
    return min(offset, key=lambda i: offset[i], default=None)


def _one_speaks(frame: TrackFrame, speaker: int | None) -> SpeakingFrame:
    """Statuses of a frame in which one person speaks, or nobody."""
    statuses = [
        SpeakingStatus(t.id, t.id == speaker, float(t.id == speaker), 0) for t in frame.tracks
    ]
    return SpeakingFrame(frame.stamp_ns, tuple(statuses))


def _turns_per_true_turn(frames: Frames) -> float:
    """Divide the number of turns of speech that the tracks take by that of the truth."""
    said = _num_turns(frames.tracks.id, frames.tracks.speaking)
    true = _num_turns(frames.truth.id, frames.truth.speaking)
    return said / max(true, 1)


def _num_turns(ids: np.ndarray, speaking: np.ndarray) -> int:
    """Count how often somebody begins to speak; rows in order of time."""
    count = 0
    for i in np.unique(ids):
        own = speaking[ids == i].astype(int)
        count += int((np.diff(own, prepend=0) == 1).sum())
    return count


METHODS: dict[str, Callable[[Scene], Answers]] = {
    'joint': by_joint,
    f'joint, {1e3 * LOOK_AHEAD_S:.0f} ms later': lambda scene: by_joint(scene, LOOK_AHEAD_S),
    'vavit': by_vavit,
    'largest share': by_largest_share,
    'SRP-PHAT, nearest track': by_srp_phat,
}
