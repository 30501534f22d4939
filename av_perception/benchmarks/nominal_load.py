# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Processor time of the minimal mode with four faces in view, one of them talking, at 30 Hz."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.sensors import camera_of, microphones_of
from av_perception.diarization.speaking_filter import SpeakingFilter
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, Face, VisualFeatures
from av_perception.pipelines.full import START_NS
from av_perception.robot_head import HeadProfile, load_head
from av_perception.two_microphones.face_itd_fusion import FaceItdFusion, FusionConfig
from av_perception.two_microphones.microphone_pair import MicrophonePair, frontal_pair
from av_perception.two_microphones.time_differences import (
    TimeDifferenceConfig,
    TimeDifferenceExtractor,
    TimeDifferences,
)

RATE_HZ = 30.0  # images
_SAMPLE_RATE = 16000
_CHUNK = 512
_CHANNELS = 4
_PEOPLE_M = np.array([[1.8, y, 0.1] for y in (0.75, 0.25, -0.25, -0.75)])
_VALUES = 20  # time differences of a block; a voice gives as many, noise gives none
_BLOCK_NS = 4e8
_ITD_SD_S = 30e-6


@dataclass(frozen=True)
class NominalLoad:
    """Figures of the minimal mode with four faces at 30 Hz."""

    #: share of one core
    core_share: float
    #: processor time of an image [ms]
    cpu_ms_per_image: float
    #: images a second that one core can do [Hz]
    highest_rate_hz: float
    #: tracks per image
    faces: float


def nominal_load(
    progress: Callable[[float], None] = lambda fraction: None, seconds: float = 10.0
) -> NominalLoad:
    """Run the minimal mode on made-up sound and faces.

    Parameters
    ----------
    progress
        Told the fraction in [0, 1] that is done.
    seconds
        Length [s] of the sound.

    Returns
    -------
    NominalLoad
        Processor time.
    """
    head = load_head('simulated')
    rng = np.random.default_rng(0)
    mode = _MinimalMode(head, rng)
    spent_s = 0.0
    total = int(seconds * _SAMPLE_RATE)
    for start in range(0, total, _CHUNK):
        chunk = _chunk(start, rng)
        faces = _four_faces(head, rng)
        started = time.thread_time()
        mode.hear(chunk)
        mode.see((start + _CHUNK) / _SAMPLE_RATE, faces)
        spent_s += time.thread_time() - started
        progress(start / total)
    return NominalLoad(
        core_share=spent_s / seconds,
        cpu_ms_per_image=1e3 * spent_s / mode.num_images,
        highest_rate_hz=mode.num_images / spent_s,
        faces=mode.num_tracks / mode.num_images,
    )


class _MinimalMode:
    """The stages of the minimal mode; the first of the people talks."""

    def __init__(self, head: HeadProfile, rng: np.random.Generator):
        self.num_images = 0
        self.num_tracks = 0
        array = microphones_of(head)
        channels = frontal_pair(array)
        pair = MicrophonePair.of_array(array, channels)
        self._extractor = TimeDifferenceExtractor(
            TimeDifferenceConfig(), channels, pair.max_itd, _CHANNELS, _SAMPLE_RATE
        )
        self._fusion = FaceItdFusion(FusionConfig(), camera_of(head), pair)
        self._speaking = SpeakingFilter()
        self._itd = pair.itd(_PEOPLE_M[:1])[0]
        self._rng = rng
        self._sound: TimeDifferences | None = None

    def hear(self, chunk: AudioChunk) -> None:
        """Take sound; what is found in noise is replaced by as many values as a voice gives."""
        for block in self._extractor.push(chunk):
            stamps = np.linspace(block.stamp_ns - _BLOCK_NS, block.stamp_ns, _VALUES)
            values = self._itd + self._rng.normal(0, _ITD_SD_S, _VALUES)
            self._sound = type(block)(block.stamp_ns, values, stamps.astype(np.int64))

    def see(self, until_s: float, faces: tuple[Face, ...]) -> None:
        """Take all images up to a time [s]."""
        while self.num_images / RATE_HZ < until_s:
            stamp_ns = START_NS + nanoseconds(self.num_images / RATE_HZ)
            visual = VisualFeatures(stamp_ns, faces)
            frame = self._fusion.step(stamp_ns, visual, self._sound)
            self._speaking.step(frame)
            self.num_images += 1
            self.num_tracks += len(frame.tracks)


def _chunk(start: int, rng: np.random.Generator) -> AudioChunk:
    """Make noise: one second of sound, one of silence."""
    noise = rng.normal(0, 0.05, (_CHUNK, _CHANNELS)).astype(np.float32)
    is_on = start // _SAMPLE_RATE % 2
    stamp_ns = START_NS + nanoseconds(start / _SAMPLE_RATE)
    return AudioChunk(stamp_ns, _SAMPLE_RATE, start, noise * is_on)


def _four_faces(head: HeadProfile, rng: np.random.Generator) -> tuple[Face, ...]:
    """Show all people with 1 cm of noise."""
    camera = camera_of(head)
    noisy = _PEOPLE_M + rng.normal(0, 0.01, _PEOPLE_M.shape)
    optical = camera.base_from_optical.inverse().apply(noisy)
    corners = camera.project(optical) - 25
    landmarks = np.zeros((5, 2))
    covariance = 1e-4 * np.eye(3)
    return tuple(
        Face(np.array([*corner, 50.0, 50.0]), 0.9, landmarks, position, covariance)
        for corner, position in zip(corners, optical)
    )
