# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Life of a track: tentative, active, sleeping, dead; and waking with the old id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.geometry.time import nanoseconds
from av_perception.interfaces import LifeState
from av_perception.numerics.gaussian import symmetrize
from av_perception.tracking.state_space.interface import View
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import Birth

# Arrays compare faster with numbers than with an enumeration.
_TENTATIVE = int(LifeState.TENTATIVE)
_ACTIVE = int(LifeState.ACTIVE)
_SLEEPING = int(LifeState.SLEEPING)
_LEAST_LIKELIHOOD = 0.05  # of an image without a face while the person is in view
SEEN_MASS = 0.5  # a track with more of the faces' responsibility is seen
IN_VIEW = 0.5  # visibility from which somebody counts as in view
_LATELY_NS = nanoseconds(0.25)  # detectors miss faces for a few images
_BLIND_MEMORY_NS = nanoseconds(60.0)
_BLIND = 0.45  # probability of being in view when no images come: less than even


@dataclass(frozen=True)
class LifeConfig:
    """When tracks are confirmed, sleep, wake and die."""

    #: p_v in [0.5, 1), probability per image that somebody stays in view, or out of it
    visible_persistence: float = 0.9
    #: lam_v, the evidence of a visual mass nu is `1 - exp(-lam_v nu)`
    visible_rate: float = 3.0
    #: so many images with a face among the first ones confirm a tentative track, else it dies
    confirm_hits: int = 1
    #: how many images those are
    confirm_images: int = 3
    #: Neither seen nor heard for this long, a person sleeps, in seconds.
    sleep_after_s: float = 1.0
    #: [s] the same while somebody seen is before that person
    hidden_sleep_after_s: float = 6.0
    #: [s] nobody is who would be in clear view and is not seen for longer; half of that where
    #: somebody hid there who has walked on
    clear_sleep_after_s: float = 0.4
    #: a mistake is who was found and is missed in more images than this before being seen in as
    #: many; they sleep at once, or are still hidden where they were
    young_images: int = 5
    #: Asleep for this long, a person is forgotten, in seconds.
    dead_after_s: float = 15.0
    #: [s] the same for somebody only ever heard (nothing but silence says that they left)
    unseen_dead_after_s: float = 30.0
    #: in (0, 1], share of the sub-bands from which a person counts as heard
    heard_share: float = 0.3
    #: so many heard frames in a row wake a sleeper, or keep a person awake who is not seen
    wake_heard_frames: int = 3

    def __post_init__(self):
        if not (0.5 <= self.visible_persistence < 1 and self.visible_rate > 0):
            raise ValueError(
                'visible_persistence must lie in [0.5, 1) and visible_rate must be positive'
            )
        if not 1 <= self.confirm_hits <= self.confirm_images:
            raise ValueError('confirm_hits must lie in 1..confirm_images')
        durations = (
            self.sleep_after_s,
            self.hidden_sleep_after_s,
            self.clear_sleep_after_s,
            self.dead_after_s,
            self.unseen_dead_after_s,
        )
        if min(durations) <= 0 or min(self.wake_heard_frames, self.young_images) < 1:
            raise ValueError(
                'sleep_after_s, hidden_sleep_after_s, clear_sleep_after_s, dead_after_s, '
                'unseen_dead_after_s, wake_heard_frames and young_images must be positive'
            )
        if not 0 < self.heard_share <= 1:
            raise ValueError('heard_share must lie in 0..1')


