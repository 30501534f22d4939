# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tracks and images in, the head poses of everybody and whom they face out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from av_perception.geometry.boxes import areas, intersections
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.geometry.time import nanoseconds
from av_perception.head_pose.face_mesh import FaceMesh, FaceSquare
from av_perception.head_pose.facing import disc_probability, offsets_to, place_spread
from av_perception.head_pose.head_filter import HeadFilter, HeadState
from av_perception.head_pose.mean_mesh import HeadMeasurement, measure
from av_perception.head_pose.model import HeadPoseModel, load_head_pose_model
from av_perception.head_pose.rotations import optical_from_facing
from av_perception.interfaces import (
    HeadPoseEstimate,
    HeadPoseFrame,
    LifeState,
    TrackEstimate,
    TrackFrame,
)
from av_perception.robot_head.profile import CameraGeometry

_FIRST_LOOKS = 2  # at a face whose square is not known yet, before it is measured
_WIDEST = np.radians(60.0)  # standard deviation of what is no knowledge any more


@dataclass(frozen=True)
class HeadPoseConfig:
    """When heads are measured, and when a face counts as turned to something."""

    #: A face is turned to what lies within this angle of its forward axis, in degrees.
    facing_angle_deg: float = 15.0
    #: Probability from which on a person is said to face the robot.
    facing_on: float = 0.6
    #: Probability below which this is no longer said.
    facing_off: float = 0.4
    #: For so many seconds without a measurement a head pose is predicted; then it is unknown.
    longest_gap_s: float = 0.8
    #: Width in pixels below which a face is too small to be measured.
    least_face_px: float = 24.0
    #: Largest number of faces that are measured in an image; they take turns.
    faces_per_image: int = 4
    #: Largest misfit of the mean face, in shares of its radius; what fits worse does not count.
    largest_residual: float = 0.2
    #: share of a face that may lie behind a nearer one
    largest_hidden_share: float = 0.35

    def __post_init__(self):
        if not 0 < self.facing_angle_deg < 90:
            raise ValueError('facing_angle_deg must lie between 0 and 90')
        if not 0 <= self.facing_off <= self.facing_on <= 1:
            raise ValueError('facing_off must be at most facing_on, both in 0..1')
        if self.longest_gap_s <= 0 or self.least_face_px <= 0 or self.faces_per_image < 1:
            raise ValueError(
                'longest_gap_s and least_face_px must be positive, faces_per_image at least 1'
            )
        if self.largest_residual <= 0 or not 0 <= self.largest_hidden_share <= 1:
            raise ValueError(
                'largest_residual must be positive, largest_hidden_share must lie in 0..1'
            )


@dataclass
class _Head:
    """What is remembered of one track."""

    filter: HeadFilter
    square: FaceSquare | None = None
    box: np.ndarray | None = None
    facing: bool = False
    since_ns: int = 0


@dataclass(frozen=True)
class _Seen:
    """One track in one image."""

    track: TrackEstimate
    head: _Head
    frame: np.ndarray = field(default_factory=lambda: np.eye(3))  # reference_from_facing
    state: HeadState | None = None


