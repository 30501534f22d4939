# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""All nodes in one process, in lock-step, say what the offline pipeline says, and lose nothing.

Sound and images come from another process, voices have one of their own, all else is handed over
within. Counters say nothing of
a loss here: before it is played, the rehearsal does not wait for answers.
"""

from __future__ import annotations

import pytest
from dds_domains import free_domain
from offline_runs import offline_run
from same_tracks import assert_same_tracks

from av_perception.recording.collect import collect_tracks
from av_perception.recording.timing import image_stamp_ns
from av_perception.ros.bringup.graph import Selection
from av_perception.ros.bringup.lock_step import play_in_lock_step
from av_perception.simulation.cache import simulated_recording

pytestmark = pytest.mark.slow


def test_one_process_answers_every_image_as_the_offline_pipeline_does(tmp_path):
    recording = simulated_recording('short')
    result = play_in_lock_step(
        recording,
        tmp_path,
        selection=Selection(voices=True),
        domain_id=free_domain(),
        composed=True,
    )
    images = [result.origin_ns + image_stamp_ns(recording, k) for k in range(recording.num_frames)]
    assert [frame.stamp_ns for frame, _ in result.frames] == images
    live = collect_tracks(result.frames, result.origin_ns)
    assert_same_tracks(live, offline_run('short').tracks)
    assert result.exit_statuses == {'composed': 0, 'voices': 0}
