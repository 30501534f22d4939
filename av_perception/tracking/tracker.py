# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""VAVIT: online variational tracking of several people from faces and sound."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from av_perception.interfaces import (
    AudioFeatures,
    LifeState,
    TrackEstimate,
    TrackFrame,
    VisualFeatures,
)
from av_perception.numerics.gaussian import matvec
from av_perception.robot_head.profile import HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.detected_faces import DetectedFaces, usable_faces
from av_perception.tracking.association.audio_association import AudioConfig
from av_perception.tracking.association.noise_model import NoiseConfig
from av_perception.tracking.association.visual_association import (
    AppearanceConfig,
    VisualAssociation,
    appearance_log_ratio,
    updated_looks,
)
from av_perception.tracking.audio_branch import AudioBranch, AudioObservation
from av_perception.tracking.inference.dynamics_update import DynamicsConfig, ProcessNoise
from av_perception.tracking.inference.variational_frame import (
    FramePosterior,
    InferenceConfig,
    VariationalFrame,
)
from av_perception.tracking.input_validation import usable_poses
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.state_space.interface import (
    LinearMap,
    Measurements,
    Prediction,
    StateSpace,
)
from av_perception.tracking.track_management.audio_birth import AudioBirthConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig, LifeCycle
from av_perception.tracking.track_management.re_identification import (
    ReIdentification,
    ReIdentificationConfig,
)
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import BirthConfig, VisualBirth

_NANO = 1e-9
SHARE_DECAY = (
    0.9  # per frame of silence: after half a second nothing speaks for the last talker any more
)
_MAX_LINEARIZATIONS = 3


