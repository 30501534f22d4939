# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The stages on a turning head, in silence and with planted faces: frames, poses, ego noise."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from av_perception.attention.config import AttentionConfig
from av_perception.errors import UserError
from av_perception.geometry.rigid_transform import RigidTransform
from av_perception.interfaces import AttentionReason, AudioChunk, Face, VisualFeatures
from av_perception.pipelines.turning_head import (
    MAX_TURN_RATE,
    TurningHeadConfig,
    TurningHeadPipeline,
)
from av_perception.robot_head import load_head
from av_perception.simulation.neck import base_from_head

HEAD = load_head('simulated_turning')
RATE = HEAD.microphones.sample_rate
STEP_NS = 40_000_000
START_NS = 10**9
DROWNED = 'sounds left out: the head turns'


def face_of(place, pose, embedding=()):
    """The face of a head at a place (3,) [m] in the reference frame, for a head so turned."""
    optical = (pose @ HEAD.camera.base_from_optical).inverse().apply(np.array(place, float))
    center = HEAD.camera.project(optical)
    half = 0.08 * HEAD.camera.focal[0] / optical[2]
    box = np.array([*(center - half), 2 * half, 2 * half])
    embedding = np.array(embedding, float)
    return Face(box, 0.9, np.full((5, 2), center), optical, 1e-4 * np.eye(3), embedding)


class Player:
    """Plays steps of 40 ms: the head stands or is turned, people stand in the room."""

    def __init__(self, start_ns=START_NS, **attention):
        config = TurningHeadConfig(attention=AttentionConfig(**attention))
        self.pipeline = TurningHeadPipeline(HEAD, config)
        self.random = np.random.default_rng(0)
        self.step = 0
        self.start_ns = start_ns
        self.embedding = ()

    def play(self, steps, places=(), pan=lambda step: 0.0, rate=0.0, level=1e-4, sees=True):
        """Everything that came out; level: of the sound, None for no sound."""
        results = []
        for _ in range(steps):
            start_ns = self.start_ns + self.step * STEP_NS
            stamp_ns = start_ns + STEP_NS
            pose = base_from_head(pan(self.step), 0.0)
            self.pipeline.note_pose(stamp_ns, pose, (rate, 0.0))
            if level is not None:
                self.pipeline.hear(self.sound(start_ns, level))
            if sees:
                faces = tuple(face_of(place, pose, self.embedding) for place in places)
                self.pipeline.take_visual(VisualFeatures(stamp_ns, faces))
            results += self.pipeline.poll(stamp_ns)
            self.step += 1
        return results

    def sound(self, start_ns, level):
        """Noise of the microphones of one step."""
        size = RATE // 25
        noise = level * self.random.normal(0, 1, (size, len(HEAD.microphones.coordinates)))
        return AudioChunk(start_ns, RATE, self.step * size, noise.astype(np.float32))


def test_a_head_that_hears_no_directions_is_refused_by_name():
    deaf = dataclasses.replace(HEAD, name='deaf', microphones=None)
    with pytest.raises(UserError, match='the head deaf hears no directions: it needs two'):
        TurningHeadPipeline(deaf)


def test_images_for_a_head_without_a_camera_are_counted():
    pipeline = TurningHeadPipeline(dataclasses.replace(HEAD, camera=None))
    for stamp_ns in (1, 2):
        pipeline.see(stamp_ns, np.zeros((4, 4, 3), np.uint8), None)
    assert pipeline.counters['images without a camera in the head profile'] == 2
    assert pipeline.poll(10**9) == []


def test_an_empty_room_is_nobody_image_by_image():
    player = Player()
    results = player.play(25)
    stamps = [tracks.stamp_ns for tracks, _, _ in results]
    assert stamps == [START_NS + (k + 1) * STEP_NS for k in range(len(stamps))]
    assert len(stamps) >= 22, 'the last ones wait for their sound'
    for tracks, speaking, attention in results:
        assert not tracks.tracks and not speaking.statuses
        assert speaking.stamp_ns == attention.stamp_ns == tracks.stamp_ns
        assert (attention.reason, attention.id) == (AttentionReason.NOBODY, -1)


@pytest.mark.slow
def test_a_silent_person_stays_in_place_while_the_head_turns():
    """Three seconds; the head turns by 34 degrees, slowly enough to hear."""
    place = np.array([1.6, 0.3, 0.05])
    player = Player(arrival_s=5.0)
    results = player.play(75, [place], lambda step: 0.008 * step, rate=0.2)
    tracks, speaking, attention = results[-1]
    (track,) = tracks.tracks
    assert np.linalg.norm(track.mean[:3] - place) < 0.05
    assert np.linalg.norm(track.mean[3:]) < 0.1
    assert not speaking.statuses[0].speaking
    assert (attention.id, attention.reason) == (track.id, AttentionReason.ARRIVED)
    np.testing.assert_allclose(attention.target, place, atol=0.05)
    assert player.pipeline.counters[DROWNED] == 0


