# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stone Soup's trackers as peers; the import needs the package stonesoup (extra `comparison`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
from stonesoup.dataassociator.probability import JPDAwithEHM
from stonesoup.deleter.time import UpdateTimeStepsDeleter
from stonesoup.hypothesiser.probability import PDAHypothesiser
from stonesoup.initiator.simple import MultiMeasurementInitiator
from stonesoup.models.measurement.linear import LinearGaussian
from stonesoup.models.transition.linear import LinearGaussianTimeInvariantTransitionModel
from stonesoup.predictor.kalman import KalmanPredictor
from stonesoup.tracker.simple import MultiTargetMixtureTracker, MultiTargetTracker
from stonesoup.types.detection import Detection
from stonesoup.types.state import GaussianState
from stonesoup.updater.kalman import KalmanUpdater

from av_perception.benchmarks.peers import TENTATIVE_STEPS, Located, PeerConfig, PeerModel

_EPOCH = datetime(2000, 1, 1)  # Stone Soup counts in datetimes


class StoneSoup:
    """Stone Soup's trackers of several targets.

    GNN is MultiTargetTracker with GNNWith2DAssignment, JPDA is MultiTargetMixtureTracker with
    efficient hypothesis management. MultiMeasurementInitiator keeps tentative tracks, with GNN.

    Parameters
    ----------
    model, config
        The shared model, and the rules of output and deletion.
    joint
        JPDA instead of GNN.
    """

    def __init__(self, model: PeerModel, config: PeerConfig, joint: bool):
        self._model = model
        self._frame = 0
        self._source = _Frames()
        self._ids: dict[str, int] = {}
        motion = LinearGaussianTimeInvariantTransitionModel(
            transition_matrix=model.transition, covariance_matrix=model.process_noise
        )
        updater = KalmanUpdater(None)
        hypothesiser = PDAHypothesiser(
            KalmanPredictor(motion),
            updater,
            clutter_spatial_density=model.clutter_density,
            prob_detect=model.detection_probability,
            prob_gate=config.gate_probability,
        )
        gnn = GNNWith2DAssignment(hypothesiser)
        prior = GaussianState(*model.newborn(np.zeros(model.size), np.eye(model.size)))
        initiator = MultiMeasurementInitiator(
            prior_state=prior,
            deleter=UpdateTimeStepsDeleter(TENTATIVE_STEPS),
            data_associator=gnn,
            updater=updater,
            min_points=config.confirm_hits,
        )
        make_tracker = MultiTargetMixtureTracker if joint else MultiTargetTracker
        tracker = make_tracker(
            initiator=initiator,
            deleter=UpdateTimeStepsDeleter(config.forget_steps),
            detector=self._source,
            updater=updater,
            data_associator=JPDAwithEHM(hypothesiser) if joint else gnn,
        )
        self._tracker = iter(tracker)

    def step(self, values: np.ndarray, noises: np.ndarray) -> Located:
        """Take the detections of the next frame; see `peers.Peer.step`."""
        stamp = _EPOCH + timedelta(seconds=self._frame * self._model.period_s)
        self._frame += 1
        detections = {self._detection(stamp, value, noise) for value, noise in zip(values, noises)}
        self._source.now = (stamp, detections)
        _, tracks = next(self._tracker)
        return [(self._id_of(track), self._place_of(track)) for track in tracks]

    def _detection(self, stamp: datetime, value: np.ndarray, noise: np.ndarray) -> Detection:
        size = self._model.size
        model = LinearGaussian(size + self._model.moving, tuple(range(size)), noise_covar=noise)
        return Detection(value, timestamp=stamp, measurement_model=model)

    def _id_of(self, track) -> int:
        return self._ids.setdefault(track.id, len(self._ids) + 1)

    def _place_of(self, track) -> np.ndarray:
        return np.asarray(track.state_vector, float)[: self._model.size, 0]


class _Frames:
    """What Stone Soup's trackers iterate over: the frame of `now`, again and again."""

    now: tuple[datetime, set[Detection]] | None = None

    def __iter__(self) -> Iterator:
        while True:
            yield self.now
