# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Life of a track: tentative, active, sleeping, dead; and waking with the old id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.interfaces import LifeState
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth

_NANO = 1e-9


@dataclass(frozen=True)
class LifeConfig:
    """Visibility HMM: visible_persistence p_v, visible_rate lam_v (evidence `1 - exp(-lam_v nu)` of visual mass nu).

    confirm_hits of the first confirm_images images confirm a tentative track, else it dies; sleep_after_s without face or voice sends a
    track to sleep; dead_after_s of sleep kill it, unseen_dead_after_s that of somebody who was only ever heard (nothing but silence says
    that they left); heard_share: share of the sub-bands from which a person counts as heard; wake_heard_frames: so many heard frames in a
    row wake a sleeper.
    """

    visible_persistence: float = 0.9
    visible_rate: float = 3.0
    confirm_hits: int = 2
    confirm_images: int = 3
    #: Neither seen nor heard for this long, a person sleeps, in seconds.
    sleep_after_s: float = 1.0
    #: Asleep for this long, a person is forgotten, in seconds.
    dead_after_s: float = 10.0
    unseen_dead_after_s: float = 30.0
    heard_share: float = 0.3
    wake_heard_frames: int = 3

    def __post_init__(self):
        if not (0.5 <= self.visible_persistence < 1 and self.visible_rate > 0):
            raise ValueError(
                'visible_persistence must lie in [0.5, 1) and visible_rate must be positive'
            )
        if not 1 <= self.confirm_hits <= self.confirm_images:
            raise ValueError('confirm_hits must lie in 1..confirm_images')
        if (
            min(self.sleep_after_s, self.dead_after_s, self.unseen_dead_after_s) <= 0
            or self.wake_heard_frames < 1
        ):
            raise ValueError(
                'sleep_after_s, dead_after_s, unseen_dead_after_s and wake_heard_frames must be positive'
            )
        if not 0 < self.heard_share <= 1:
            raise ValueError('heard_share must lie in 0..1')


class LifeCycle:
    """Applies the rules of `LifeConfig` to a population."""

    def __init__(self, config: LifeConfig):
        self._config = config

    def note_image(self, people: TrackSet, visual_mass: np.ndarray, stamp_ns: int) -> np.ndarray:
        """One image: visual_mass (N,) `nu_n = sum_m alpha_mn`. Filters the visibility; returns who is seen, (N,) bool."""
        config = self._config
        prior = config.visible_persistence * people.visible + (1 - config.visible_persistence) * (
            1 - people.visible
        )
        present = -np.expm1(-config.visible_rate * visual_mass) + 0.05
        absent = np.exp(-config.visible_rate * visual_mass)
        people.visible = prior * present / (prior * present + (1 - prior) * absent)
        seen = visual_mass > 0.5
        people.last_seen[seen] = stamp_ns
        people.age += 1
        people.hits += seen
        return seen

    def note_sound(self, people: TrackSet, shares: np.ndarray, stamp_ns: int) -> np.ndarray:
        """One frame of sound: shares (N,) of the sub-bands, zeros in silence. Returns who is heard, (N,) bool."""
        heard = shares >= self._config.heard_share
        people.last_heard[heard] = stamp_ns
        people.heard_run = np.where(heard, people.heard_run + 1, 0)
        return heard

    def advance(self, people: TrackSet, stamp_ns: int) -> np.ndarray:
        """Changes of state at the end of a frame; returns who is dead, (N,) bool."""
        config = self._config
        tentative = people.state == LifeState.TENTATIVE
        confirmed = tentative & (people.hits >= config.confirm_hits)
        people.state[confirmed] = LifeState.ACTIVE
        dead = tentative & ~confirmed & (people.age >= config.confirm_images)
        woken = people.asleep & (people.heard_run >= config.wake_heard_frames)
        people.state[woken] = LifeState.ACTIVE
        silent_s = (stamp_ns - np.maximum(people.last_seen, people.last_heard)) * _NANO
        drowsy = (people.state == LifeState.ACTIVE) & (silent_s > config.sleep_after_s)
        people.state[drowsy] = LifeState.SLEEPING
        people.asleep_since[drowsy] = stamp_ns
        dead |= tentative & ~confirmed & (silent_s > config.sleep_after_s)
        patience_s = np.where(people.never_seen, config.unseen_dead_after_s, config.dead_after_s)
        return dead | (people.asleep & ((stamp_ns - people.asleep_since) * _NANO > patience_s))

    def reinstate(self, people: TrackSet, person: int, birth: Birth, stamp_ns: int):
        """The absent person is back: new state, old id."""
        people.mean[person], people.covariance[person] = birth.mean, birth.covariance
        people.noise_ratio[person] = np.eye(len(birth.mean))
        people.box[person], people.visible[person], people.last_seen[person] = (
            birth.box,
            1.0,
            stamp_ns,
        )
        people.state[person] = LifeState.ACTIVE
