# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VAVIT: online variational tracking of several people from faces and sound.

`Tracker.step` is the algorithm of one frame. T1, T2, ... are the equations in
docs/tracker_equations.md, which also maps words to symbols.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from av_perception.audio.direction_bins import BinBlock
from av_perception.geometry.time import seconds
from av_perception.interfaces import AudioFeatures, TrackFrame, VisualFeatures
from av_perception.robot_head.profile import HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.audio_association import AudioAssociation
from av_perception.tracking.association.heard_direction import HeardDirection, azimuth_stds
from av_perception.tracking.audio_branch import AudioBranch, SoundShares
from av_perception.tracking.frame_data import FrameAssignment, FrameObservations, track_estimates
from av_perception.tracking.inference.dynamics_update import ProcessNoise
from av_perception.tracking.inference.state_update import Information
from av_perception.tracking.inference.variational_frame import FramePosterior, VariationalFrame
from av_perception.tracking.input_validation import usable_poses
from av_perception.tracking.state_space.cartesian_head import CartesianHead
from av_perception.tracking.state_space.interface import (
    LinearMap,
    Prediction,
    StateSpace,
)
from av_perception.tracking.track_management.absence import Absence
from av_perception.tracking.track_management.id_counter import IdCounter
from av_perception.tracking.track_management.life_cycle import IN_VIEW, SEEN_MASS, LifeCycle
from av_perception.tracking.track_management.re_identification import ReIdentification
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.tracker_config import BINS, TrackerConfig
from av_perception.tracking.visual_branch import VisualBranch
from av_perception.tracking.voice_directions import VoiceDirections

# Per frame of silence: after half a second nothing speaks for the last talker any more.
_SHARE_DECAY = 0.9
_MAX_LINEARIZATIONS = 3
_STEP_RANGE_S = (1e-6, 3600.0)  # shorter and longer steps are taken for these


