# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Birth of tracks from faces that belong to nobody (VAVIT's birth test: the marginal likelihood of a short sequence)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from av_perception.numerics.gaussian import (
    LOG_2PI,
    inverse_and_log_det,
    matvec,
    propagate_covariance,
    quadratic,
    symmetrize,
)
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.input_validation import DetectedFaces, box_overlap
from av_perception.tracking.state_space.interface import Measurements, StateSpace


@dataclass(frozen=True)
class BirthConfig:
    """sequence_length: consecutive images with the face (B + 1); log_ratio: threshold theta of the log likelihood ratio to clutter [nat];
    duplicate_overlap: a birth whose last box overlaps a seen person's box by more (intersection over union) is refused;
    max_hypotheses: best candidates kept per sequence length; max_gap_s: sequences end when images are farther apart.
    """

    sequence_length: int = 4
    #: Log likelihood ratio against clutter above which faces become a new person.
    log_ratio: float = 15.0
    duplicate_overlap: float = 0.5
    max_hypotheses: int = 200
    max_gap_s: float = 0.5

    def __post_init__(self):
        if not 2 <= self.sequence_length <= 20:
            raise ValueError('sequence_length must lie in 2..20')
        if not 0 < self.duplicate_overlap <= 1:
            raise ValueError('duplicate_overlap must lie in (0, 1]')
        if self.max_hypotheses < 1 or self.max_gap_s <= 0:
            raise ValueError('max_hypotheses and max_gap_s must be positive')


@dataclass(frozen=True)
class Birth:
    """A person who was just found. mean: (D,); covariance: (D, D); embedding: (E,) unit norm or zeros; box: (4,) of the last face."""

    mean: np.ndarray
    covariance: np.ndarray
    embedding: np.ndarray
    box: np.ndarray
    log_ratio: float