@dataclass(frozen=True)
class TrackerConfig:
    """One entry per stage; reset_after_s: a stamp that jumps back by more starts a new session (a looped bag), by less is dropped;
    long_step_s: after a longer step everybody counts as unseen.
    """

    motion: CartesianHeadConfig = field(default_factory=CartesianHeadConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    birth: BirthConfig = field(default_factory=BirthConfig)
    sound_birth: AudioBirthConfig = field(default_factory=AudioBirthConfig)
    life: LifeConfig = field(default_factory=LifeConfig)
    identity: ReIdentificationConfig = field(default_factory=ReIdentificationConfig)
    reset_after_s: float = 1.0
    long_step_s: float = 0.5

    def __post_init__(self):
        if self.reset_after_s < 0 or self.long_step_s <= 0:
            raise ValueError('reset_after_s must not be negative and long_step_s must be positive')


@dataclass(frozen=True)
class _Observations:
    """What a frame offers after the input check; faces, measurements None: no image; sound None: no voice. directions: where the array
    hears everybody who is predicted, None without sound.
    """

    faces: DetectedFaces | None
    measurements: Measurements | None
    directions: LinearMap | None
    sound: AudioObservation | None
    poses: SensorPoses


@dataclass(frozen=True)
class _Assigned:
    """What of the frame is whose. seen: (N,) bool; heard: (N,) bool; shares: (N,) of the sound; subbands: (N, K), K = 0 without voice."""

    seen: np.ndarray
    heard: np.ndarray
    shares: np.ndarray
    subbands: np.ndarray

    def take(self, index: np.ndarray) -> _Assigned:
        return _Assigned(
            self.seen[index], self.heard[index], self.shares[index], self.subbands[index]
        )

    def with_newborn(self, count: int, seen: bool, heard: bool) -> _Assigned:
        if not count:
            return self
        return _Assigned(
            np.append(self.seen, np.full(count, seen)),
            np.append(self.heard, np.full(count, heard)),
            np.append(self.shares, np.zeros(count)),
            np.pad(self.subbands, ((0, count), (0, 0))),
        )


class Tracker:
    """Tracks people frame by frame.

    Source: Ban, Alameda-Pineda, Girin, Horaud, "Variational Bayesian inference for audio-visual tracking of multiple speakers", IEEE
    TPAMI 43(5), 2021. acoustic_map: an AcousticMap, None to track by sight alone. model: another state space than CartesianHead.
    `counters` counts dropped input by reason: late_frames, resets, bad_poses, bad_faces, bad_embeddings, bad_audio, bad_subbands.
    """

    def __init__(
        self,
        config: TrackerConfig,
        head: HeadProfile,
        acoustic_map=None,
        model: StateSpace | None = None,
    ):
        self._config = config
        self._model = model or CartesianHead(config.motion, head)
        self._still = SensorPoses.of_head(head)
        self._sees, hears = (
            head.camera is not None,
            acoustic_map is not None and head.microphones is not None,
        )
        self._hearing = (
            AudioBranch(
                acoustic_map, head.microphones, config.audio, config.noise, config.sound_birth
            )
            if hears
            else None
        )
        self._birth = VisualBirth(config.birth, self._model)
        self._life, self._identity = (
            LifeCycle(config.life),
            ReIdentification(config.identity, self._model),
        )
        self.counters: Counter = Counter()
        self._next_id = 1
        self._forget()

    def _forget(self):
        self._people = TrackSet.empty(self._model.state_size)
        self._birth.reset()
        if self._hearing:
            self._hearing.reset()
        self._last = TrackFrame(0, (), False)
        self._embedding_size = 0

    def step(
        self,
        stamp_ns: int,
        visual: VisualFeatures | None,
        audio: AudioFeatures | None,
        poses: SensorPoses | None = None,
    ) -> TrackFrame:
        """One frame. visual None: no image (no faces: an image without faces); audio None: no sound yet.

        poses: of the head's sensors in the frame in which people are tracked, None for a head that stays where its base is. A stamp that
        does not advance or an unusable pose drops the frame: the previous result is returned again.
        """
        poses = poses or self._still
        if not self._accepts(stamp_ns, poses):
            return self._last
        prediction = self._predict(stamp_ns)
        observed = self._observe(stamp_ns, visual, audio, prediction, poses)
        posterior, shares, subbands = self._infer(prediction, observed)
        seen = self._note_vision(posterior, observed, stamp_ns)
        heard = self._life.note_sound(self._people, shares, stamp_ns)
        assigned = _Assigned(seen, heard, shares, subbands)
        assigned = self._find_faces(posterior, observed, assigned, stamp_ns)
        assigned = self._find_voices(observed, assigned, stamp_ns)
        estimates = self._report(assigned.take(self._bury(stamp_ns, assigned, poses)))
        self._last = TrackFrame(int(stamp_ns), estimates, observed.sound is not None)
        return self._last

    def _accepts(self, stamp_ns: int, poses: SensorPoses) -> bool:
        if not usable_poses(poses):
            self.counters['bad_poses'] += 1
            return False
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if (self._last.stamp_ns - stamp_ns) * _NANO <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return False
            self.counters['resets'] += 1
            self._forget()
        return True

    def _observe(self, stamp_ns, visual, audio, prediction, poses) -> _Observations:
        """Input check; silence (voice activity below the threshold) leaves no sub-bands."""
        faces = measurements = directions = sound = None
        if visual is not None and self._sees:
            faces = usable_faces(
                visual, self._embedding_size, self.counters, self._model.needs_positions
            )
            self._embedding_size = self._embedding_size or faces.embeddings.shape[1]
            measurements = self._model.measure(faces)
        if audio is not None and self._hearing:
            directions = self._model.direction_map(prediction.mean, poses)
            sound = self._hearing.take(stamp_ns, audio, directions, poses, self.counters)
        return _Observations(faces, measurements, directions, sound, poses)

    def _predict(self, stamp_ns: int) -> Prediction:
        people = self._people
        dt_s = max((stamp_ns - self._last.stamp_ns) * _NANO, 1e-6)
        unseen = (
            people.visible < 0.5
            if dt_s <= self._config.long_step_s
            else np.ones(len(people), bool)
        )
        prediction = self._model.predict(people.mean, people.covariance, min(dt_s, 3600.0), unseen)
        return Prediction(
            prediction.mean, self._model.bound(prediction.propagated), prediction.base_noise
        )

    def _infer(
        self, prediction: Prediction, observed: _Observations
    ) -> tuple[FramePosterior, np.ndarray, np.ndarray]:
        """The variational loop; returns the posterior, everybody's share (N,) of the sound and of every sub-band (N, K)."""
        people, sound = self._people, observed.sound
        noise = ProcessNoise(self._config.dynamics, prediction.base_noise)
        audio = (
            self._hearing.associate(sound, observed.directions, people.share)
            if sound and len(people)
            else None
        )
        point = prediction.mean
        for _ in range(_MAX_LINEARIZATIONS):
            vision = self._visual_evidence(prediction, point, observed)
            posterior = VariationalFrame(prediction, noise, people.noise_ratio, vision, audio).run(
                self._config.inference
            )
            point = prediction.mean + posterior.deviation
            if (
                vision is None
                or not (people.visible[posterior.alpha[:, 1:].sum(0) > 0.5] < 0.5).any()
            ):
                break
        people.mean = point
        people.covariance, people.noise_ratio = (
            self._model.bound(posterior.covariance),
            posterior.noise_ratio,
        )
        self._settle_rays(observed.poses)
        shares = np.zeros(len(people)) if audio is None else audio.shares(posterior.beta)
        people.share = SHARE_DECAY * people.share if sound is None else shares
        return posterior, shares, self._subband_shares(audio, posterior, sound)

    def _settle_rays(self, poses: SensorPoses):
        """Sound does not tell the range of those who were never seen."""
        people, rays = self._people, self._people.never_seen
        if rays.any():
            people.mean[rays], people.covariance[rays] = self._model.settle_rays(
                people.mean[rays], people.covariance[rays], poses
            )

    def _subband_shares(
        self, audio, posterior: FramePosterior, sound: AudioObservation | None
    ) -> np.ndarray:
        """(N, K) responsibilities of everybody for every sub-band, 0 for the unused; K = 0 without voice."""
        if sound is None:
            return np.zeros((len(self._people), 0))
        subbands = np.zeros((len(self._people), self._hearing.num_subbands))
        if audio is not None:
            subbands[:, sound.features.valid] = audio.owners(posterior.beta)[:, 1:].T
        return subbands

    def _visual_evidence(
        self, prediction: Prediction, point: np.ndarray, observed: _Observations
    ) -> VisualAssociation | None:
        """The faces against the camera model linearised at point (N, D): the predicted mean; for the first sight of a person after an
        absence the model is linearised again where the faces put the person (an iterated extended Kalman filter).
        """
        people, faces = self._people, observed.faces
        if faces is None or not len(faces):
            return None
        seen = self._model.visual_map(point, observed.poses)
        about_mean = LinearMap(
            seen.value + matvec(seen.matrix, prediction.mean - point), seen.matrix, seen.usable
        )
        embeddings = (
            people.embedding
            if people.embedding.shape[1]
            else np.zeros((len(people), faces.embeddings.shape[1]))
        )
        appearance = appearance_log_ratio(self._config.appearance, faces.embeddings, embeddings)
        return VisualAssociation(
            observed.measurements,
            about_mean,
            appearance,
            self._model.log_visual_volume,
            ~people.asleep & ~people.never_seen,
            people.visible,
        )

    def _note_vision(
        self, posterior: FramePosterior, observed: _Observations, stamp_ns: int
    ) -> np.ndarray:
        """Visibility, box and appearance of everybody; returns who is seen, (N,) bool."""
        people = self._people
        if observed.faces is None:
            return np.zeros(len(people), bool)
        alpha = np.zeros((0, len(people) + 1)) if posterior.alpha is None else posterior.alpha
        seen = self._life.note_image(people, alpha[:, 1:].sum(0), stamp_ns)
        if seen.any():
            people.box[seen] = observed.faces.boxes[alpha[:, 1:].argmax(0)[seen]]
            people.embedding = updated_looks(
                self._config.appearance, people.embedding, alpha[:, 1:], observed.faces
            )
        return seen

    def _find_faces(
        self,
        posterior: FramePosterior,
        observed: _Observations,
        assigned: _Assigned,
        stamp_ns: int,
    ) -> _Assigned:
        """Births from faces of nobody; one close to an absent person brings that person back."""
        if observed.faces is None:
            return assigned
        people, seen = self._people, assigned.seen
        unassigned = (
            np.ones(len(observed.faces), bool)
            if posterior.alpha is None
            else posterior.alpha.argmax(1) == 0
        )
        births = self._birth.step(
            stamp_ns,
            observed.faces,
            observed.measurements,
            unassigned,
            people.box[seen],
            observed.poses,
        )
        owners = self._identity.recognize(people, births, ~seen, observed.poses, stamp_ns)
        for birth, person in zip(births, owners):
            if person >= 0:
                self._life.reinstate(people, person, birth, stamp_ns)
                seen[person] = True
        strangers = [birth for birth, person in zip(births, owners) if person < 0]
        if strangers:
            people.join(
                TrackSet.newborn(
                    self._new_ids(len(strangers)),
                    *(
                        np.stack([getattr(birth, name) for birth in strangers])
                        for name in ('mean', 'covariance', 'embedding', 'box')
                    ),
                    stamp_ns,
                )
            )
        return assigned.with_newborn(len(strangers), seen=True, heard=False)

    def _find_voices(
        self, observed: _Observations, assigned: _Assigned, stamp_ns: int
    ) -> _Assigned:
        """A birth from voices of nobody."""
        sound = observed.sound
        if sound is None:
            return assigned
        clutter = 1 - assigned.subbands.sum(0)[sound.features.valid]
        stranger = self._hearing.find_stranger(
            stamp_ns, sound, clutter, observed.directions, observed.poses
        )
        if stranger is None:
            return assigned
        mean, covariance = self._model.rays(
            stranger.mean[None], stranger.covariance[None], observed.poses
        )
        if len(mean):
            self._people.join(
                TrackSet.overheard(self._new_ids(len(mean)), mean, covariance, stamp_ns)
            )
        return assigned.with_newborn(len(mean), seen=False, heard=True)

    def _new_ids(self, count: int) -> range:
        self._next_id += count
        return range(self._next_id - count, self._next_id)

    def _bury(self, stamp_ns: int, assigned: _Assigned, poses: SensorPoses) -> np.ndarray:
        """Forgets the dead, those who left unheard and doubles; returns the indices of the living among all people of this frame."""
        people = self._people
        dead = self._life.advance(people, stamp_ns)
        dead |= self._model.implausible(people.mean, people.covariance, poses) & ~assigned.heard
        dead |= self._identity.duplicates(people, assigned.seen, poses)
        alive = np.flatnonzero(~dead)
        if len(alive) < len(people):
            people.keep(alive)
        return alive

    def _report(self, assigned: _Assigned) -> tuple[TrackEstimate, ...]:
        """The living, with what of this frame is theirs."""
        people = self._people
        # Native numbers of a whole column at once, and copies: the estimates must outlive the next step.
        ids, states, last_seen, last_heard = (
            a.tolist() for a in (people.id, people.state, people.last_seen, people.last_heard)
        )
        seen, heard, shares = (
            assigned.seen.tolist(),
            assigned.heard.tolist(),
            np.minimum(assigned.shares, 1.0).tolist(),
        )
        visibility = people.visible.tolist()
        means, covariances, boxes = people.mean.copy(), people.covariance.copy(), people.box.copy()
        return tuple(
            TrackEstimate(
                id=ids[i],
                state=LifeState(states[i]),
                mean=means[i],
                covariance=covariances[i],
                seen=seen[i],
                heard=heard[i],
                predicted=not (seen[i] or heard[i]),
                last_seen_ns=last_seen[i],
                last_heard_ns=last_heard[i],
                audio_responsibility=shares[i],
                box=boxes[i] if seen[i] else None,
                subband_responsibility=assigned.subbands[i],
                visibility=visibility[i],
            )
            for i in range(len(people))
        )