class Tracker:
    """Tracks people frame by frame.

    Source: Ban, Alameda-Pineda, Girin, Horaud, "Variational Bayesian inference for audio-visual
    tracking of multiple speakers", IEEE TPAMI 43(5), 2021. `counters` counts dropped input by
    reason: late_frames, resets, bad_poses, bad_faces, bad_embeddings, bad_appearances, bad_audio,
    bad_subbands, faces_too_many.

    Parameters
    ----------
    config
        See `TrackerConfig`.
    head
        The sensors.
    acoustic_map
        An AcousticMap of the head, None to track by sight alone.
    model
        Another state space than CartesianHead.

    Raises
    ------
    ValueError
        When the sub-bands of the acoustic map do not share their pieces.
    """

    def __init__(
        self,
        config: TrackerConfig,
        head: HeadProfile,
        acoustic_map=None,
        model: StateSpace | None = None,
    ):
        self._config = config
        self._model: StateSpace = model or CartesianHead(config.motion, head)
        self._still = self._usable_poses = SensorPoses.of_head(head)
        self._vision: VisualBranch | None = None
        if head.camera is not None:
            self._vision = VisualBranch(
                self._model, config.appearance, config.other_depth, config.birth
            )
        self._audio: AudioBranch | None = None
        self._voices: VoiceDirections | None = None
        if acoustic_map is not None and head.microphones is not None:
            self._audio = AudioBranch(acoustic_map, config.audio, config.noise, config.sound_birth)
            if config.sound_births == BINS:
                self._voices = VoiceDirections(config.voices, head.microphones)
        self._life = LifeCycle(config.life)
        self._absence = Absence(config.other_depth, self._life, self._model)
        self._identity = ReIdentification(config.identity, self._model)
        self.counters: Counter = Counter()
        self.ids = IdCounter()
        self.reset()

    def reset(self) -> None:
        """Forget everybody, and start a new session; ids go on."""
        self._tracks = TrackSet.empty(self._model.state_size)
        if self._vision is not None:
            self._vision.reset()
        if self._audio is not None:
            self._audio.reset()
        if self._voices is not None:
            self._voices.reset()
        self._identity.reset()
        self._last = TrackFrame(0, (), False)

    def forget(self, track_id: int) -> bool:
        """Forget one person, looks and all; False when nobody has that id."""
        return self._keep(np.flatnonzero(self._tracks.id != track_id))

    def step(
        self,
        stamp_ns: int,
        visual: VisualFeatures | None,
        audio: AudioFeatures | None,
        poses: SensorPoses | None = None,
        blocks: list[BinBlock] | None = None,
    ) -> TrackFrame:
        """Take one frame.

        Parameters
        ----------
        stamp_ns
            Of the frame [ns].
        visual
            None: no image (no faces: an image without faces).
        audio
            None: no sound yet.
        poses
            Of the head's sensors in the frame in which people are tracked, None for a head that
            stays where its base is.
        blocks
            Bins of direction since the last frame, oldest first; None where there are none: then
            sub-bands tell who is only heard.

        Returns
        -------
        TrackFrame
            All live tracks. A stamp that does not advance or an unusable pose drops the frame: the
            previous result is returned again.
        """
        poses = poses or self._still
        if not self._accepts(stamp_ns, poses):
            return self._last
        self._last = self._advance(stamp_ns, visual, audio, poses, blocks)
        return self._last

    def _advance(
        self,
        stamp_ns: int,
        visual: VisualFeatures | None,
        audio: AudioFeatures | None,
        poses: SensorPoses,
        blocks: list[BinBlock] | None,
    ) -> TrackFrame:
        """Take a frame whose stamp and poses are accepted."""
        self._life.note_blindness(self._tracks, visual is not None, stamp_ns)
        # Predictive density p(s_t | o_1..t-1) (T1).
        prediction = self._predict(stamp_ns)
        # Observations o_t: faces and sub-bands that can be used.
        observed = self._observe(stamp_ns, visual, audio, prediction, poses, blocks)
        # Variational posterior: E-Z, E-S and M steps (T5 to T13).
        posterior, shares = self._infer(prediction, observed)
        # Absence: visibility (T15), and who is heard (T16).
        assigned = self._assign(posterior, shares, observed)
        # Births and re-identification (T14).
        assigned = self._add_seen_people(posterior, observed, assigned)
        if self._audio is not None:
            assigned = self._add_heard_people(observed, assigned)
        # Sleep, death and duplicates.
        alive = self._delete_tracks(observed, assigned)
        estimates = track_estimates(self._tracks, assigned.select(alive))
        return TrackFrame(int(stamp_ns), estimates, observed.audio is not None)

    def _accepts(self, stamp_ns: int, poses: SensorPoses) -> bool:
        """Whether the frame can be used; a stamp far back starts a new session."""
        if poses is not self._usable_poses and not usable_poses(poses):
            self.counters['bad_poses'] += 1
            return False
        self._usable_poses = poses  # a head that stands still has the same ones for ever
        last_ns = self._last.stamp_ns
        if last_ns and stamp_ns <= last_ns:
            if seconds(last_ns - stamp_ns) <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return False
            self.counters['resets'] += 1
            self.reset()
        return True

    def _predict(self, stamp_ns: int) -> Prediction:
        """T1: `m = D mu` and `D Gam D'`; the process noise comes with the inference."""
        tracks = self._tracks
        shortest_s, longest_s = _STEP_RANGE_S
        dt_s = max(seconds(stamp_ns - self._last.stamp_ns), shortest_s)
        unseen = (tracks.visibility < IN_VIEW) | (dt_s > self._config.long_step_s)
        dt_s = min(dt_s, longest_s)
        moved = self._model.predict(tracks.mean, tracks.covariance, dt_s, unseen)
        bounded = self._model.bound_covariance(moved.propagated)
        return Prediction(moved.mean, bounded, moved.base_noise)

    def _observe(self, stamp_ns, visual, audio, prediction, poses, blocks) -> FrameObservations:
        """Check the input; without voice (activity below the threshold) no sub-band is left."""
        faces = voice = voices = None
        if visual is not None and self._vision is not None:
            faces = self._vision.observe(visual, self.counters)
        if self._audio is None or (audio is None and blocks is None):
            return FrameObservations(stamp_ns, poses, faces, voice, voices, None)
        directions = self._model.direction_map(prediction.mean, poses)
        if audio is not None:
            voice = self._audio.observe(stamp_ns, audio, directions, poses, self.counters)
        if blocks is not None and self._voices is not None:
            voices = self._voices.observe(
                blocks,
                self._tracks.id,
                directions,
                self._sleepers_std(prediction, directions),
                poses.reference_from_array.rotation,
                self._tracks.never_seen,  # whoever was seen is where eyes and sub-bands say
            )
        return FrameObservations(stamp_ns, poses, faces, voice, voices, directions)

    def _sleepers_std(self, prediction: Prediction, directions: LinearMap) -> np.ndarray:
        """(N,) standard deviation of the azimuth of who sleeps [rad], 0 of who does not."""
        return azimuth_stds(directions, prediction.propagated, self._tracks.asleep)

    def _infer(
        self, prediction: Prediction, observed: FrameObservations
    ) -> tuple[FramePosterior, SoundShares]:
        """Variational posterior of the frame: new states, and whose the sound is."""
        tracks = self._tracks
        audio = None
        if self._audio is not None and observed.audio is not None and len(tracks):
            # Bins follow who talks, also beside others; sub-bands find who walked on in silence.
            informs = ~tracks.never_seen | tracks.asleep | (observed.voices is None)
            sleepers_std = self._sleepers_std(prediction, observed.audio.directions)
            audio = self._audio.associate(observed.audio, tracks, informs, sleepers_std)
        posterior = self._iterate(prediction, audio, observed)
        self._update_states(posterior, observed.poses)
        if self._audio is None or observed.audio is None:
            tracks.audio_share = _SHARE_DECAY * tracks.audio_share
            return posterior, SoundShares.of_nobody(len(tracks))
        shares = self._audio.shares(observed.audio, audio, posterior.beta)
        tracks.audio_share = shares.energy
        return posterior, shares

    def _iterate(
        self, prediction: Prediction, audio: AudioAssociation | None, observed: FrameObservations
    ) -> FramePosterior:
        """E-Z, E-S and M steps (T5 to T13), with the camera linearized at the predicted mean.

        For the first sight of a person after an absence it is linearized again where the faces put
        the person (an iterated extended Kalman filter).
        """
        tracks, ratio = self._tracks, self._tracks.noise_ratio
        noise = ProcessNoise(self._config.dynamics, prediction.base_noise)
        point, log_prior = prediction.mean, None
        heard = self._heard_information(observed)
        for _ in range(_MAX_LINEARIZATIONS):
            vision = None
            if self._vision is not None and observed.vision is not None and len(observed.vision):
                vision = self._vision.associate(
                    observed.vision, tracks, prediction.mean, point, observed.poses
                )
            frame = VariationalFrame(prediction, noise, ratio, vision, audio, log_prior, heard)
            posterior = frame.run(self._config.inference)
            point, log_prior = posterior.mean, posterior.log_prior
            assigned = posterior.visual_mass > SEEN_MASS
            if not (tracks.visibility[assigned] < IN_VIEW).any():
                break
        return posterior

    def _heard_information(self, observed: FrameObservations) -> Information | None:
        """Where the bins heard those tracks that were never seen."""
        seen = ~self._tracks.never_seen
        if observed.voices is None or observed.directions is None or seen.all():
            return None
        precision, vector = observed.voices.information(observed.directions)
        precision[seen] = 0.0
        vector[seen] = 0.0
        return precision, vector

    def _update_states(self, posterior: FramePosterior, poses: SensorPoses) -> None:
        """Take the posterior over, as far as people can be there."""
        tracks = self._tracks
        tracks.mean = posterior.mean
        tracks.covariance = self._model.bound_covariance(posterior.covariance)
        tracks.noise_ratio = posterior.noise_ratio
        self._absence.bound(tracks, posterior.predicted_mean, posterior.visual_mass, poses)

    def _assign(
        self, posterior: FramePosterior, shares: SoundShares, observed: FrameObservations
    ) -> FrameAssignment:
        """Update visibility, appearance and who is heard."""
        tracks = self._tracks
        seen = np.zeros(len(tracks), bool)
        if self._vision is not None and observed.vision is not None:
            seen = self._life.update_visibility(tracks, posterior.visual_mass, observed.stamp_ns)
            self._vision.update_appearance(tracks, observed.vision, posterior.alpha, seen)
            appearances = observed.vision.faces.appearances
            self._identity.note_appearances(tracks.id, posterior.alpha[:, 1:], appearances, seen)
            self._absence.note_image(
                tracks, seen, posterior.elsewhere, observed.poses, observed.stamp_ns
            )
        loudest = shares.energy
        if observed.voices is not None:
            # A quiet voice beside a loud one owns bins, but hardly a sub-band.
            only_heard = tracks.never_seen
            loudest = np.where(only_heard, np.maximum(loudest, observed.voices.share), loudest)
        heard = self._life.update_heard(tracks, loudest, observed.stamp_ns)
        return FrameAssignment(seen, heard, shares.energy, shares.subbands)

    def _add_seen_people(
        self, posterior: FramePosterior, observed: FrameObservations, assigned: FrameAssignment
    ) -> FrameAssignment:
        """Births from faces that belong to no track; who fits an absent person is that person."""
        if self._vision is None or observed.vision is None:
            return assigned
        tracks, stamp_ns, poses = self._tracks, observed.stamp_ns, observed.poses
        seen = assigned.seen.copy()
        births = self._vision.find_births(
            stamp_ns, observed.vision, posterior.alpha, tracks, seen, poses
        )
        if not births:
            return assigned
        matches = self._identity.match(tracks, births, ~seen, poses, stamp_ns)
        strangers = []
        for birth, index in zip(births, matches):
            if index < 0 and not birth.is_doubtful:
                strangers.append(birth)
            elif index >= 0:
                self._life.reinstate(tracks, index, birth, stamp_ns)
                self._identity.note_birth(tracks.id[index], birth)
                seen[index] = True
        if strangers:
            ids = self.ids.take(len(strangers))
            tracks.append(TrackSet.from_births(ids, strangers, stamp_ns))
            for track_id, birth in zip(ids, strangers):
                self._identity.note_birth(track_id, birth)
        known = FrameAssignment(seen, assigned.heard, assigned.energy, assigned.subbands)
        return known.with_births(len(strangers), seen=True, heard=False)

    def _add_heard_people(
        self, observed: FrameObservations, assigned: FrameAssignment
    ) -> FrameAssignment:
        """Births from voices that belong to no track."""
        heard = self._strangers(observed, assigned)
        if not heard:
            return assigned
        means, covariances = self._model.bearing_only_states(
            np.stack([h.mean for h in heard]),
            np.stack([h.covariance for h in heard]),
            observed.poses,
        )
        if not len(means):
            return assigned
        ids = self.ids.take(len(means))
        self._tracks.append(TrackSet.from_voices(ids, means, covariances, observed.stamp_ns))
        return assigned.with_births(len(means), seen=False, heard=True)

    def _strangers(
        self, observed: FrameObservations, assigned: FrameAssignment
    ) -> list[HeardDirection]:
        """Who is heard for the first time, by bins where there are any."""
        assert self._audio is not None
        if observed.voices is not None:
            return self._audio.strangers(observed.voices, observed.poses)
        if observed.audio is None:
            return []
        clutter = 1 - assigned.subbands.sum(0)[observed.audio.features.valid]
        one = self._audio.find_birth(observed.stamp_ns, observed.audio, clutter, observed.poses)
        return [] if one is None else [one]

    def _delete_tracks(self, observed: FrameObservations, assigned: FrameAssignment) -> np.ndarray:
        """Delete the dead, who left unheard, and duplicates; returns the indices of the living."""
        tracks, poses = self._tracks, observed.poses
        dead = self._life.advance(tracks, observed.stamp_ns)
        dead |= self._model.implausible(tracks.mean, tracks.covariance, poses) & ~assigned.heard
        dead |= self._identity.duplicates(tracks, assigned.seen, poses)
        alive = np.flatnonzero(~dead)
        self._keep(alive)
        return alive

    def _keep(self, index: np.ndarray) -> bool:
        """Forget all but these tracks; tells whether there were others."""
        num_before = len(self._tracks)
        if len(index) < num_before:
            self._tracks.keep(index)
            self._identity.forget_others(self._tracks.id)
        return len(index) < num_before
