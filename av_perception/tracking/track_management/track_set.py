# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Everything the tracker remembers of its tracks, one array per quantity."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import LifeState
from av_perception.tracking.track_management.visual_birth import Birth

_SLEEPING = int(LifeState.SLEEPING)  # arrays compare faster with it than with an enumeration


def _no_past(count: int) -> dict[str, np.ndarray]:
    """Make the fields of N tracks that are zero at birth."""
    return {
        'last_heard': np.zeros(count, np.int64),
        'asleep_since': np.zeros(count, np.int64),
        'age': np.zeros(count, int),
        'hits': np.zeros(count, int),
        'heard_run': np.zeros(count, int),
        'audio_share': np.zeros(count),
        'doubled': np.zeros(count, int),
        'missed_since': np.zeros(count, np.int64),
        'hidden': np.zeros(count, bool),
        'away': np.zeros(count, bool),
        'seen_lately': np.zeros(count, bool),
        'trial': np.zeros(count, int),
        'other_depth': np.zeros(count, int),
    }


@dataclass
class TrackSet:
    """N tracks.

    id: (N,); mean: (N, D) `mu`; covariance: (N, D, D) `Gam`; noise_ratio: (N, D, D) whitened
    process noise; state: (N,) LifeState values; visibility: (N,) probability of being in view;
    last_seen, last_heard, asleep_since: (N,) stamps [ns], 0 for never; age, hits: (N,) images
    since birth and images with a face among them; heard_run: (N,) consecutive frames in which the
    person was heard; audio_share: (N,) of the last frame's sound; doubled: (N,) consecutive frames
    in which another track followed the same person; missed_since: (N,) stamp since which who would
    be in clear view is not seen [ns], 0 for not; hidden: (N,) bool, behind somebody; hidden_mean,
    hidden_covariance: (N, D) and (N, D, D) the last state there; trial: (N,) images that who came
    out may be missed in, 0 when that is sure; away: (N,) bool, not seen for a while and not
    hidden; seen_lately: (N,) bool, in view or missed in a few images only; other_depth: (N,)
    images in a row whose face was at another depth; embedding: (N, E), zero rows for none; box:
    (N, 4) last assigned face [px].
    """

    id: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    noise_ratio: np.ndarray
    state: np.ndarray
    visibility: np.ndarray
    last_seen: np.ndarray
    last_heard: np.ndarray
    asleep_since: np.ndarray
    age: np.ndarray
    hits: np.ndarray
    heard_run: np.ndarray
    audio_share: np.ndarray
    doubled: np.ndarray
    missed_since: np.ndarray
    hidden: np.ndarray
    hidden_mean: np.ndarray
    hidden_covariance: np.ndarray
    trial: np.ndarray
    away: np.ndarray
    seen_lately: np.ndarray
    other_depth: np.ndarray
    embedding: np.ndarray
    box: np.ndarray

    @classmethod
    def from_faces(
        cls,
        ids: Sequence[int],
        means: np.ndarray,
        covariances: np.ndarray,
        embeddings: np.ndarray,
        boxes: np.ndarray,
        stamp_ns: int,
    ) -> TrackSet:
        """Tentative tracks of people who were just seen for the first time.

        Parameters
        ----------
        ids, means, covariances
            (N,); (N, D) and (N, D, D) states.
        embeddings, boxes
            (N, E), zero rows for none; (N, 4) last face of each [px].
        stamp_ns
            Of the image.

        Returns
        -------
        TrackSet
            N tracks with the nominal process noise.
        """
        count, size = means.shape
        return cls(
            id=np.asarray(ids, np.int64),
            mean=means,
            covariance=covariances,
            noise_ratio=np.tile(np.eye(size), (count, 1, 1)),
            hidden_mean=means.copy(),
            hidden_covariance=covariances.copy(),
            state=np.full(count, int(LifeState.TENTATIVE)),
            visibility=np.ones(count),
            last_seen=np.full(count, stamp_ns, np.int64),
            **_no_past(count),
            embedding=embeddings,
            box=boxes,
        )

    @classmethod
    def from_births(cls, ids: Sequence[int], births: Sequence[Birth], stamp_ns: int) -> TrackSet:
        """Tracks of N births (at least one) at stamp_ns, tentative but for the sure ones."""
        means, covariances, embeddings, boxes = (
            np.stack([getattr(birth, name) for birth in births])
            for name in ('mean', 'covariance', 'embedding', 'box')
        )
        tracks = cls.from_faces(ids, means, covariances, embeddings, boxes, stamp_ns)
        tracks.state[[birth.is_sure for birth in births]] = int(LifeState.ACTIVE)
        return tracks

    @classmethod
    def from_voices(
        cls, ids: Sequence[int], means: np.ndarray, covariances: np.ndarray, stamp_ns: int
    ) -> TrackSet:
        """Active tracks of people who were heard and never seen.

        A sequence of voice has confirmed them.

        Parameters
        ----------
        ids, means, covariances, stamp_ns
            As of `from_faces`.

        Returns
        -------
        TrackSet
            N tracks.
        """
        count = len(means)
        no_embeddings, no_boxes = np.zeros((count, 0)), np.zeros((count, 4))
        tracks = cls.from_faces(ids, means, covariances, no_embeddings, no_boxes, stamp_ns)
        tracks.state[:] = int(LifeState.ACTIVE)
        tracks.visibility[:] = 0.0
        tracks.last_seen[:] = 0
        tracks.last_heard[:] = stamp_ns
        return tracks

    @classmethod
    def empty(cls, state_size: int) -> TrackSet:
        """No track, of a state space with D = state_size."""
        covariances = np.zeros((0, state_size, state_size))
        return cls.from_voices([], np.zeros((0, state_size)), covariances, 0)

    def __len__(self) -> int:
        return len(self.id)

    @property
    def asleep(self) -> np.ndarray:
        """(N,) bool."""
        return self.state == _SLEEPING

    @property
    def never_seen(self) -> np.ndarray:
        """(N,) bool: only ever heard."""
        return self.last_seen == 0

    def keep(self, index: np.ndarray) -> None:
        """Keep or reorder tracks by indices."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, getattr(self, field.name)[index])

    def append(self, others: TrackSet) -> None:
        """Add other tracks at the end."""
        size = max(self.embedding.shape[1], others.embedding.shape[1])
        self.embedding = _widen(self.embedding, size)
        others.embedding = _widen(others.embedding, size)
        for field in dataclasses.fields(self):
            both = [getattr(self, field.name), getattr(others, field.name)]
            setattr(self, field.name, np.concatenate(both))


def _widen(rows: np.ndarray, size: int) -> np.ndarray:
    """(N, E) embeddings with `size` columns; it changes once, when the first one ever comes."""
    return rows if rows.shape[1] == size else np.zeros((len(rows), size))
