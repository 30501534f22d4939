# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whom a turning head looks at: in random conversations, in noise, and by its own motors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from av_perception.benchmarks.attention_loop import (
    START_NS,
    See,
    feel_and_hear,
    run_loop,
    see_images,
    stamp_of,
)
from av_perception.benchmarks.noise_sounds import LEVEL, RATE, play_stretches
from av_perception.evaluation.attention import LookHistory
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AttentionReason, AudioChunk, VisualFeatures
from av_perception.pipelines.turning_head import Result, TurningHeadPipeline
from av_perception.robot_head import HeadProfile
from av_perception.simulation.neck import JointConfig, NeckConfig
from av_perception.simulation.scene import ConversationConfig, RoomConfig, Scene, TalkerConfig
from av_perception.simulation.turning_scene import STEP_S, TurningScene, TurningSceneConfig

HEAD = 'simulated_turning'
ROOM = RoomConfig(size=(6.0, 5.0, 2.8), t60=0.3, head_position=(2.8, 2.5, 1.4))
REACH_DEG = 115.0  # to either side, as far as the neck turns
LEAST_APART_DEG = 45.0
DISTANCE_M = (1.2, 1.8)
SENSOR_NOISE_DB = -40.0  # of the microphones, relative to the noise
MOTOR_PERIOD_S = 1.5  # between two goals of the neck
MOTOR_STRETCH_S = 12.0  # then come other people, goals and motors
SLOW_RATE = 0.25  # [rad/s] at which the tracker goes on listening
_CASTS = (('narrator', 'astronaut'), ('announcer', 'obama'), ('operator', 'biden'))
_SPEECH = (AttentionReason.SPEAKS_TO_ME, AttentionReason.SPEAKS, AttentionReason.HEARD)


@dataclass(frozen=True)
class FalseLook:
    """A look at somebody who is said to speak where nobody does."""

    #: when [s]
    second: float
    #: what was heard
    sound: str
    #: the reason that was given
    reason: str


def random_conversation(seed: int, duration_s: float) -> Scene:
    """Place three people around the head, as far as its neck turns; they talk in turns."""
    random = np.random.default_rng([seed, 8])
    azimuths = np.zeros(3)
    while np.diff(np.sort(azimuths)).min() < LEAST_APART_DEG:
        azimuths = random.uniform(-REACH_DEG, REACH_DEG, 3)
    talkers = []
    for index, (voice, photo) in enumerate(_CASTS):
        angle, distance = np.radians(azimuths[index]), random.uniform(*DISTANCE_M)
        height = random.uniform(-0.1, 0.2)
        x, y = float(distance * np.cos(angle)), float(distance * np.sin(angle))
        row = (0.0, x, y, float(height))
        talkers.append(TalkerConfig(index + 1, (row,), voice, photo))
    return Scene(
        duration=duration_s,
        talkers=tuple(talkers),
        name=f'conversation {seed}',
        seed=seed,
        head=HEAD,
        room=ROOM,
        conversation=ConversationConfig(turn=(2.0, 4.0), overlap=0.1, pause=0.5),
    )


def play_conversation(seed: int, duration_s: float) -> LookHistory:
    """Close the loop in a random conversation, with drawn images."""
    return run_loop(TurningScene(random_conversation(seed, duration_s)), see=see_images).history


def looks_at_noise(
    head: HeadProfile, recordings: list[Path], seed: int, stretches: Iterable[int]
) -> list[FalseLook]:
    """Play noise to a head that sees nobody, half a minute each, and list whom it looks at.

    Parameters
    ----------
    head
        With microphones.
    recordings
        Of noise; a fan and servos are added.
    seed
        Of places, motors and sensor noise.
    stretches
        Numbers of the stretches of STRETCH_S; each second round comes from all around.
    """
    random = np.random.default_rng(seed)
    pipeline = TurningHeadPipeline(head)
    watch = _Watch()
    pipeline.note_pose(START_NS, RigidTransform())
    first = 0
    for played, sound in play_stretches(head, recordings, random, stretches):
        noise = random.normal(0.0, LEVEL * 10 ** (SENSOR_NOISE_DB / 20), sound.shape)
        for chunk in _chunks(sound + noise, first):
            pipeline.hear(chunk)
            end_ns = chunk.stamp_ns + nanoseconds(STEP_S)
            pipeline.take_visual(VisualFeatures(end_ns))
            watch.note(pipeline.poll(end_ns), played.noise)
        first += len(sound)
    return watch.false_looks


def _chunks(sound: np.ndarray, first: int) -> Iterable[AudioChunk]:
    """Cut (N, channels) into chunks of a step; first: number of the first sample."""
    size = round(STEP_S * RATE)
    sound = np.clip(sound, -1, 1).astype(np.float32)
    for start in range(0, len(sound) - size + 1, size):
        stamp_ns = START_NS + nanoseconds((first + start) / RATE)
        yield AudioChunk(stamp_ns, RATE, first + start, sound[start : start + size])


def looks_at_motors(
    seed: int, duration_s: float, is_slow: bool, see: See = see_images
) -> list[FalseLook]:
    """Turn the neck to random goals before people who are silent, and list whom it looks at.

    Parameters
    ----------
    seed
        Of goals, people and motors.
    duration_s
        [s]
    is_slow
        Turn so slowly that the tracker goes on listening.
    see
        Gives what the cameras see to the pipeline; images are drawn for `see_images` alone.
    """
    joint = {'max_speed': SLOW_RATE} if is_slow else {}
    neck = NeckConfig(JointConfig((-2.09, 2.09), **joint), JointConfig((-0.6, 0.5), **joint))
    scene = random_conversation(seed, duration_s)
    silent = tuple(
        TalkerConfig(t.id, t.waypoints, t.voice, t.photo, turns=()) for t in scene.talkers
    )
    quiet = Scene(duration_s, silent, seed=seed, head=HEAD, room=ROOM)
    config = TurningSceneConfig(neck=neck, images=see is see_images)
    playing = TurningScene(quiet, config)
    pipeline = TurningHeadPipeline(playing.head)
    random = np.random.default_rng([seed, 9])
    watch = _Watch()
    goals = (0.0, 0.0)
    while not playing.is_over:
        if random.uniform() < STEP_S / MOTOR_PERIOD_S:
            goals = (random.uniform(-2.0, 2.0), random.uniform(-0.3, 0.3))
        moment = playing.step(*goals)
        stamp_ns = stamp_of(moment)
        feel_and_hear(pipeline, moment, RATE)
        see(pipeline, stamp_ns, moment)
        sound = f'{"slow" if is_slow else "fast"} turns, seed {seed}'
        watch.note(pipeline.poll(stamp_ns), sound)
    return watch.false_looks


class _Watch:
    """Notes when the look goes to somebody who is said to speak."""

    def __init__(self) -> None:
        self.false_looks: list[FalseLook] = []
        self._before: tuple[int, bool] = (-1, False)

    def note(self, results: list[Result], sound: str) -> None:
        """Take what the pipeline says while something is heard."""
        for _, _, attention in results:
            now = (attention.id, attention.reason in _SPEECH)
            if now != self._before and now[1]:
                second = 1e-9 * (attention.stamp_ns - START_NS)
                self.false_looks.append(FalseLook(second, sound, attention.reason.value))
            self._before = now
