# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Birth of tracks from faces that belong to no track.

This is VAVIT's birth test, the marginal likelihood of a short sequence (T14 of
docs/tracker_equations.md). Sizes: M faces, S sequences of at most L faces, D state, E embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from av_perception.geometry.boxes import box_overlap, grown
from av_perception.geometry.time import seconds
from av_perception.interfaces import APPEARANCE_SIZE
from av_perception.numerics import kalman_steps
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.state_space.interface import Measurements, Prediction, StateSpace
from av_perception.tracking.track_management.birth_hypotheses import Hypotheses, shares_faces
from av_perception.tracking.track_management.gallery import LEAST_BIRTH_SAMPLES

_FALSE_FACES = 0.1  # in an image, as long as nothing is known of them
_FEW_FALSE_FACES = 0.5
_FALSE_MEMORY = 50.0  # images, over which false faces are counted
# Widths and heights of a face within which another's person may hide somebody.
_NEAR = 1.0
# The same within which another's shoulders may cover its person's clothes. A guess why a face is
# not described: `vision/appearance.py` knows the reason, but messages do not carry it.
_OBSTRUCTING = 2.5
_LEAST_NORM = 1e-6  # of an embedding that has a direction


@dataclass(frozen=True)
class BirthConfig:
    """Which sequences of faces are a person."""

    #: 2..20, images with the face (B + 1)
    sequence_length: int = 4
    #: so many images in a row without the face end a sequence of two faces and more
    end_missed: int = 3
    #: Log likelihood ratio against clutter above which faces become a new person.
    log_ratio: float = 15.0
    #: [nat] the same above which one face fewer is enough, and none is needed to confirm
    sure_log_ratio: float = 20.0
    #: two faces are enough where an image of false faces has a pair as likely no more often
    false_pair_rate: float = 1e-6
    #: in (0, 1], a birth whose last box overlaps a seen track's box by more (intersection over
    #: union) is refused
    duplicate_overlap: float = 0.5
    #: best candidates kept per sequence length
    max_hypotheses: int = 200
    #: [s] sequences end when images are farther apart
    max_gap_s: float = 0.5
    #: [s] faces that are where somebody else is seen are nobody new before so long
    doubt_s: float = 1.0
    #: while somebody is absent, a face that does not show how its person looks is waited for by so
    #: many images at most
    looks_wait: int = 6

    def __post_init__(self):
        if not 2 <= self.sequence_length <= 20:
            raise ValueError('sequence_length must lie in 2..20')
        if self.end_missed < 1 or not 0 < self.false_pair_rate < 1:
            raise ValueError('end_missed must be at least 1 and false_pair_rate lie in (0, 1)')
        if not 0 < self.duplicate_overlap <= 1:
            raise ValueError('duplicate_overlap must lie in (0, 1]')
        if self.max_hypotheses < 1 or self.max_gap_s <= 0:
            raise ValueError('max_hypotheses and max_gap_s must be positive')
        if self.doubt_s < 0 or self.looks_wait < 0:
            raise ValueError('doubt_s and looks_wait must not be negative')


@dataclass(frozen=True)
class Birth:
    """A person who was just found.

    mean: (D,); covariance: (D, D); embedding: (E,) unit norm or zeros; box: (4,) of the last face
    [px]; log_ratio: to clutter [nat]; is_vague: the depth may be another's, so that the place is
    uncertain along the ray; is_doubtful: it has not been there for long enough to be somebody new;
    is_sure: it needs no further face.
    """

    mean: np.ndarray
    covariance: np.ndarray
    embedding: np.ndarray
    box: np.ndarray
    log_ratio: float
    is_vague: bool = False
    is_doubtful: bool = False
    is_sure: bool = False
    #: (L, A) appearances of its faces, without rows for those that are not described
    appearances: np.ndarray = field(default_factory=lambda: np.zeros((0, APPEARANCE_SIZE)))


@dataclass(frozen=True)
class _Image:
    """What one image offers to births. faces: M; measurements: of them; poses: of the sensors."""

    faces: DetectedFaces
    measurements: Measurements
    poses: SensorPoses