@dataclass
class _Hypotheses:
    """Sequences that end at the newest image. mean: (S, D), covariance: (S, D, D) filtered states; log_ratio: (S,);
    members: (S, L) running numbers of the faces, -1 before the first; embedding: (S, E) sums; face: (S,) index of the last face.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_ratio: np.ndarray
    members: np.ndarray
    embedding: np.ndarray
    face: np.ndarray

    def __len__(self) -> int:
        return len(self.log_ratio)

    def take(self, index: np.ndarray) -> _Hypotheses:
        return _Hypotheses(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    @staticmethod
    def concatenate(parts: list[_Hypotheses]) -> _Hypotheses:
        return _Hypotheses(
            *(
                np.concatenate([getattr(p, name) for p in parts])
                for name in _Hypotheses.__dataclass_fields__
            )
        )


class VisualBirth:
    """Keeps, image by image, every gated sequence of unassigned faces with its Kalman filter and log likelihood ratio

        LLR = sum_{j >= 1} [ log N(v_j ; h(m_j), H S_j H' + Phi_j) + log vol(V) ],

    which does not depend on units. The first face only places the prior (uniform over V, as clutter is). Sequences of full length above the
    threshold are accepted greedily; their faces are used up.
    """

    def __init__(self, config: BirthConfig, model: StateSpace):
        self._config, self._model = config, model
        self.reset()

    def reset(self):
        """Forgets all sequences."""
        self._open: _Hypotheses | None = None
        self._stamp_ns, self._next_member = 0, 0

    def step(
        self,
        stamp_ns: int,
        faces: DetectedFaces,
        measurements: Measurements,
        unassigned: np.ndarray,
        taken_boxes: np.ndarray,
        poses: SensorPoses,
    ) -> list[Birth]:
        """One image. unassigned: (M,) bool, faces whose most probable owner is clutter; taken_boxes: (P, 4) boxes of people seen in this
        image.
        """
        dt_s = (stamp_ns - self._stamp_ns) * 1e-9
        self._stamp_ns = stamp_ns
        index = np.flatnonzero(unassigned)
        if not len(index):
            self._open = None
            return []
        fresh = self._start(faces, measurements, index, poses)
        continued = []
        if self._open is not None and len(self._open) and dt_s <= self._config.max_gap_s:
            reachable = self._model.reachable(
                self._open.mean, self._open.covariance, fresh.mean, fresh.covariance, dt_s
            )
            if reachable.any():
                continued = [
                    self._extend(
                        self._open, fresh, np.nonzero(reachable), measurements, faces, dt_s, poses
                    )
                ]
        hypotheses = self._prune(_Hypotheses.concatenate([fresh, *continued]))
        births, self._open = self._accept(hypotheses, faces, taken_boxes)
        return births

    def _start(self, faces, measurements, index, poses) -> _Hypotheses:
        chosen = Measurements(measurements.value[index], measurements.noise[index])
        mean, covariance = self._model.initial_states(chosen, poses)
        members = np.full((len(index), self._config.sequence_length), -1)
        members[:, -1] = self._next_member + np.arange(len(index))
        self._next_member += len(index)
        return _Hypotheses(
            mean, covariance, np.zeros(len(index)), members, faces.embeddings[index], index
        )

    def _extend(
        self, old: _Hypotheses, fresh: _Hypotheses, pairs, measurements, faces, dt_s, poses
    ) -> _Hypotheses:
        """Every gated (sequence, new face) pair: one Kalman step each, all at once."""
        sequence, face = pairs
        prediction = self._model.predict(old.mean, old.covariance, dt_s, np.zeros(len(old), bool))
        predicted = prediction.propagated + prediction.base_noise
        seen = self._model.visual_map(prediction.mean, poses)
        visible = seen.usable[sequence]
        sequence, face = sequence[visible], face[visible]
        matrix, detection = seen.matrix[sequence], fresh.face[face]
        innovation = measurements.value[detection] - seen.value[sequence]
        precision, log_det = inverse_and_log_det(
            propagate_covariance(matrix, predicted[sequence]) + measurements.noise[detection]
        )
        log_density = -0.5 * (
            innovation.shape[1] * LOG_2PI + log_det + quadratic(innovation, precision)
        )
        gain = predicted[sequence] @ matrix.swapaxes(1, 2) @ precision
        members = np.concatenate([old.members[sequence, 1:], fresh.members[face, -1:]], axis=1)
        embedding = _sum_embeddings(old.embedding[sequence], faces.embeddings[detection])
        covariance = symmetrize(predicted[sequence] - gain @ matrix @ predicted[sequence])
        return _Hypotheses(
            prediction.mean[sequence] + matvec(gain, innovation),
            covariance,
            old.log_ratio[sequence] + log_density + self._model.log_visual_volume,
            members,
            embedding,
            detection,
        )

    def _prune(self, hypotheses: _Hypotheses) -> _Hypotheses:
        """The best of every length (ratios of different lengths do not compare)."""
        if len(hypotheses) <= self._config.max_hypotheses:
            return hypotheses
        length = (hypotheses.members >= 0).sum(1)
        order = np.lexsort((-hypotheses.log_ratio, length))
        first = np.searchsorted(length[order], length[order])
        return hypotheses.take(order[np.arange(len(order)) - first < self._config.max_hypotheses])

    def _accept(
        self, hypotheses: _Hypotheses, faces, taken_boxes
    ) -> tuple[list[Birth], _Hypotheses]:
        complete = hypotheses.members[:, 0] >= 0
        if not complete.any():
            return [], hypotheses
        overlap = box_overlap(faces.boxes[hypotheses.face], taken_boxes).max(axis=1, initial=0.0)
        likely, alone = (
            hypotheses.log_ratio > self._config.log_ratio,
            overlap <= self._config.duplicate_overlap,
        )
        candidates = np.flatnonzero(complete & likely & alone)
        births, used = [], np.zeros(len(hypotheses), bool)
        for i in candidates[np.argsort(-hypotheses.log_ratio[candidates], kind='stable')]:
            if not used[i]:
                births.append(
                    Birth(
                        hypotheses.mean[i],
                        hypotheses.covariance[i],
                        _unit(hypotheses.embedding[i]),
                        faces.boxes[hypotheses.face[i]],
                        float(hypotheses.log_ratio[i]),
                    )
                )
                used |= np.isin(hypotheses.members, hypotheses.members[i]).any(1)
        return births, hypotheses.take(np.flatnonzero(~complete & ~used))


def _sum_embeddings(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    # The size changes once, when the first embedding ever arrives.
    return old + new if old.shape == new.shape else new


def _unit(vector: np.ndarray) -> np.ndarray:
    norm = float(np.sqrt(vector @ vector))
    return vector / norm if norm > 1e-6 else np.zeros_like(vector)
