# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of the clustering package measure what they say. No time is asserted."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from av_perception.benchmarks import calibration_accuracy, cluster_data, cluster_methods, modes
from av_perception.benchmarks.cluster_data import (
    GROUPS,
    OUTLIER,
    audio_visual_clusters,
    gaussian_clusters,
)
from av_perception.benchmarks.nominal_load import nominal_load
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.interfaces import Face, VisualFeatures
from av_perception.pipelines.full import START_NS
from av_perception.recording.timing import image_stamp_ns
from av_perception.simulation.cache import simulated_recording


@pytest.mark.parametrize('share', [0.0, 0.3, 0.5])
def test_outliers_have_their_share(share):
    data = gaussian_clusters(GROUPS['unbalanced'], share, np.random.default_rng(0))
    assert np.bincount(data.labels[data.labels >= 0]).tolist() == [250, 70, 50, 30]
    assert (data.labels == OUTLIER).mean() == pytest.approx(share, abs=0.01)


def test_the_audio_visual_data_lacks_a_modality_of_two_people():
    data = audio_visual_clusters(np.random.default_rng(0))
    assert data.points.shape == (340, 2)
    assert np.bincount(data.labels + 1).tolist() == [40, 60, 100, 100, 40]


@pytest.mark.slow
def test_the_clustering_command_compares_all_methods(tmp_path, monkeypatch, capsys):
    pytest.importorskip(
        'studenttmixture',
        reason="needs the compared packages: pip install 'av_perception[evaluation]'",
    )
    groups = replace(GROUPS['easy'], counts=(40,) * 4)
    small = {
        name: partial(gaussian_clusters, groups, share)
        for name, share in (('easy', 0.0), ('easy 30 %', 0.3), ('mixed', 0.0))
    }
    monkeypatch.setattr(cluster_data, 'data_sets', lambda: small)
    monkeypatch.setattr(cluster_methods, 'MOST_CLUSTERS', 5)
    files = ['--json', str(tmp_path / 'a.json'), '--plot', str(tmp_path / 'a.png')]
    assert main(['benchmark', 'clustering', '--seeds', '1', *files]) == 0
    rows = json.loads((tmp_path / 'a.json').read_text())['scores']
    rand = {(row['data'], row['method']): row['adjusted_rand'] for row in rows}
    assert len(rand) == 33
    assert rand['easy 30 %', 'WD-EM'] > 0.97 > rand['easy 30 %', 'GaussianMixture']
    assert (tmp_path / 'a.png').stat().st_size > 10000
    assert 'adjusted Rand index' in capsys.readouterr().out


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'studenttmixture', None)
    with pytest.raises(UserError, match='evaluation'):
        cluster_methods.all_methods()


def test_the_calibration_benchmark_attains_its_bound():
    protocol = calibration_accuracy.Protocol((0.2, 0.6), 60, 1.0)
    result = calibration_accuracy.measure('square, 7 cm', protocol, 12)
    assert result.error_mm == pytest.approx(result.bound_mm, rel=0.35)
    assert result.error_mm < 5 and result.weakest_share > 0.8


def true_faces(recording) -> dict:
    """The faces of the truth by stamp: finding them is not the matter here."""
    truth = recording.truth
    camera = recording.head.camera
    features = {}
    for index, time_s in enumerate(np.unique(truth.time_s)):
        seen = truth.position[(truth.time_s == time_s) & truth.visible]
        faces = tuple(
            Face(
                np.array([*camera.project(position) - 20, 40.0, 40.0]),
                0.9,
                np.zeros((5, 2)),
                position,
                1e-4 * np.eye(3),
            )
            for position in camera.base_from_optical.inverse().apply(seen)
        )
        stamp_ns = START_NS + image_stamp_ns(recording, index)
        features[stamp_ns] = VisualFeatures(stamp_ns, faces)
    return features


@pytest.mark.slow
def test_every_mode_is_measured_on_the_same_faces():
    recording = simulated_recording('short')
    features = true_faces(recording)
    for mode in modes.MODES:
        result = modes.measure(recording, 'short', mode, features)
        assert result.mota > 0.9 and result.der < 0.35
        assert 0 < result.cpu_ms < 100 and 0 < result.tracking_p99_ms


def test_the_nominal_load_has_four_faces():
    nominal = nominal_load(seconds=2.0)
    assert nominal.faces == pytest.approx(4.0)
    assert 0 < nominal.core_share < 1 and nominal.highest_rate_hz > 0
