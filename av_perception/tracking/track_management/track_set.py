# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Everything the tracker remembers of the people it knows, one array per quantity."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import LifeState


@dataclass
class TrackSet:
    """N people. id: (N,); mean: (N, D); covariance, noise_ratio: (N, D, D); state: (N,) LifeState values; visible: (N,) probability;
    last_seen, last_heard, asleep_since: (N,) stamps [ns], 0 for never; age, hits: (N,) images since birth and images with a face among
    them; heard_run: (N,) consecutive frames in which the person was heard; share: (N,) of the last frame's sound;
    doubled: (N,) consecutive frames in which another track followed the same person;
    embedding: (N, E), zero rows for none; box: (N, 4) last assigned face [px].
    """

    id: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    noise_ratio: np.ndarray
    state: np.ndarray
    visible: np.ndarray
    last_seen: np.ndarray
    last_heard: np.ndarray
    asleep_since: np.ndarray
    age: np.ndarray
    hits: np.ndarray
    heard_run: np.ndarray
    share: np.ndarray
    doubled: np.ndarray
    embedding: np.ndarray
    box: np.ndarray

    @classmethod
    def newborn(cls, ids, means, covariances, embeddings, boxes, stamp_ns: int) -> TrackSet:
        """Tentative people born at stamp_ns: (N,) ids, (N, D) means, (N, D, D) covariances, (N, E) embeddings, (N, 4) boxes."""
        count, size = means.shape
        return cls(
            id=np.asarray(ids, np.int64),
            mean=means,
            covariance=covariances,
            noise_ratio=np.tile(np.eye(size), (count, 1, 1)),
            state=np.full(count, int(LifeState.TENTATIVE)),
            visible=np.ones(count),
            last_seen=np.full(count, stamp_ns, np.int64),
            last_heard=np.zeros(count, np.int64),
            asleep_since=np.zeros(count, np.int64),
            age=np.zeros(count, int),
            hits=np.zeros(count, int),
            heard_run=np.zeros(count, int),
            share=np.zeros(count),
            doubled=np.zeros(count, int),
            embedding=embeddings,
            box=boxes,
        )

    @classmethod
    def overheard(cls, ids, means, covariances, stamp_ns: int) -> TrackSet:
        """People who were heard at stamp_ns and never seen, (N,) ids, (N, D) means, (N, D, D) covariances: a sequence of voice has confirmed
        them.
        """
        count = len(means)
        people = cls.newborn(
            ids, means, covariances, np.zeros((count, 0)), np.zeros((count, 4)), stamp_ns
        )
        people.state[:], people.visible[:], people.last_seen[:], people.last_heard[:] = (
            int(LifeState.ACTIVE),
            0.0,
            0,
            stamp_ns,
        )
        return people

    @classmethod
    def empty(cls, state_size: int) -> TrackSet:
        """Nobody."""
        return cls.newborn(
            [],
            np.zeros((0, state_size)),
            np.zeros((0, state_size, state_size)),
            np.zeros((0, 0)),
            np.zeros((0, 4)),
            0,
        )

    def __len__(self) -> int:
        return len(self.id)

    @property
    def asleep(self) -> np.ndarray:
        """(N,) bool."""
        return self.state == LifeState.SLEEPING

    @property
    def never_seen(self) -> np.ndarray:
        """(N,) bool: only ever heard."""
        return self.last_seen == 0

    def keep(self, index: np.ndarray):
        """Keeps or reorders people by indices."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name)[index])

    def join(self, others: TrackSet):
        """Appends other people."""
        size = max(self.embedding.shape[1], others.embedding.shape[1])
        self.embedding, others.embedding = (
            _widen(self.embedding, size),
            _widen(others.embedding, size),
        )
        for field in dataclasses.fields(self):
            setattr(
                self,
                field.name,
                np.concatenate([getattr(self, field.name), getattr(others, field.name)]),
            )


def _widen(rows: np.ndarray, size: int) -> np.ndarray:
    return rows if rows.shape[1] == size else np.zeros((len(rows), size))
