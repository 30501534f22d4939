# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of looking at the whole image less often measures what it says."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from av_perception.benchmarks.face_search import SearchResult, _depth_rmse_m, search_result
from av_perception.cli.benchmarks.face_search import table_of
from av_perception.pipelines.full import START_NS
from av_perception.simulation.cache import simulated_recording


@pytest.mark.slow
def test_crops_find_the_same_people_in_a_fraction_of_the_whole_images():
    recording = simulated_recording('short')
    always, seldom = (search_result(recording, every) for every in (1, 5))
    assert always.whole_images == always.images
    assert seldom.whole_images < 0.5 * seldom.images
    assert seldom.pair_p99_ms > seldom.pair_ms > 0
    assert seldom.mota > always.mota - 0.02 and seldom.idf1 > always.idf1 - 0.02
    assert seldom.id_switches == always.id_switches
    assert seldom.position_rmse_m < always.position_rmse_m + 0.01
    assert seldom.depth_rmse_m < 1.2 * always.depth_rmse_m + 0.003


def test_the_depth_error_is_that_of_the_person_in_the_same_direction():
    recording = simulated_recording('short')
    truth, camera = recording.truth, recording.head.camera
    heads = camera.base_from_optical.inverse().apply(truth.position)
    moment = truth.time_s[0]
    seen = heads[(truth.time_s == moment) & (heads[:, 2] > 0.3)]
    stamp_ns = START_NS + round(1e9 * moment)
    nearer = [(stamp_ns, head * (head[2] - 0.1) / head[2]) for head in seen]
    assert len(nearer) and _depth_rmse_m(recording, nearer) == pytest.approx(0.1)
    assert np.isnan(_depth_rmse_m(recording, []))


def test_the_table_has_a_row_for_each_setting():
    results = [
        SearchResult(every, 100, 100 // every, 12.0, 25.0, 0.99, 0.98, 0, 0.01, 0.012)
        for every in (1, 5)
    ]
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table_of('short', results))
    assert '100 of 100' in capture.get() and '20 of 100' in capture.get()