@pytest.mark.slow
@pytest.mark.parametrize('rate', [1.1 * MAX_TURN_RATE, -1.1 * MAX_TURN_RATE])
def test_sound_is_left_out_while_the_head_turns_fast_and_a_moment_after(rate):
    player = Player()
    before = player.play(10)
    assert player.pipeline.counters[DROWNED] == 0
    turning = player.play(10, rate=rate)
    # 0.2 s before the turn are over already when it begins.
    during = player.pipeline.counters[DROWNED]
    assert len(turning) - 2 <= during <= len(turning) + 2
    after = player.play(15)
    assert 3 <= player.pipeline.counters[DROWNED] - during <= 8
    assert len(before + turning + after) >= 32, 'images go on'


def test_the_pose_of_an_image_is_the_newest_one_not_after_it():
    pipeline = TurningHeadPipeline(HEAD)
    np.testing.assert_array_equal(pipeline._pose_at(5).translation, np.zeros(3))
    poses = [RigidTransform.from_xyz_rpy((k, 0, 0), (0, 0, 0)) for k in range(4)]
    for k, pose in enumerate(poses):
        pipeline.note_pose(10 * (k + 1), pose)
    found = {stamp: pipeline._pose_at(stamp).translation[0] for stamp in (0, 10, 19, 20, 39, 999)}
    assert found == {0: 0, 10: 0, 19: 0, 20: 1, 39: 2, 999: 3}


PLACE = np.array([1.6, 0.3, 0.05])


def is_in_place(result):
    """Exactly one person, where the person stands, and finite probabilities."""
    tracks, speaking, attention = result
    near = [np.linalg.norm(track.mean[:3] - PLACE) < 0.05 for track in tracks.tracks]
    finite = all(0 <= status.probability <= 1 for status in speaking.statuses)
    return near == [True] and finite and (attention.target is None or attention.id >= 0)


@pytest.mark.slow
@pytest.mark.parametrize('level', [np.nan, np.inf, None, 0.0, 1e3])
def test_broken_sound_takes_nobody_away(level):
    """Sound that is no number, absent, dead or absurd for half a second, then good again."""
    player = Player()
    player.play(12, [PLACE])
    broken = player.play(12, [PLACE], level=level)
    good = player.play(12, [PLACE])
    stamps = [tracks.stamp_ns for tracks, _, _ in broken + good]
    assert len(stamps) >= 22 and (np.diff(stamps) == STEP_NS).all(), 'every image has an answer'
    assert all(map(is_in_place, broken + good))


def test_without_images_sound_goes_on_alone():
    player = Player()
    player.play(12, [PLACE])
    alone = player.play(25, sees=False)
    assert len(alone) >= 15
    ids = {track.id for tracks, _, _ in alone for track in tracks.tracks}
    seen = [track.seen for tracks, _, _ in alone[3:] for track in tracks.tracks]
    assert len(ids) == 1 and not any(seen)


@pytest.mark.parametrize('rate', [np.nan, 0.0])
def test_a_rate_that_is_no_number_is_no_turn(rate):
    player = Player()
    assert all(map(is_in_place, player.play(15, [PLACE], rate=rate)[2:]))
    assert player.pipeline.counters[DROWNED] == 0


def test_a_clock_that_was_set_back_begins_anew_with_the_poses_of_now():
    player = Player(start_ns=1000 * START_NS)
    assert is_in_place(player.play(15, [PLACE], pan=lambda step: 0.3)[-1])
    player.start_ns = START_NS
    results = player.play(25, [PLACE], pan=lambda step: -0.2)
    assert {tracks.stamp_ns > 100 * START_NS for tracks, _, _ in results[-15:]} == {False}
    assert all(map(is_in_place, results[-15:]))


def test_the_tracker_gets_no_sound_of_a_turn_and_all_other_sound(monkeypatch):
    player = Player()
    given = []
    tracker = player.pipeline._tracker
    step = tracker.step

    def noted(stamp_ns, visual, audio, poses, blocks):
        given.append((audio is not None, len(blocks) > 0))
        return step(stamp_ns, visual, audio, poses, blocks)

    monkeypatch.setattr(tracker, 'step', noted)
    player.play(10)
    assert given[3:] == [(True, True)] * len(given[3:]) and len(given) >= 7
    player.play(4)
    given.clear()
    player.play(10, rate=2.0)
    assert given[3:] == [(False, False)] * len(given[3:]) and len(given) >= 7


@pytest.mark.slow
def test_who_is_passed_by_in_a_fast_turn_was_taken_for_a_stranger():
    """Regression: a blurred face looks like somebody else, and got an id of its own."""
    player = Player()
    player.embedding = (1.0, 0.0)
    results = player.play(25, [PLACE])
    results += player.play(60, pan=lambda step: 1.6)
    player.embedding = (0.0, 1.0)
    begin = player.step
    rate = 2.0
    for step in range(begin, begin + 40):
        angle = 1.6 - 0.04 * rate * (step - begin)
        in_view = [PLACE] if abs(angle - 0.19) < 0.5 else []
        results += player.play(1, in_view, lambda step, angle=angle: angle, rate=rate)
    seen = [t.id for tracks, _, _ in results[90:] for t in tracks.tracks if t.seen]
    assert len(seen) >= 3 and set(seen) == {1}