class HeadPoseEstimator:
    """Measures the heads of tracked people, filters each, and tells whom they face.

    Parameters
    ----------
    config
        See there.
    camera
        Of the rectified images.
    mesh, model
        Given by tests; None takes those that are installed.

    Attributes
    ----------
    counters
        'faces measured'; 'faces too small'; 'faces hidden'; 'faces that fit no mean face';
        'faces that wait for their turn'; 'outliers'.

    Raises
    ------
    UserError
        When the network or the model is missing.
    """

    def __init__(
        self,
        config: HeadPoseConfig,
        camera: CameraGeometry,
        mesh: FaceMesh | None = None,
        model: HeadPoseModel | None = None,
    ):
        import scipy.special  # noqa: F401  # now, or the first face would wait for it

        self._camera = camera
        self._mesh = mesh or FaceMesh()
        self._model = model or load_head_pose_model()
        self._heads: dict[int, _Head] = {}
        self._last_ns = 0
        self.counters: dict[str, int] = {}
        self.reconfigure(config)

    def reconfigure(self, config: HeadPoseConfig) -> None:
        """Take over another configuration; gaps count for who comes from now on."""
        self._config = config

    def step(
        self, frame: TrackFrame, image: np.ndarray | None, reference_from_optical: RigidTransform
    ) -> HeadPoseFrame:
        """Take one frame.

        Parameters
        ----------
        frame
            The tracks, in the reference frame.
        image
            (height, width, 3) uint8, rectified, of the frame's stamp; None: all is predicted.
        reference_from_optical
            Pose of the camera at that moment.

        Returns
        -------
        HeadPoseFrame
            Of everybody who is awake, with the frame's stamp.
        """
        if frame.stamp_ns < self._last_ns - nanoseconds(self._config.longest_gap_s):
            self._heads.clear()  # the time was set back: a bag begins again
        self._last_ns = frame.stamp_ns
        awake = [track for track in frame.tracks if track.state != LifeState.SLEEPING]
        self._remember(awake)
        chosen = self._chosen(awake) if image is not None else set()
        seen = []
        for track in awake:
            measurement = None
            if image is not None and track.id in chosen:
                measurement = self._measure(track, image)
            seen.append(self._filtered(track, measurement, frame.stamp_ns, reference_from_optical))
        estimates = (self._estimate(one, seen, frame.stamp_ns) for one in seen)
        return HeadPoseFrame(frame.stamp_ns, tuple(estimates))

    def _remember(self, awake: list[TrackEstimate]) -> None:
        """Forget who is gone, and begin with who is new."""
        ids = [track.id for track in awake]
        gap_s = self._config.longest_gap_s
        self._heads = {
            track_id: self._heads.get(track_id) or _Head(HeadFilter(self._model, gap_s))
            for track_id in ids
        }

    def _chosen(self, awake: list[TrackEstimate]) -> set[int]:
        """Choose whom to measure: faces that show well, those not measured for longest first."""
        boxes = {track.id: track.box for track in awake if track.box is not None}
        fit = [track for track in awake if track.box is not None and self._shows(track, awake)]
        fit.sort(key=lambda track: self._heads[track.id].filter.last_measured_ns)
        self._count('faces that wait for their turn', len(fit) - self._config.faces_per_image)
        for track_id in boxes.keys() - {track.id for track in fit}:
            self._heads[track_id].square = None
        return {track.id for track in fit[: self._config.faces_per_image]}

    def _shows(self, track: TrackEstimate, awake: list[TrackEstimate]) -> bool:
        """Whether a face is large enough and not behind a nearer one."""
        box = track.box
        assert box is not None
        if not np.isfinite(box).all() or box[2] < self._config.least_face_px:
            self._count('faces too small')
            return False
        others = [other.box for other in awake if other is not track and other.box is not None]
        if others:
            # Of two faces of people, the larger one is the nearer.
            stack = np.array(others)
            nearer = areas(stack) > areas(box[None])
            hidden = intersections(box[None], stack)[0] * nearer / max(float(box[2] * box[3]), 1.0)
            if hidden.max() > self._config.largest_hidden_share:
                self._count('faces hidden')
                return False
        return True

    def _measure(self, track: TrackEstimate, image: np.ndarray) -> HeadMeasurement | None:
        """Measure one face; None where no face is found."""
        head, box = self._heads[track.id], track.box
        assert box is not None
        if head.square is None or head.box is None:
            square = FaceSquare.of_box(box)
            # The network does better on the square of its own result.
            for _ in range(_FIRST_LOOKS):
                square = FaceSquare.of_points(self._mesh.points(image, square))
        else:
            square = head.square.moved(head.box, box)
        points = self._mesh.points(image, square)
        measurement = measure(self._model.mesh, points)
        self._count('faces measured')
        if not measurement.residual <= self._config.largest_residual:
            self._count('faces that fit no mean face')
            head.square = None
            return None
        head.square, head.box = FaceSquare.of_points(points), box
        return measurement

    def _filtered(
        self,
        track: TrackEstimate,
        measurement: HeadMeasurement | None,
        stamp_ns: int,
        reference_from_optical: RigidTransform,
    ) -> _Seen:
        head = self._heads[track.id]
        ray = self._ray(track, reference_from_optical)
        frame = reference_from_optical.rotation @ optical_from_facing(ray)
        state = head.filter.step(stamp_ns, frame, measurement)
        if measurement is not None and (state is None or not state.measured):
            self._count('outliers')
            head.square = None
        if state is not None and np.trace(state.covariance) > _WIDEST**2:
            state = None
        return _Seen(track, head, frame, state)

    def _ray(self, track: TrackEstimate, reference_from_optical: RigidTransform) -> np.ndarray:
        """(3,) from the camera to the head, in optical coordinates."""
        if track.box is None:
            return reference_from_optical.inverse().apply(track.mean[:3])
        middle = track.box[:2] + track.box[2:] / 2
        slope = (middle - np.array(self._camera.center)) / np.array(self._camera.focal)
        return np.array([*slope, 1.0])

    def _estimate(self, one: _Seen, everybody: list[_Seen], stamp_ns: int) -> HeadPoseEstimate:
        head, state = one.head, one.state
        measured_ns = head.filter.last_measured_ns
        if state is None:
            self._switch(head, float('nan'), stamp_ns)
            return HeadPoseEstimate(
                one.track.id, last_measured_ns=measured_ns, since_ns=head.since_ns
            )
        others = [two for two in everybody if two is not one and two.track.last_seen_ns]
        probabilities = self._probabilities(one, state, others)
        facing = float(probabilities[0])
        self._switch(head, facing, stamp_ns)
        return HeadPoseEstimate(
            one.track.id,
            one.frame @ state.facing_from_head,
            one.frame @ state.covariance @ one.frame.T,
            measured_ns,
            facing,
            head.facing,
            head.since_ns,
            {two.track.id: float(p) for two, p in zip(others, probabilities[1:])},
        )

    def _probabilities(self, one: _Seen, state: HeadState, others: list[_Seen]) -> np.ndarray:
        """(1 + others,) that the face is turned to the robot, and to others with a place.

        They sum to 1 at most: where targets lie close together they share.
        """
        own = one.track
        directions = np.array(
            [[1.0, 0.0, 0.0]]
            + [one.frame.T @ (two.track.mean[:3] - own.mean[:3]) for two in others]
        )
        offsets, covariances = offsets_to(state.facing_from_head, directions, state.covariance)
        if others:
            places = np.array(
                [two.track.covariance[:3, :3] + own.covariance[:3, :3] for two in others]
            )
            turned = one.frame.T @ places @ one.frame
            spread = place_spread(state.facing_from_head, directions[1:], turned)
            covariances = covariances + np.concatenate([np.zeros((1, 2, 2)), spread])
        radius = np.radians(self._config.facing_angle_deg)
        probabilities = disc_probability(offsets, covariances, radius)
        return probabilities / max(1.0, float(probabilities.sum()))

    def _switch(self, head: _Head, probability: float, stamp_ns: int) -> None:
        """Say with hysteresis whether a person faces the robot; NaN, not known, is no."""
        threshold = self._config.facing_off if head.facing else self._config.facing_on
        facing = probability >= threshold
        if facing != head.facing:
            head.facing, head.since_ns = facing, stamp_ns

    def _count(self, what: str, count: int = 1) -> None:
        if count > 0:
            self.counters[what] = self.counters.get(what, 0) + count
