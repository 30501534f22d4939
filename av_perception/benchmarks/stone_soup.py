# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Stone Soup's trackers as peers. The import needs the package stonesoup (extra `comparison`)."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from stonesoup.dataassociator.neighbor import GNNWith2DAssignment
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

from av_perception.benchmarks.peers import TENTATIVE_STEPS, PeerConfig, PeerModel

_EPOCH = datetime(2000, 1, 1)  # Stone Soup counts in datetimes


class StoneSoup:
    """Stone Soup's MultiTargetTracker with GNNWith2DAssignment, or its MultiTargetMixtureTracker with JPDA by efficient hypothesis
    management. Tentative tracks are kept by its MultiMeasurementInitiator, with GNN.
    """

    def __init__(self, model: PeerModel, config: PeerConfig, joint: bool):
        """joint: JPDA instead of GNN."""
        self._model, self._frame = model, 0
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
        gnn, deleter = (
            GNNWith2DAssignment(hypothesiser),
            UpdateTimeStepsDeleter(config.forget_steps),
        )
        prior = GaussianState(*model.newborn(np.zeros(model.size), np.eye(model.size)))
        initiator = MultiMeasurementInitiator(
            prior_state=prior,
            deleter=UpdateTimeStepsDeleter(TENTATIVE_STEPS),
            data_associator=gnn,
            updater=updater,
            min_points=config.confirm_hits,
        )
        self._source, self._ids = _Frames(), {}
        tracker = MultiTargetMixtureTracker if joint else MultiTargetTracker
        self._tracker = iter(
            tracker(
                initiator=initiator,
                deleter=deleter,
                detector=self._source,
                updater=updater,
                data_associator=JPDAwithEHM(hypothesiser) if joint else gnn,
            )
        )

    def step(self, values, noises):
        """One frame."""
        stamp = _EPOCH + timedelta(seconds=self._frame * self._model.period_s)
        self._frame += 1
        size = self._model.size
        self._source.now = (
            stamp,
            {
                Detection(
                    value,
                    timestamp=stamp,
                    measurement_model=LinearGaussian(
                        size + self._model.moving, tuple(range(size)), noise_covar=noise
                    ),
                )
                for value, noise in zip(values, noises)
            },
        )
        _, tracks = next(self._tracker)
        return [
            (
                self._ids.setdefault(track.id, len(self._ids) + 1),
                np.asarray(track.state_vector, float)[:size, 0],
            )
            for track in tracks
        ]


class _Frames:
    """What Stone Soup's trackers iterate over: the frame of `now`, again and again."""

    now = None

    def __iter__(self):
        while True:
            yield self.now
