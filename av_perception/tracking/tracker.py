"""VAVIT: online variational tracking of several people from faces and sound."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from av_perception.data import AudioFeatures, LifeState, TrackEstimate, TrackFrame, VisualFeatures
from av_perception.geometry import RigidTransform
from av_perception.heads.profile import HeadProfile
from av_perception.tracking.acoustic_tables import AcousticTables
from av_perception.tracking.audio_association import AudioAssociation, AudioConfig
from av_perception.tracking.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.dynamics_update import DynamicsConfig, ProcessNoise
from av_perception.tracking.gaussian import apply
from av_perception.tracking.inference import FramePosterior, InferenceConfig, VariationalFrame
from av_perception.tracking.input_check import DetectedFaces, box_overlap, usable_audio, usable_faces, usable_pose
from av_perception.tracking.life_cycle import LifeConfig, LifeCycle
from av_perception.tracking.population import Population
from av_perception.tracking.state_space import LinearMap, Measurements, Prediction, StateSpace
from av_perception.tracking.visual_association import AppearanceConfig, VisualAssociation, appearance_log_ratio
from av_perception.tracking.visual_birth import BirthConfig, VisualBirth

_NANO = 1e-9
SHARE_DECAY = 0.9   # per frame of silence: after half a second nothing speaks for the last talker any more
_MAX_LINEARISATIONS = 3


@dataclass(frozen=True)
class TrackerConfig:
    """One entry per stage; reset_after_s: a stamp that jumps back by more starts a new session (a looped bag), by less is dropped;
    long_step_s: after a longer step everybody counts as unseen.
    """

    motion: CartesianHeadConfig = field(default_factory=CartesianHeadConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    appearance: AppearanceConfig = field(default_factory=AppearanceConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)
    birth: BirthConfig = field(default_factory=BirthConfig)
    life: LifeConfig = field(default_factory=LifeConfig)
    reset_after_s: float = 1.0
    long_step_s: float = 0.5

    def __post_init__(self):
        if self.reset_after_s < 0 or self.long_step_s <= 0:
            raise ValueError('reset_after_s must not be negative and long_step_s must be positive')


@dataclass(frozen=True)
class _Observations:
    """What a frame offers after the input check; None: no image, no voice."""

    faces: DetectedFaces | None
    measurements: Measurements | None
    audio: AudioFeatures | None
    pose: RigidTransform


class Tracker:
    """Tracks people frame by frame.

    Source: Ban, Alameda-Pineda, Girin, Horaud, "Variational Bayesian inference for audio-visual tracking of multiple speakers", IEEE
    TPAMI 43(5), 2021. acoustic_map: an AcousticMap, None to track by sight alone. model: another state space than CartesianHead.
    `counters` counts dropped input by reason: late_frames, resets, bad_poses, bad_faces, bad_embeddings, bad_audio, bad_subbands.
    """

    def __init__(self, config: TrackerConfig, head: HeadProfile, acoustic_map=None, model: StateSpace | None = None):
        self._config = config
        self._model = model or CartesianHead(config.motion, head)
        self._sees, self._hears = head.camera is not None, acoustic_map is not None and head.microphones is not None
        self._tables = AcousticTables(acoustic_map, config.audio.tempering) if self._hears else None
        self._birth, self._life = VisualBirth(config.birth, self._model), LifeCycle(config.life)
        self.counters: Counter = Counter()
        self._next_id = 1
        self._forget()

    def _forget(self):
        self._people = Population.empty(self._model.state_size)
        self._birth.reset()
        self._last = TrackFrame(0, (), False)
        self._embedding_size = 0

    def step(self, stamp_ns: int, visual: VisualFeatures | None, audio: AudioFeatures | None,
             reference_from_base: RigidTransform = RigidTransform()) -> TrackFrame:
        """One frame. visual None: no image (no faces: an image without faces); audio None: no sound yet.

        reference_from_base: pose of the head in the frame in which people are tracked. A stamp that does not advance or an unusable pose
        drops the frame: the previous result is returned again.
        """
        if not self._accepts(stamp_ns, reference_from_base):
            return self._last
        observed = self._observe(visual, audio, reference_from_base)
        prediction = self._predict(stamp_ns)
        posterior, shares = self._infer(prediction, observed)
        seen = self._note_vision(posterior, observed, stamp_ns)
        heard = self._life.note_sound(self._people, shares, stamp_ns)
        born = self._give_birth(posterior, observed, seen, stamp_ns)
        alive = self._bury(stamp_ns, heard, born, reference_from_base)
        newborn = np.ones(born, bool)
        estimates = self._report(alive, np.append(seen, newborn), np.append(heard, ~newborn), np.append(shares, np.zeros(born)))
        self._last = TrackFrame(int(stamp_ns), estimates, observed.audio is not None)
        return self._last

    def _accepts(self, stamp_ns: int, pose: RigidTransform) -> bool:
        if not usable_pose(pose):
            self.counters['bad_poses'] += 1
            return False
        if self._last.stamp_ns and stamp_ns <= self._last.stamp_ns:
            if (self._last.stamp_ns - stamp_ns) * _NANO <= self._config.reset_after_s:
                self.counters['late_frames'] += 1
                return False
            self.counters['resets'] += 1
            self._forget()
        return True

    def _observe(self, visual, audio, pose) -> _Observations:
        """Input check; silence (voice activity below the threshold) leaves no sub-bands."""
        faces = measurements = sound = None
        if visual is not None and self._sees:
            faces = usable_faces(visual, self._embedding_size, self.counters, self._model.needs_positions)
            self._embedding_size = self._embedding_size or faces.embeddings.shape[1]
            measurements = self._model.measure(faces)
        if audio is not None and self._hears:
            sound = usable_audio(audio, self._tables, self.counters)
            if sound is not None and sound.voice_activity < self._config.audio.vad_threshold:
                sound = None
        return _Observations(faces, measurements, sound, pose)

    def _predict(self, stamp_ns: int) -> Prediction:
        people = self._people
        dt_s = max((stamp_ns - self._last.stamp_ns) * _NANO, 1e-6)
        unseen = people.visible < 0.5 if dt_s <= self._config.long_step_s else np.ones(len(people), bool)
        prediction = self._model.predict(people.mean, people.covariance, min(dt_s, 3600.0), unseen)
        return Prediction(prediction.mean, self._model.bound(prediction.propagated), prediction.base_noise)

    def _infer(self, prediction: Prediction, observed: _Observations) -> tuple[FramePosterior, np.ndarray]:
        """The variational loop; returns the posterior and everybody's share (N,) of the sub-bands."""
        people = self._people
        noise, audio = ProcessNoise(self._config.dynamics, prediction.base_noise), self._audio_evidence(prediction, observed)
        point = prediction.mean
        for _ in range(_MAX_LINEARISATIONS):
            vision = self._visual_evidence(prediction, point, observed)
            posterior = VariationalFrame(prediction, noise, people.noise_ratio, vision, audio).run(self._config.inference)
            point = prediction.mean + posterior.deviation
            if vision is None or not (people.visible[posterior.alpha[:, 1:].sum(0) > 0.5] < 0.5).any():
                break
        people.mean = point
        people.covariance, people.noise_ratio = self._model.bound(posterior.covariance), posterior.noise_ratio
        shares = np.zeros(len(people)) if audio is None else audio.shares(posterior.beta)
        people.share = SHARE_DECAY * people.share if audio is None else shares
        return posterior, shares

    def _visual_evidence(self, prediction: Prediction, point: np.ndarray, observed: _Observations) -> VisualAssociation | None:
        """The faces against the camera model linearised at point (N, D): the predicted mean; for the first sight of a person after an
        absence the model is linearised again where the faces put the person (an iterated extended Kalman filter).
        """
        people, faces = self._people, observed.faces
        if faces is None or not len(faces):
            return None
        seen = self._model.visual_map(point, observed.pose)
        about_mean = LinearMap(seen.value + apply(seen.matrix, prediction.mean - point), seen.matrix, seen.usable)
        embeddings = people.embedding if people.embedding.shape[1] else np.zeros((len(people), faces.embeddings.shape[1]))
        appearance = appearance_log_ratio(self._config.appearance, faces.embeddings, embeddings)
        return VisualAssociation(observed.measurements, about_mean, appearance, self._model.log_visual_volume, ~people.asleep,
                                 people.visible)

    def _audio_evidence(self, prediction: Prediction, observed: _Observations) -> AudioAssociation | None:
        """The sub-bands against the directions of everybody, sleepers too: who is silent and out of view may speak again."""
        if observed.audio is None or not len(self._people):
            return None
        return AudioAssociation(self._config.audio, self._tables.evidence(observed.audio),
                                self._model.direction_map(prediction.mean, observed.pose), np.ones(len(self._people), bool), self._people.share)

    def _note_vision(self, posterior: FramePosterior, observed: _Observations, stamp_ns: int) -> np.ndarray:
        """Visibility, box and appearance of everybody; returns who is seen, (N,) bool."""
        people = self._people
        if observed.faces is None:
            return np.zeros(len(people), bool)
        alpha = np.zeros((0, len(people) + 1)) if posterior.alpha is None else posterior.alpha
        seen = self._life.note_image(people, alpha[:, 1:].sum(0), stamp_ns)
        if seen.any():
            people.box[seen] = observed.faces.boxes[alpha[:, 1:].argmax(0)[seen]]
            self._update_appearance(alpha[:, 1:], observed.faces)
        return seen

    def _update_appearance(self, alpha: np.ndarray, faces: DetectedFaces):
        """`h <- (1 - e) h + e u` for confident assignments of isolated faces; the first embedding of a person is taken as it is."""
        people, config = self._people, self._config.appearance
        if not faces.embeddings.any():
            return
        if not people.embedding.shape[1]:
            people.embedding = np.zeros((len(people), faces.embeddings.shape[1]))
        best = alpha.argmax(0)
        crowd = box_overlap(faces.boxes, faces.boxes)
        np.fill_diagonal(crowd, 0.0)
        clear = (alpha.max(0) > config.update_confidence) & (crowd.max(1)[best] <= config.isolation_overlap) & faces.embeddings[best].any(1)
        rate = np.where(people.embedding.any(1), config.update_rate, 1.0)[:, None]
        mixed = (1 - rate) * people.embedding + rate * faces.embeddings[best]
        norm = np.sqrt((mixed ** 2).sum(1, keepdims=True))
        people.embedding = np.where(clear[:, None] & (norm > 1e-6), mixed / np.maximum(norm, 1e-6), people.embedding)

    def _give_birth(self, posterior: FramePosterior, observed: _Observations, seen: np.ndarray, stamp_ns: int) -> int:
        """Births from faces of nobody; one close to an absent person brings that person back. Returns the number of newborn people."""
        if observed.faces is None:
            return 0
        unassigned = np.ones(len(observed.faces), bool) if posterior.alpha is None else posterior.alpha.argmax(1) == 0
        births = self._birth.step(stamp_ns, observed.faces, observed.measurements, unassigned, self._people.box[seen], observed.pose)
        strangers = []
        for birth in births:
            person = self._life.recognise(self._people, birth, ~seen, self._model, stamp_ns)
            if person is None:
                strangers.append(birth)
            else:
                self._life.reinstate(self._people, person, birth, stamp_ns)
                seen[person] = True
        if strangers:
            self._people.join(Population.newborn(range(self._next_id, self._next_id + len(strangers)), *(
                np.stack([getattr(birth, name) for birth in strangers]) for name in ('mean', 'covariance', 'embedding', 'box')), stamp_ns))
            self._next_id += len(strangers)
        return len(strangers)

    def _bury(self, stamp_ns: int, heard: np.ndarray, born: int, pose: RigidTransform) -> np.ndarray:
        """Forgets the dead and those who left unheard; returns the indices of the living among all people of this frame."""
        people = self._people
        dead = self._life.advance(people, stamp_ns)
        dead |= self._model.implausible(people.mean, people.covariance, pose) & ~np.append(heard, np.zeros(born, bool))
        alive = np.flatnonzero(~dead)
        if len(alive) < len(people):
            people.keep(alive)
        return alive

    def _report(self, alive: np.ndarray, seen: np.ndarray, heard: np.ndarray, shares: np.ndarray) -> tuple[TrackEstimate, ...]:
        """The living, with the observations (N,) of everybody in this frame."""
        people = self._people
        # Native numbers of a whole column at once, and copies: the estimates must outlive the next step.
        ids, states, last_seen, last_heard = (a.tolist() for a in (people.id, people.state, people.last_seen, people.last_heard))
        seen, heard, shares = seen[alive].tolist(), heard[alive].tolist(), np.minimum(shares[alive], 1.0).tolist()
        means, covariances, boxes = people.mean.copy(), people.covariance.copy(), people.box.copy()
        return tuple(TrackEstimate(
            id=ids[i], state=LifeState(states[i]), mean=means[i], covariance=covariances[i], seen=seen[i], heard=heard[i],
            predicted=not (seen[i] or heard[i]), last_seen_ns=last_seen[i], last_heard_ns=last_heard[i], audio_responsibility=shares[i],
            box=boxes[i] if seen[i] else None) for i in range(len(people)))
