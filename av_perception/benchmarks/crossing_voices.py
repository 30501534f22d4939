# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether streams stay with their people who cross, hide each other, leave and come back.

Walks and faces are those of the crossings, with the errors of a face detector; the tracker gives
the ids. The sound is rendered in a room, with the voices and turns of the rendered crossings, and
goes with late tracks through the live streams.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.benchmarks.crossing_faces import START_NS, looks_spread
from av_perception.benchmarks.sensors import camera_of, microphones_of
from av_perception.evaluation.voice_owners import (
    in_one_line,
    judge_owners,
    voice_owners,
    window_times,
)
from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import AudioChunk, TrackFrame
from av_perception.recording.source_sounds import SourceSounds
from av_perception.robot_head.profile import HeadProfile, load_head
from av_perception.separation.person_streams import PersonStreams
from av_perception.separation.stream_synthesis import VoiceChunk
from av_perception.simulation.crossing_faces import FaceSensorConfig, face_scene
from av_perception.simulation.crossing_scenes import HEAD, crossing_scene
from av_perception.simulation.crossings import crossing, walked
from av_perception.simulation.simulator import simulate_sound
from av_perception.tracking.tracker import Tracker, TrackerConfig

_CHUNK_S = 0.016
_TRACKS_LATE_NS = 60_000_000
_VOICES_RATE = 16000


@dataclass(frozen=True)
class CrossingVoices:
    """The streams of one scene.

    Attributes
    ----------
    kind, seed
        Of the crossing.
    minutes
        Its length.
    streams
        How many tracks had a voice.
    windows, wrong, shared, swaps, passed_on
        Sums of `StreamOwners` over the streams.
    """

    kind: str
    seed: int
    minutes: float
    streams: int
    windows: int
    wrong: int
    shared: int
    swaps: int
    passed_on: int


def measure_crossings(kinds: Sequence[str], seeds: Sequence[int]) -> Iterator[CrossingVoices]:
    """Run the live streams on crossings.

    Parameters
    ----------
    kinds, seeds
        Of `simulation.crossings`.

    Yields
    ------
    CrossingVoices
        One per scene. Raises UserError where voices cannot be downloaded.
    """
    head = load_head(HEAD)
    for kind in kinds:
        for seed in seeds:
            samples, parts = simulate_sound(crossing_scene(kind, seed))
            streams = live_streams(samples, tracked(kind, seed, head), head)
            times = window_times(len(samples), _VOICES_RATE)
            directions = true_directions(kind, seed, head, times)
            yield score_streams(kind, seed, streams, samples[:, 0], parts, directions)


def tracked(kind: str, seed: int, head: HeadProfile) -> list[TrackFrame]:
    """Track the faces of a crossing, image by image."""
    camera = camera_of(head)
    walks = crossing(kind, seed, camera)
    tracker = Tracker(TrackerConfig(), head)
    scene = face_scene(walks, camera, seed, FaceSensorConfig(), START_NS, looks_spread())
    return [tracker.step(image.stamp_ns, image, None) for image in scene.images]


def true_directions(kind: str, seed: int, head: HeadProfile, times: np.ndarray) -> np.ndarray:
    """(W, J, 3) unit vectors in the array frame at times [s] from the beginning of a crossing."""
    paths = crossing(kind, seed, camera_of(head)).paths
    array_from_base = microphones_of(head).base_from_array.inverse()
    places = [array_from_base.apply(walked(path, times)) for path in paths]
    away = np.stack(places, axis=1)
    return away / np.linalg.norm(away, axis=2, keepdims=True)


def live_streams(
    samples: np.ndarray, frames: Sequence[TrackFrame], head: HeadProfile
) -> dict[int, np.ndarray]:
    """Separate sound with tracks that come late.

    Parameters
    ----------
    samples
        (N, M) of the head's microphones, which begin at `START_NS`.
    frames
        In the head's base frame.
    head
        Whose microphones have 16 kHz.

    Returns
    -------
    dict of int to (N,) array
        By id of the track.
    """
    array = microphones_of(head)
    streams = PersonStreams(array, _VOICES_RATE)
    found: dict[int, np.ndarray] = {}
    size = round(_CHUNK_S * _VOICES_RATE)
    waiting = deque(frames)
    for first in range(0, len(samples), size):
        part = samples[first : first + size]
        now_ns = START_NS + nanoseconds((first + len(part)) / _VOICES_RATE)
        while waiting and waiting[0].stamp_ns + _TRACKS_LATE_NS <= now_ns:
            pieces = streams.follow(waiting.popleft(), array.base_from_array, now_ns)
            _keep(found, pieces, len(samples))
        stamp_ns = START_NS + nanoseconds(first / _VOICES_RATE)
        chunk = AudioChunk(stamp_ns, _VOICES_RATE, first, part)
        _keep(found, streams.push(chunk, now_ns), len(samples))
    _keep(found, streams.flush(), len(samples))
    return found


def _keep(found: dict[int, np.ndarray], pieces: list[VoiceChunk], length: int) -> None:
    """Write pieces where they belong in the streams, (length,) by id."""
    for piece in pieces:
        sound = found.setdefault(piece.id, np.zeros(length))
        first = piece.chunk.first_sample
        end = min(first + len(piece.chunk.samples), length)
        sound[first:end] = piece.chunk.samples[: end - first, 0]


def score_streams(
    kind: str,
    seed: int,
    streams: dict[int, np.ndarray],
    mixture: np.ndarray,
    parts: SourceSounds,
    directions: np.ndarray,
) -> CrossingVoices:
    """Compare streams with who gives the first microphone what.

    Parameters
    ----------
    kind, seed
        Of the crossing.
    streams
        (N,) by id of the track.
    mixture, parts
        (N,) of the first microphone, and what it is made of.
    directions
        (W, J, 3) of the people in the order of their numbers, at `window_times`.
    """
    images = np.stack([parts.images[key][:, 0] for key in sorted(parts.images)], axis=1)
    together = in_one_line(directions)
    judged = [
        judge_owners(voice_owners(sound, images, mixture.astype(float), _VOICES_RATE), together)
        for sound in streams.values()
    ]
    return CrossingVoices(
        kind,
        seed,
        minutes=len(mixture) / _VOICES_RATE / 60,
        streams=len(streams),
        windows=sum(one.windows for one in judged),
        wrong=sum(one.wrong for one in judged),
        shared=sum(one.shared for one in judged),
        swaps=sum(one.swaps for one in judged),
        passed_on=sum(one.is_passed_on for one in judged),
    )
