# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The weights that ship, on clips of people nothing was trained on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from av_perception.benchmarks.motion_skeletons import (
    BASELINES,
    HIT_DVAE,
    forecasts_of,
    latent_nats,
    rows_of,
)
from av_perception.motion_forecast.skeleton_forecaster import SkeletonForecaster
from av_perception.motion_forecast.skeletons import UNSEEN, load_clips

FREE_NATS = 16 * 0.02  # of z in a frame, that training does not charge for


@pytest.fixture(scope='module')
def clips():
    folder = os.environ.get('AV_PERCEPTION_DATA', '')
    path = Path(folder) / 'mocap' / 'cmu_positions_train.npz'
    if not folder or not path.is_file():
        pytest.skip('the skeletons of the development data are not here (AV_PERCEPTION_DATA)')
    return [clip for clip in load_clips(path) if clip.name in UNSEEN]


@pytest.fixture(scope='module')
def forecaster():
    return SkeletonForecaster()


@pytest.mark.slow
def test_walking_is_forecast_nearer_than_by_standing_still(clips, forecaster):
    walking = [clip for clip in clips if clip.name in ('walking_5', 'walking_30')]
    ours = rows_of(HIT_DVAE, list(forecasts_of(HIT_DVAE, walking, forecaster)))[0]
    still = rows_of('x', list(forecasts_of(next(iter(BASELINES)), walking, None)))[0]
    assert ours.ade_m < 0.7 * still.ade_m and ours.fde_m < 0.8 * still.fde_m
    assert ours.apd_m > 1.5


@pytest.mark.slow
def test_latents_say_more_than_is_free(clips, forecaster):
    walking = [clip for clip in clips if clip.action == 'walking']
    assert latent_nats(forecaster.net, walking[:2]) > FREE_NATS


def test_untrained_lengths_run(forecaster):
    seen = np.tile(forecaster.net.center, (5, 1))
    for observed, ahead in ((2, 3), (5, 100)):
        made = forecaster.forecast(seen[:observed], ahead, 2)
        assert made.poses.shape == (2, ahead, 63) and np.isfinite(made.poses).all()
