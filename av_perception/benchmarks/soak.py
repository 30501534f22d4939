# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Whether something grows that should not, over a long time; and the offline pipeline for as long.

People come and go by the hundred (`crowd`), and somebody talks for a while in every minute. What a
process holds is read now and then; once it is warm, it must not grow.
"""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from av_perception.benchmarks.crowd import FRAME_S, Crowd
from av_perception.benchmarks.sensors import camera_of
from av_perception.interfaces import AudioChunk
from av_perception.pipelines.full import START_NS, OfflinePipeline
from av_perception.recording import Recording

CHUNK_S = 0.02
PERIOD_S = 60.0  # somebody talks once in so long,
TALK_S = 8.0  # for so long
TALK_FROM_S = 0.5  # of the recording `short`, which is where the sound is from
TALK_UNTIL_S = 2.5
PAUSE = 'gaps in the sound'  # the counter of those who hear
WARM_SHARE = 0.25  # of the readings are not judged
SHARED_MEMORY = '/dev/shm/'


@dataclass(frozen=True)
class Footprint:
    """What a process holds at a moment."""

    #: resident memory that it shares with nobody, and its part of what it shares [MiB]
    memory_mib: float
    #: open files, sockets and pipes
    handles: int
    #: threads
    threads: int
    #: pieces of shared memory that are mapped
    segments: int


# By how much each may grow from the first to the last reading that is judged.
LIMITS = {'memory_mib': 3.0, 'handles': 0.5, 'threads': 0.5, 'segments': 0.5}


def footprint(pid: int | None = None) -> Footprint:
    """Read what a process holds, as Linux tells; None: this one."""
    folder = Path('/proc', str(pid or os.getpid()))
    rollup = (folder / 'smaps_rollup').read_text().splitlines()
    (memory,) = (line.split()[1] for line in rollup if line.startswith('Pss_Anon:'))
    maps = (folder / 'maps').read_text().splitlines()
    shared = {line.split(maxsplit=5)[5] for line in maps if SHARED_MEMORY in line}
    return Footprint(
        memory_mib=int(memory) / 1024,
        handles=len(os.listdir(folder / 'fd')),
        threads=len(os.listdir(folder / 'task')),
        segments=len(shared),
    )


def growth(values: list[float]) -> float:
    """Tell by how much something has grown since it was warm.

    Parameters
    ----------
    values
        Readings at equal distances.

    Returns
    -------
    float
        The median of the slopes between all pairs of readings (Theil and Sen), over the whole
        time: a single odd reading counts for nothing.
    """
    judged = values[int(WARM_SHARE * len(values)) :]
    pairs = itertools.combinations(enumerate(judged), 2)
    slopes = [(late - early) / (j - i) for (i, early), (j, late) in pairs]
    return statistics.median(slopes) * (len(judged) - 1) if slopes else 0.0


@dataclass
class Soak:
    """What came of a long run."""

    #: the offline pipeline, or the nodes
    what: str
    #: length [min of the sensors' time]
    minutes: float
    #: in equal steps
    readings: list[Footprint] = field(default_factory=list)
    #: images that were sent, by what became of them: answered, or dropped for a reason
    sent: int = 0
    answered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    #: pauses of the sound that were made, and those that were noticed
    pauses: int = 0
    pauses_noticed: int = 0
    #: different people, how often one came, and how many ids there were
    people: int = 0
    visits: int = 0
    ids: int = 0

    def growth(self, name: str) -> float:
        """Tell by how much something has grown, by the name of Footprint's field."""
        return growth([float(getattr(reading, name)) for reading in self.readings])

    @property
    def complaints(self) -> list[str]:
        """Say what is not as it should be."""
        found = [
            f'{name} grew by {self.growth(name):.2f} (at most {limit:g})'
            for name, limit in LIMITS.items()
            if self.growth(name) > limit
        ]
        if self.sent != self.answered + sum(self.dropped.values()):
            found.append(
                f'of {self.sent} images {self.answered} were answered and '
                f'{sum(self.dropped.values())} dropped for a reason'
            )
        if self.pauses != self.pauses_noticed:
            found.append(
                f'{self.pauses_noticed} of {self.pauses} pauses of the sound were noticed'
            )
        if self.ids < self.people:
            found.append(f'{self.people} people got {self.ids} ids')
        return found

    @property
    def figures(self) -> dict:
        """For JSON."""
        named = {name: [getattr(r, name) for r in self.readings] for name in LIMITS}
        plain = {k: v for k, v in vars(self).items() if k != 'readings'}
        rises = {name: round(self.growth(name), 3) for name in LIMITS}
        return {**plain, 'growth': rises, 'readings': named, 'complaints': self.complaints}


def is_talking(time_s: float) -> bool:
    """Whether there is sound at a time [s]."""
    return time_s % PERIOD_S < TALK_S


def num_pauses(num_frames: int) -> int:
    """Count the pauses of the sound that end within so many images."""
    return max(0, int(np.ceil(num_frames * FRAME_S / PERIOD_S)) - 1)


class Talk:
    """The sound of a voice, chunk by chunk, with pauses in which nothing comes at all."""

    def __init__(self, recording: Recording):
        """Take a piece; recording: of the scene `short`."""
        self._rate = recording.sample_rate
        self._size = round(CHUNK_S * self._rate)
        first = round(TALK_FROM_S * self._rate)
        count = round((TALK_UNTIL_S - TALK_FROM_S) / CHUNK_S) * self._size
        samples = recording.read_audio(first, count)
        self._pieces = samples.reshape(-1, self._size, samples.shape[1])

    def during(self, number: int, start_ns: int) -> Iterator[AudioChunk]:
        """Yield the chunks that end with an image of a number; start_ns: of image 0 [ns]."""
        per_frame = round(FRAME_S / CHUNK_S)
        for index in range((number - 1) * per_frame, number * per_frame):
            if index >= 0 and is_talking(index * CHUNK_S):
                piece = self._pieces[index % len(self._pieces)]
                stamp_ns = start_ns + round(1e9 * CHUNK_S) * index
                yield AudioChunk(stamp_ns, self._rate, index * self._size, piece)


def soak_offline(
    recording: Recording, minutes: float, on_progress: Callable[[float], None], readings: int = 60
) -> Soak:
    """Run the offline pipeline on people who come and go.

    Parameters
    ----------
    recording
        Of the scene `short`: its head, and its sound.
    minutes
        How long, of the people's time.
    on_progress
        Called with the fraction done.
    readings
        So often memory is read.
    """
    soak = Soak('offline', minutes)
    pipeline = OfflinePipeline(recording)
    crowd, talk = Crowd(camera_of(recording.head)), Talk(recording)
    num_frames = round(60 * minutes / FRAME_S)
    every = max(1, num_frames // readings)
    ids: set[int] = set()

    def count(results: list) -> None:
        soak.answered += len(results)
        ids.update(track.id for frame, _ in results for track in frame.tracks)

    for number, image in enumerate(crowd.images(num_frames, START_NS)):
        for chunk in talk.during(number, START_NS):
            pipeline.hear(chunk)
        pipeline.take_visual(image)
        soak.sent += 1
        count(pipeline.poll(image.stamp_ns))
        if number % every == every - 1:
            soak.readings.append(footprint())
            on_progress(number / num_frames)
    count(pipeline.flush())
    soak.pauses, soak.pauses_noticed = num_pauses(num_frames), pipeline.counters[PAUSE]
    soak.people, soak.visits, soak.ids = crowd.num_people, crowd.num_visits, len(ids)
    return soak
