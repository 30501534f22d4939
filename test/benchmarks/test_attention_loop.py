# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The closed loop: a head that turns to who speaks, its motors in its ears."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from turning_heads import PlantedFaces

from av_perception.benchmarks.attention_loop import half_view_deg, run_loop
from av_perception.benchmarks.attention_trials import (
    REACH_DEG,
    looks_at_motors,
    random_conversation,
)
from av_perception.errors import UserError
from av_perception.evaluation.attention import find_onsets, score_looks
from av_perception.interfaces import AttentionReason
from av_perception.paths import resolve_resource
from av_perception.robot_head import load_head
from av_perception.simulation.scene import load_scene
from av_perception.simulation.turning_scene import TurningScene, TurningSceneConfig

CAMERA = load_head('simulated_turning').camera
SILENT_IMAGES = TurningSceneConfig(images=False)


@pytest.fixture(scope='module')
def result():
    """The first ten seconds of the scene, with planted faces."""
    scene = TurningScene(load_scene('attention').with_duration(10.0), SILENT_IMAGES)
    return run_loop(scene, see=PlantedFaces(CAMERA))


@pytest.mark.slow
def test_the_head_faces_every_speaker_and_nobody_else(result):
    scores = score_looks([result.history], half_view_deg(CAMERA))
    assert scores.onsets == 3 and scores.out_of_view == 2
    assert scores.missed == 0 and scores.false_turns == 0
    first, second = (o for o in find_onsets(result.history) if o.away_deg > 30)
    assert first.delay_s <= 1.0
    assert second.delay_s <= 1.4  # 168 degrees


@pytest.mark.slow
def test_ids_are_kept_through_the_turns(result):
    assert score_looks([result.history], half_view_deg(CAMERA)).ids_changed == 0
    looked_at = [a.id for _, _, a in result.results if a.reason == AttentionReason.HEARD]
    seen = {t.id for tracks, _, _ in result.results for t in tracks.tracks if t.seen}
    assert set(looked_at) <= seen == {1, 2, 3}


@pytest.mark.slow
def test_answers_come_with_the_next_image(result):
    assert result.lag_s <= 0.08
    assert len(result.results) >= 10.0 / 0.04 - 3


@pytest.mark.slow
def test_slow_motors_made_a_silent_person_in_view_seem_to_speak():
    """Regression: the sound of turns at 0.25 rad/s came from where somebody stood."""
    assert looks_at_motors(102, 2.6, is_slow=True, see=PlantedFaces(CAMERA, 102)) == []


def test_conversations_are_within_reach_and_repeat():
    first, again = random_conversation(7, 5.0), random_conversation(7, 5.0)
    assert first == again != random_conversation(8, 5.0)
    for talker in first.talkers:
        _, x, y, _ = talker.waypoints[0]
        assert abs(np.degrees(np.arctan2(y, x))) <= REACH_DEG


def test_a_head_of_another_rate_is_refused(tmp_path):
    text = resolve_resource('simulated_turning', 'heads').read_text()
    head = tmp_path / 'head.yaml'
    head.write_text(text.replace('frame_rate: 25.0', 'frame_rate: 30.0'))
    scene = dataclasses.replace(load_scene('attention'), head=str(head))
    with pytest.raises(UserError, match='30 images a second'):
        TurningScene(scene, SILENT_IMAGES)