class LifeCycle:
    """Applies the rules of `LifeConfig` to a set of tracks.

    The visibility is the binary hidden Markov model of OVBT: Ba, Alameda-Pineda, Xompero, Horaud,
    "An on-line variational Bayesian model for multi-person tracking from cluttered scenes",
    Computer Vision and Image Understanding 153, 2016.
    """

    def __init__(self, config: LifeConfig):
        self._config = config
        self._image_ns = 0  # stamp of the last image
        self._sleep_after_ns = _duration_ns(config.sleep_after_s)
        self._hidden_sleep_after_ns = _duration_ns(config.hidden_sleep_after_s)
        self._clear_sleep_after_ns = _duration_ns(config.clear_sleep_after_s)
        self._dead_after_ns = _duration_ns(config.dead_after_s)
        self._unseen_dead_after_ns = _duration_ns(config.unseen_dead_after_s)

    def note_blindness(self, tracks: TrackSet, is_image: bool, stamp_ns: int) -> None:
        """Note that no images come: that is no sign that anybody left, or is in view.

        Who was seen before is not forgotten meanwhile, for a minute.

        Parameters
        ----------
        tracks
            Changed in place.
        is_image
            Whether the frame holds an image.
        stamp_ns
            Of the frame.
        """
        if is_image or stamp_ns < self._image_ns:
            self._image_ns = stamp_ns
            return
        blind_ns = stamp_ns - self._image_ns
        if blind_ns > _LATELY_NS:
            np.minimum(tracks.visibility, _BLIND, out=tracks.visibility)
            if blind_ns < _BLIND_MEMORY_NS:
                tracks.asleep_since[~tracks.never_seen] = stamp_ns

    def update_visibility(
        self, tracks: TrackSet, visual_mass: np.ndarray, stamp_ns: int
    ) -> np.ndarray:
        """Filter the visibility with one image (T15).

        Parameters
        ----------
        tracks
            Changed in place.
        visual_mass
            (N,) `nu_n = sum_m alpha_mn`.
        stamp_ns
            Of the image.

        Returns
        -------
        np.ndarray
            (N,) bool, who is seen.
        """
        persistence = self._config.visible_persistence
        prior = persistence * tracks.visibility + (1 - persistence) * (1 - tracks.visibility)
        if_visible = -np.expm1(-self._config.visible_rate * visual_mass) + _LEAST_LIKELIHOOD
        if_hidden = np.exp(-self._config.visible_rate * visual_mass)
        tracks.visibility = prior * if_visible / (prior * if_visible + (1 - prior) * if_hidden)
        seen = visual_mass > SEEN_MASS
        tracks.last_seen[seen] = stamp_ns
        tracks.age += 1
        tracks.hits += seen
        return seen

    def note_view(
        self, tracks: TrackSet, seen: np.ndarray, view: View, stamp_ns: int
    ) -> np.ndarray:
        """Note who is not seen although nothing is before them, and who is behind somebody.

        Parameters
        ----------
        tracks
            Changed in place.
        seen
            (N,) bool, in this image.
        view
            Of the camera, were they where their states say.
        stamp_ns
            Of the image.

        Returns
        -------
        np.ndarray
            (N,) bool, who should have come out from behind somebody and did not, or seemed to have
            and had not.
        """
        mistaken = self._try(tracks, seen, view)
        if seen.all():
            tracks.missed_since[:] = 0
            tracks.hidden[:] = False
            return mistaken
        missed = view.clear & ~seen
        still_behind = (tracks.hidden & missed) | mistaken
        first = np.where(tracks.missed_since > 0, tracks.missed_since, stamp_ns)
        tracks.missed_since = np.where(missed & ~mistaken, first, 0)
        behind = view.hidden & ~seen & ~mistaken
        tracks.hidden_mean[behind] = tracks.mean[behind]
        tracks.hidden_covariance[behind] = tracks.covariance[behind]
        # Put back behind somebody, who should have come out is still hidden.
        tracks.hidden = behind | mistaken | (tracks.hidden & ~seen)
        return still_behind

    def _try(self, tracks: TrackSet, seen: np.ndarray, view: View) -> np.ndarray:
        """Tell whose coming out from behind somebody was a false face: (N,) bool.

        They are missed in so many images more than they are seen in, or they were hardly seen and
        are where somebody hides them.
        """
        limit = self._config.young_images
        comes_out = tracks.hidden & seen
        on_trial = tracks.trial > 0
        if not (comes_out.any() or on_trial.any()):
            return on_trial
        missed = on_trial & ~seen & ~view.hidden
        tracks.trial += (on_trial & seen).astype(int) - missed
        behind = on_trial & view.hidden & ~seen
        mistaken = (missed & (tracks.trial == 0)) | (behind & (tracks.trial <= limit))
        tracks.covariance[mistaken] = tracks.hidden_covariance[mistaken]
        # Who is behind somebody again, or was seen for long enough, is where the track says.
        tracks.trial[behind | (tracks.trial >= 2 * limit)] = 0
        tracks.trial[comes_out] = limit
        return mistaken

    def note_depth(
        self, tracks: TrackSet, seen: np.ndarray, elsewhere: np.ndarray, limit: int
    ) -> np.ndarray:
        """Count the images in a row whose face was at another depth than the track.

        Parameters
        ----------
        tracks
            Changed in place.
        seen
            (N,) bool, in this image.
        elsewhere
            (N,) responsibility for faces at another depth.
        limit
            From so many on the faces are right.

        Returns
        -------
        np.ndarray
            (N,) bool, tracks that are proven wrong; they are counted anew.
        """
        run = np.where(elsewhere > SEEN_MASS, tracks.other_depth + 1, 0)
        run = np.where(seen, run, tracks.other_depth)
        wrong = run >= limit
        tracks.other_depth = np.where(wrong, 0, run)
        return wrong

    def update_heard(self, tracks: TrackSet, audio_share: np.ndarray, stamp_ns: int) -> np.ndarray:
        """Note who is heard in one frame.

        Parameters
        ----------
        tracks
            Changed in place.
        audio_share
            (N,) share of the sub-bands, zeros in silence.
        stamp_ns
            Of the frame.

        Returns
        -------
        np.ndarray
            (N,) bool, who is heard.
        """
        heard = audio_share >= self._config.heard_share
        tracks.heard_run = np.where(heard, tracks.heard_run + 1, 0)
        # A single frame is soon another's: it does not keep awake who is out of view.
        steady = tracks.heard_run >= self._config.wake_heard_frames
        in_view = tracks.visibility > IN_VIEW
        tracks.last_heard[heard & (steady | in_view)] = stamp_ns
        return heard

    def advance(self, tracks: TrackSet, stamp_ns: int) -> np.ndarray:
        """Change the states at the end of a frame.

        Parameters
        ----------
        tracks
            Changed in place.
        stamp_ns
            Of the frame.

        Returns
        -------
        np.ndarray
            (N,) bool, who is dead.
        """
        is_usual = (tracks.state == _ACTIVE) & (tracks.last_seen == stamp_ns)
        if is_usual.all() and not tracks.missed_since.any():
            tracks.away = np.zeros(len(tracks), bool)
            tracks.seen_lately = np.ones(len(tracks), bool)
            return np.zeros(len(tracks), bool)
        return self._change_states(tracks, stamp_ns)

    def _change_states(self, tracks: TrackSet, stamp_ns: int) -> np.ndarray:
        """Do so by all rules, which leave people who are active and seen as they are."""
        config = self._config
        tentative = tracks.state == _TENTATIVE
        confirmed = tentative & (tracks.hits >= config.confirm_hits)
        tracks.state[confirmed] = _ACTIVE
        refuted = tracks.age >= config.confirm_images
        woken = tracks.asleep & (tracks.heard_run >= config.wake_heard_frames)
        tracks.state[woken] = _ACTIVE
        silent_ns = stamp_ns - np.maximum(tracks.last_seen, tracks.last_heard)
        unseen_ns = stamp_ns - tracks.last_seen
        tracks.away = ~tracks.hidden & (unseen_ns > self._sleep_after_ns)
        tracks.seen_lately = unseen_ns <= _LATELY_NS
        patience = np.where(tracks.hidden, self._hidden_sleep_after_ns, self._sleep_after_ns)
        is_silent = silent_ns > patience
        young = (tracks.hits < config.young_images) & ~tracks.never_seen
        is_silent |= young & (tracks.age - tracks.hits > config.young_images) & (silent_ns > 0)
        # In clear view it takes less: a head that is not there is not seen.
        missed_ns = stamp_ns - np.maximum(tracks.missed_since, tracks.last_heard)
        clear_ns = np.where(tracks.hidden, 0.5, 1.0) * self._clear_sleep_after_ns
        is_silent |= (tracks.missed_since > 0) & (missed_ns > clear_ns)
        drowsy = (tracks.state == _ACTIVE) & is_silent
        tracks.state[drowsy] = _SLEEPING
        tracks.asleep_since[drowsy] = stamp_ns
        patience_ns = np.where(tracks.never_seen, self._unseen_dead_after_ns, self._dead_after_ns)
        overslept = tracks.asleep & (stamp_ns - tracks.asleep_since > patience_ns)
        return (tentative & ~confirmed & (refuted | is_silent)) | overslept

    def reinstate(self, tracks: TrackSet, index: int, birth: Birth, stamp_ns: int) -> None:
        """Bring an absent person back: the state of the birth, the old id."""
        mean, covariance = birth.mean, birth.covariance
        if birth.is_vague:
            # What is known of the person tells the depth that the birth does not.
            mean, covariance = _product(
                mean, covariance, tracks.mean[index], tracks.covariance[index]
            )
        tracks.mean[index] = mean
        tracks.covariance[index] = covariance
        tracks.noise_ratio[index] = np.eye(len(birth.mean))
        tracks.box[index] = birth.box
        tracks.visibility[index] = 1.0
        tracks.last_seen[index] = stamp_ns
        tracks.state[index] = _ACTIVE
        tracks.missed_since[index] = 0
        tracks.hidden[index] = False
        tracks.away[index] = False
        tracks.trial[index] = 0
        tracks.other_depth[index] = 0


def _duration_ns(duration_s: float) -> float:
    """Convert to nanoseconds a duration that may be infinite."""
    return nanoseconds(duration_s) if np.isfinite(duration_s) else duration_s


def _product(
    mean_a: np.ndarray, covariance_a: np.ndarray, mean_b: np.ndarray, covariance_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combine two independent Gaussians (D,), (D, D) of one state."""
    precision_a = np.linalg.inv(covariance_a)
    precision_b = np.linalg.inv(covariance_b)
    covariance = symmetrize(np.linalg.inv(precision_a + precision_b))
    return covariance @ (precision_a @ mean_a + precision_b @ mean_b), covariance
