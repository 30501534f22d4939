# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks of the clustering package measure what they say. No time is asserted."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from av_perception.benchmarks.cluster_data import (
    GROUPS,
    OUTLIER,
    audio_visual_clusters,
    gaussian_clusters,
)
from av_perception.cli.benchmarks import clustering, microphone_calibration, modes
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
    assert data.points.shape == (340, 2) and np.bincount(data.labels + 1).tolist() == [
        40,
        60,
        100,
        100,
        40,
    ]


def test_the_clustering_command_compares_all_methods(tmp_path, monkeypatch, capsys):
    pytest.importorskip(
        'studenttmixture',
        reason="needs the compared packages: pip install 'av_perception[evaluation]'",
    )
    groups = replace(GROUPS['easy'], counts=(40,) * 4)
    small = {
        name: (lambda random, s=share: gaussian_clusters(groups, s, random))
        for name, share in (('easy', 0.0), ('easy 30 %', 0.3), ('mixed', 0.0))
    }
    monkeypatch.setattr(clustering, 'data_sets', lambda: small)
    monkeypatch.setattr(clustering, '_MOST', 5)
    assert (
        main(
            [
                'benchmark',
                'clustering',
                '--seeds',
                '1',
                '--json',
                str(tmp_path / 'a.json'),
                '--plot',
                str(tmp_path / 'a.png'),
            ]
        )
        == 0
    )
    scores = {
        (s['data'], s['method']): s
        for s in json.loads((tmp_path / 'a.json').read_text())['scores']
    }
    assert (
        len(scores) == 33
        and scores['easy 30 %', 'WD-EM']['adjusted_rand']
        > 0.97
        > scores['easy 30 %', 'GaussianMixture']['adjusted_rand']
    )
    assert (
        tmp_path / 'a.png'
    ).stat().st_size > 10000 and 'adjusted Rand index' in capsys.readouterr().out


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'studenttmixture', None)
    with pytest.raises(UserError, match='evaluation'):
        clustering._methods()


def test_the_calibration_benchmark_attains_its_bound():
    result = microphone_calibration.measure(
        'square, 7 cm', microphone_calibration.Protocol((0.2, 0.6), 60, 1.0), 12
    )
    assert (
        result.error_mm == pytest.approx(result.bound_mm, rel=0.35)
        and result.error_mm < 5
        and result.weakest_share > 0.8
    )


def test_every_mode_is_measured_on_the_same_faces():
    recording = simulated_recording('short')
    truth, camera = recording.truth, recording.head.camera
    features = {}
    for k, time_s in enumerate(
        np.unique(truth.time_s)
    ):  # the true faces: finding them is not the matter here
        optical = camera.base_from_optical.inverse().apply(
            truth.position[(truth.time_s == time_s) & truth.visible]
        )
        stamp_ns = START_NS + image_stamp_ns(recording, k)
        features[stamp_ns] = VisualFeatures(
            stamp_ns,
            tuple(
                Face(
                    np.array([*camera.project(p) - 20, 40.0, 40.0]),
                    0.9,
                    np.zeros((5, 2)),
                    p,
                    1e-4 * np.eye(3),
                )
                for p in optical
            ),
        )
    for mode in modes.MODES:
        result = modes.measure(recording, 'short', mode, features)
        assert (
            result.mota > 0.9
            and result.der < 0.35
            and 0 < result.cpu_ms < 100
            and 0 < result.tracking_p99_ms
        )


def test_the_nominal_load_has_four_faces():
    nominal = modes.nominal_load(seconds=2.0)
    assert (
        nominal['faces'] == pytest.approx(4.0)
        and 0 < nominal['core_share'] < 1
        and nominal['highest_rate_hz'] > 0
    )