class VisualBirth:
    """Keeps, image by image, every gated sequence of unassigned faces.

    Each has a Kalman filter and a log likelihood ratio to clutter,

        LLR = sum_{j >= 1} [ log N(v_j ; h(m_j), H S_j H' + Phi_j) + log vol(V) ],

    which does not depend on units. The first face only places the prior (uniform over V, as
    clutter is). Sequences of full length above the threshold are accepted greedily; their faces
    are used up. While false faces are few, sequences of two and more wait for their next one.

    Of r false faces in an image at random, r^2 exp(-LLR) at most pair as well with those of the
    next: where that is next to never, nobody known may be the one, and no other face is near whose
    person may hide somebody, two faces are enough. r: those that found no second one.
    """

    def __init__(self, config: BirthConfig, model: StateSpace):
        self._config, self._model = config, model
        self.reset()

    def reset(self) -> None:
        """Forget all sequences."""
        self._open: Hypotheses | None = None
        self._stamp_ns = 0
        self._next_member = 0
        self._vague_since_ns = 0  # stamps of the first and the last of a run of vague births
        self._vague_until_ns = 0
        self._appearances: dict[int, np.ndarray] = {}  # by running number of the face
        self._false_faces = _FALSE_FACES  # in an image, the mean of late
        self._false_rate = _FALSE_FACES  # the same, or those of just now where they are more

    def step(
        self,
        stamp_ns: int,
        faces: DetectedFaces,
        measurements: Measurements,
        unassigned: np.ndarray,
        taken_boxes: np.ndarray,
        poses: SensorPoses,
        vague: np.ndarray | None = None,
        early: bool = False,
    ) -> list[Birth]:
        """Take one image.

        Parameters
        ----------
        stamp_ns, faces, measurements
            Of the image; M faces, and the same in the observation space.
        unassigned, vague
            (M,) bool each, faces that are most probably clutter; faces whose depth may be
            another's, None for no face.
        taken_boxes, poses, early
            (P, 4) boxes of the tracks seen in this image [px]; of the sensors; whether sure
            sequences need fewer faces.

        Returns
        -------
        list of Birth
            Who was found, the most certain first.
        """
        dt_s = seconds(stamp_ns - self._stamp_ns)
        self._stamp_ns = stamp_ns
        index = np.flatnonzero(unassigned)
        if not len(index) and not self._open:
            return []
        image = _Image(faces, measurements, poses)
        hypotheses = self._continued(self._start(image, index), image, dt_s)
        births, self._open = self._accept(self._prune(hypotheses), faces, taken_boxes, early)
        return [self._doubted(*birth, stamp_ns, vague) for birth in births]

    def _doubted(self, birth: Birth, face: int, stamp_ns: int, vague: np.ndarray | None) -> Birth:
        """Believe a vague birth only when there have been such for a while."""
        if vague is None or not vague[face]:
            return birth
        if seconds(stamp_ns - self._vague_until_ns) > self._config.max_gap_s:
            self._vague_since_ns = stamp_ns
        self._vague_until_ns = stamp_ns
        is_new = seconds(stamp_ns - self._vague_since_ns) < self._config.doubt_s
        return replace(birth, is_vague=True, is_doubtful=is_new)

    def _continued(self, fresh: Hypotheses, image: _Image, dt_s: float) -> Hypotheses:
        """Give the fresh hypotheses, and the open ones that a face of the image continues."""
        old = self._open
        if not old or dt_s > self._config.max_gap_s:
            return fresh
        gate = self._model.gate(old.mean, old.covariance, fresh.mean, fresh.covariance, dt_s)
        waiting = self._waiting(old, ~np.any(gate, axis=1))
        if not (gate.any() or len(waiting)):
            return fresh
        nobody = np.zeros(len(old), bool)
        prediction = self._model.predict(old.mean, old.covariance, dt_s, nobody)
        if gate.any():
            fresh = fresh.append(self._extend(old, fresh, gate, prediction, image))
        if not len(waiting):
            return fresh
        missed = replace(
            old.select(waiting),
            mean=prediction.mean[waiting],
            covariance=(prediction.propagated + prediction.base_noise)[waiting],
            face=np.full(len(waiting), -1),
            missed=old.missed[waiting] + 1,
        )
        return fresh.append(missed)

    def _waiting(self, old: Hypotheses, missed: np.ndarray) -> np.ndarray:
        """Pick the sequences (S,) that wait for their next face; lone faces do not."""
        is_lone = old.length == 1
        lone = int(np.count_nonzero(missed & is_lone))
        self._false_faces += (lone - self._false_faces) / _FALSE_MEMORY
        self._false_rate = max(self._false_faces, lone)
        is_over = is_lone | (old.missed + 1 >= self._config.end_missed)
        is_over |= self._false_rate > _FEW_FALSE_FACES
        return np.flatnonzero(missed & ~is_over)

    def _start(self, image: _Image, index: np.ndarray) -> Hypotheses:
        """Start a sequence with each of the faces `index`."""
        measurements = image.measurements
        chosen = Measurements(measurements.value[index], measurements.noise[index])
        mean, covariance = self._model.initial_states(chosen, image.poses)
        members = np.full((len(index), self._config.sequence_length), -1)
        members[:, -1] = self._next_member + np.arange(len(index))
        self._next_member += len(index)
        self._keep_appearances(members[:, -1], image.faces.appearances, index)
        embeddings = image.faces.embeddings[index]
        nothing = np.zeros(len(index), int)
        return Hypotheses(
            mean, covariance, 1.0 * nothing, members, embeddings, index, nothing, nothing
        )

    def _keep_appearances(
        self, numbers: np.ndarray, appearances: np.ndarray, index: np.ndarray
    ) -> None:
        """Remember how the faces `index` look, by their running numbers, and forget old ones."""
        if len(appearances):
            self._appearances.update(zip(numbers.tolist(), appearances[index]))
        for number in list(self._appearances)[: -self._config.max_hypotheses]:
            del self._appearances[number]

    def _appearances_of(self, members: np.ndarray) -> np.ndarray:
        """(L', A) appearances of those faces of a sequence that are described."""
        rows = [self._appearances[k] for k in members.tolist() if k in self._appearances]
        return np.array(rows).reshape(-1, APPEARANCE_SIZE)

    def _extend(
        self,
        old: Hypotheses,
        fresh: Hypotheses,
        gate: np.ndarray,
        prediction: Prediction,
        image: _Image,
    ) -> Hypotheses:
        """Every gated (sequence, new face) pair: one Kalman step each, all at once (T14)."""
        visual_map = self._model.visual_map(prediction.mean, image.poses)
        sequence, face = np.nonzero(gate & visual_map.usable[:, None])
        detection = fresh.face[face]
        predicted = prediction.propagated + prediction.base_noise
        # The observation function about the prediction: v - h(m) is observed of s - m.
        innovation = image.measurements.value[detection] - visual_map.value[sequence]
        shift, covariance, log_density = kalman_steps.update(
            np.zeros((len(sequence), old.mean.shape[1])),
            predicted[sequence],
            visual_map.matrix[sequence],
            innovation,
            image.measurements.noise[detection],
        )
        log_ratio = old.log_ratio[sequence] + log_density + self._model.log_visual_volume
        members = np.concatenate([old.members[sequence, 1:], fresh.members[face, -1:]], axis=1)
        embedding = _sum_embeddings(old.embedding[sequence], image.faces.embeddings[detection])
        mean = prediction.mean[sequence] + shift
        missed = np.zeros(len(sequence), int)
        was_complete = old.length == self._config.sequence_length
        waited = (old.waited + was_complete)[sequence]
        return Hypotheses(
            mean, covariance, log_ratio, members, embedding, detection, missed, waited
        )

    def _prune(self, hypotheses: Hypotheses) -> Hypotheses:
        """Keep the best of every length (ratios of different lengths do not compare)."""
        if len(hypotheses) <= self._config.max_hypotheses:
            return hypotheses
        length = hypotheses.length
        order = np.lexsort((-hypotheses.log_ratio, length))
        first = np.searchsorted(length[order], length[order])
        place = np.arange(len(order)) - first
        return hypotheses.select(order[place < self._config.max_hypotheses])

    def _accept(
        self, hypotheses: Hypotheses, faces: DetectedFaces, taken_boxes: np.ndarray, early: bool
    ) -> tuple[list[tuple[Birth, int]], Hypotheses]:
        """Births, with their last face, among the complete sequences; and those that go on."""
        config = self._config
        complete, sure = self._complete(hypotheses, faces, early)
        if not complete.any():
            return [], hypotheses
        candidates = np.flatnonzero(complete & (sure | (hypotheses.log_ratio > config.log_ratio)))
        boxes = faces.boxes[hypotheses.face[candidates]]
        overlap = box_overlap(boxes, taken_boxes).max(axis=1, initial=0.0)
        candidates = candidates[overlap <= config.duplicate_overlap]
        order = np.argsort(-hypotheses.log_ratio[candidates], kind='stable')
        births = []
        used = np.zeros(len(hypotheses), bool)
        for i in candidates[order]:
            if not used[i]:
                looks = self._appearances_of(hypotheses.members[i])
                birth = replace(_birth(hypotheses, i, faces, looks), is_sure=bool(sure[i]))
                births.append((birth, hypotheses.face[i]))
                used |= shares_faces(hypotheses.members, hypotheses.members[i])
        return births, hypotheses.select(np.flatnonzero(~complete & ~used))

    def _complete(
        self, hypotheses: Hypotheses, faces: DetectedFaces, early: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) bool each: which sequences need no further face; which are surely somebody."""
        config = self._config
        length = hypotheses.length
        sure = hypotheses.log_ratio > config.sure_log_ratio
        shown = hypotheses.missed == 0
        complete = shown & (length == config.sequence_length)
        nearly = shown & sure & (length == config.sequence_length - 1)
        if early:
            pairs = shown & (length == 2)
            pairs &= hypotheses.log_ratio > self._sure_pair_log_ratio()
            pairs[pairs] = ~_are_near_others(faces.boxes, _NEAR)[hypotheses.face[pairs]]
            sure |= pairs
            return complete | nearly | (shown & sure & (length == 2)), sure
        if not self._appearances:
            return complete, sure
        # The looks of who comes back tell as much after one face fewer. They do not show while the
        # border of the image cuts the face: by place alone a stranger would be who left. Nor do
        # they show beside others, which may last.
        waits = complete & (hypotheses.waited < config.looks_wait)
        waits[waits] = ~_are_near_others(faces.boxes, _OBSTRUCTING)[hypotheses.face[waits]]
        return (complete & ~waits) | self._have_looks(hypotheses, nearly | waits), sure

    def _have_looks(self, hypotheses: Hypotheses, which: np.ndarray) -> np.ndarray:
        """(S,) bool: those of `which` (S,) of whom two faces at least are described."""
        enough = np.zeros(len(hypotheses), bool)
        for i in np.flatnonzero(which):
            looks = self._appearances_of(hypotheses.members[i])
            enough[i] = np.isfinite(looks).any(axis=1).sum() >= LEAST_BIRTH_SAMPLES
        return enough

    def _sure_pair_log_ratio(self) -> float:
        """Log ratio that two false faces would hardly ever have."""
        return float(np.log(self._false_rate**2 / self._config.false_pair_rate))


def _are_near_others(boxes: np.ndarray, distance: float) -> np.ndarray:
    """(M,) bool: another of the boxes (M, 4) [px] is within so many widths and heights."""
    near = box_overlap(grown(boxes, distance * boxes[:, 2:]), boxes) > 0
    np.fill_diagonal(near, False)
    return np.any(near, axis=1)


def _birth(
    hypotheses: Hypotheses, index: int, faces: DetectedFaces, appearances: np.ndarray
) -> Birth:
    embedding = hypotheses.embedding[index]
    norm = float(np.sqrt(embedding @ embedding))
    unit = embedding / norm if norm > _LEAST_NORM else np.zeros_like(embedding)
    return Birth(
        hypotheses.mean[index],
        hypotheses.covariance[index],
        unit,
        faces.boxes[hypotheses.face[index]],
        float(hypotheses.log_ratio[index]),
        appearances=appearances,
    )


def _sum_embeddings(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    # The size changes once, when the first embedding ever arrives.
    return old + new if old.shape == new.shape else new
