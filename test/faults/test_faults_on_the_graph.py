# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A selection of the faults of `benchmark faults`, done to the whole graph over DDS."""

from __future__ import annotations

import pytest
from dds_domains import free_domain

from av_perception.ros.faults.catalog import chosen
from av_perception.ros.faults.fault_graph import FaultGraph
from av_perception.ros.faults.trial import try_fault
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow
OF_THE_HEAD = (
    'sound-stops',
    'sound-loses-10',
    'sound-nan',
    'sound-huge',
    'sound-wrong-type',
    'sound-clock-ahead',
    'sound-rate-one',
    'sound-stamp-2038',
    'sound-since-1970',
    'images-stop',
    'images-lose-10',
    'images-noise',
    'images-truncated',
    'images-two-clocks',
    'clock-two-publishers',
    'right-rolls',
    'all-stop-longer',
    'all-an-hour-ahead',
    'forbidden-transitions',
)
OF_THE_ROBOT = (
    'tf-stops',
    'tf-loop',
    'tf-second-parent',
    'joints-nan',
    'imu-nan',
    'calibration-zeros',
)


def graph_of(setup, tmp_path_factory):
    folder = tmp_path_factory.mktemp(setup)
    return FaultGraph(setup, simulated_recording('short'), folder, free_domain())


@pytest.fixture(scope='module')
def head(tmp_path_factory):
    """The default graph, in one process."""
    with graph_of('head', tmp_path_factory) as graph:
        yield graph


@pytest.fixture(scope='module')
def robot(tmp_path_factory):
    """With transforms, joints, an IMU and the cameras' own calibration."""
    with graph_of('robot', tmp_path_factory) as graph:
        yield graph


def stand(graph, name):
    (fault,) = chosen([name])
    result = try_fault(graph, fault)
    assert result.is_held, (result.complaints, graph.said(0)[-10:])


@pytest.mark.parametrize('name', OF_THE_HEAD)
def test_the_default_graph_stands(head, name):
    stand(head, name)


@pytest.mark.parametrize('name', OF_THE_ROBOT)
def test_the_graph_of_a_moving_robot_stands(robot, name):
    stand(robot, name)
