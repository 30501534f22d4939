# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The closed loop over the whole graph, on simulated time: a voice out of view turns the head."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from dds_domains import free_domain

from av_perception.benchmarks.attention_loop import half_view_deg
from av_perception.evaluation.attention import find_onsets, score_looks
from av_perception.interfaces import Attention, AttentionReason
from av_perception.ros.bringup.attention_session import play_attention
from av_perception.ros.bringup.live_player import LivePlayer
from av_perception.simulation.scene import load_scene
from av_perception.simulation.turning_scene import TurningScene

pytestmark = pytest.mark.slow


def two_people():
    """One ahead, silent; one 72 degrees to the right, who speaks from the first second on."""
    scene = load_scene('attention').with_duration(3.2)
    ahead, right, _ = scene.talkers
    return dataclasses.replace(
        scene,
        talkers=(
            dataclasses.replace(ahead, turns=()),
            dataclasses.replace(right, turns=((1.0, 3.2),)),
        ),
    )


def test_a_voice_out_of_view_turns_the_head_and_the_person_keeps_the_id(tmp_path):
    scene = TurningScene(two_people())
    answers = []
    result = play_attention(
        scene, tmp_path / 'logs', on_answer=answers.append, domain_id=free_domain()
    )
    scores = score_looks([result.history], half_view_deg(scene.head.camera))
    (onset,) = find_onsets(result.history)
    assert onset.away_deg > 60 and onset.delay_s <= 1.0
    assert (scores.missed, scores.false_turns, scores.ids_changed) == (0, 0, 0)
    assert set(result.exit_statuses.values()) == {0}
    # Every image was answered, in order; the last two come too late to turn for.
    assert len(answers) == scene.num_steps - 2
    assert answers[-1].attention.id == 2


def test_an_answer_whose_tracks_are_still_on_their_way_is_waited_for():
    """Regression: the loop ended with a KeyError where attention overtook the tracks it is of."""
    nobody = Attention(1, AttentionReason.NOBODY)
    observer = SimpleNamespace(attention={1: nobody}, speaking={1: None}, tracks={})
    player = SimpleNamespace(_observer=observer, _looks={})
    assert not LivePlayer._is_answered(player, 1)
    observer.tracks[1] = None
    assert LivePlayer._is_answered(player, 1)
