# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""People whom nobody sees: where they can be, and when they are not there."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from tracking_scenes import (
    HEAD,
    direction_to,
    face_at,
    image,
    only,
    sound_from,
    sound_map,
    watch,
)

from av_perception.interfaces import APPEARANCE_SIZE, LifeState
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.tracking.association.other_depth import OtherDepthConfig
from av_perception.tracking.association.visual_association import AppearanceConfig
from av_perception.tracking.state_space.cartesian_head import CartesianHead, CartesianHeadConfig
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.state_space.interface import View
from av_perception.tracking.state_space.occlusion import view_of
from av_perception.tracking.track_management.absence import Absence
from av_perception.tracking.track_management.gallery import AppearanceModel
from av_perception.tracking.track_management.life_cycle import LifeConfig, LifeCycle
from av_perception.tracking.track_management.track_set import TrackSet
from av_perception.tracking.track_management.visual_birth import BirthConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig
from av_perception.tracking.visual_branch import VisualBranch

SOUND = sound_map()
POSES = SensorPoses.of_head(HEAD)
SMALL = np.tile(1e-6 * np.eye(3), (2, 1, 1))


def views(first, second, covariance=SMALL, in_view=(True, False)):
    """View of two heads in the optical frame (x right, y down, z forward)."""
    optical = np.array([first, second], float)
    return view_of(optical, covariance, np.array(in_view), HEAD.camera)


class TestView:
    """Who would be seen, and who stands behind somebody."""

    @pytest.mark.parametrize(
        'place, clear, hidden',
        [
            ([0.0, 0.0, 2.5], False, True),  # behind the head
            ([0.2, 0.0, 2.5], False, False),  # half of it
            ([0.5, 0.0, 2.5], True, False),  # beside it
            ([0.2, 0.6, 2.5], False, True),  # a child behind the trunk
            ([0.0, -0.6, 2.5], True, False),  # taller
            ([0.0, 0.0, 1.0], True, False),  # before it
            ([1.55, 0.0, 2.5], False, False),  # at the border of the image
            ([3.0, 0.0, 2.5], False, False),  # outside
            ([0.0, 0.0, -2.0], False, False),  # behind the camera
        ],
    )
    def test_by_place(self, place, clear, hidden):
        view = views([0.0, 0.0, 1.5], place)
        assert (view.clear[1], view.hidden[1]) == (clear, hidden)

    def test_who_is_not_in_view_hides_nobody(self):
        view = views([0.0, 0.0, 1.5], [0.0, 0.0, 2.5], in_view=(False, False))
        assert view.clear.all() and not view.hidden.any()

    def test_an_uncertain_place_is_not_clear(self):
        beside = [0.35, 0.0, 2.5]
        assert views([0.0, 0.0, 1.5], beside).clear[1]
        vague = np.tile(0.04 * np.eye(3), (2, 1, 1))
        assert not views([0.0, 0.0, 1.5], beside, vague).clear[1]

    def test_boxes_tell_nothing(self):
        plane = ImagePlane(ImagePlaneConfig(), HEAD)
        view = plane.view(np.zeros((2, 6)), np.zeros((2, 6, 6)), np.ones(2, bool), POSES)
        assert not view.clear.any() and not view.hidden.any()


def bounded(place, velocity=(0, 0, 0), **config):
    model = CartesianHead(CartesianHeadConfig(**config), HEAD)
    return model.bound_unseen(np.array([[*place, *velocity]], float), POSES)[0]


class TestBounds:
    """People do not fly, and do not run through walls."""

    def test_who_may_be_there_stays(self):
        np.testing.assert_allclose(bounded([2, 1, 0.3], [0.5, 0, 0]), [2, 1, 0.3, 0.5, 0, 0])

    @pytest.mark.parametrize('place, distance', [([0.1, 0.2, 0], 0.5), ([9, 9, 0], 6.0)])
    def test_range_is_bounded_in_the_same_direction(self, place, distance):
        result = bounded(place)
        assert np.hypot(*result[:2]) == pytest.approx(distance)
        assert np.arctan2(result[1], result[0]) == pytest.approx(np.arctan2(place[1], place[0]))

    def test_elevation_is_bounded_where_the_height_is_unknown(self):
        result = bounded([1, 0, 2.0])
        assert np.degrees(np.arctan2(result[2], result[0])) == pytest.approx(30)
        assert bounded([1, 0, -2.0])[2] == pytest.approx(-result[2])

    def test_heads_are_at_the_height_of_heads_where_it_is_known(self):
        assert bounded([1, 0, 2.0], base_height=1.2)[2] == pytest.approx(0.8)
        assert bounded([1, 0, -2.0], base_height=1.2)[2] == pytest.approx(-0.4)

    def test_nobody_is_faster_than_people_walk(self):
        velocity = bounded([2, 0, 0], [6, 8, 0])[3:]
        np.testing.assert_allclose(velocity, [0.96, 1.28, 0])

    def test_a_seen_person_is_not_touched(self):
        rng, tracker = np.random.default_rng(0), Tracker(TrackerConfig(), HEAD)
        frame = watch(tracker, range(20), lambda f: [face_at([0.45, 0.0, 0.35], rng)])
        assert only(frame).mean[2] == pytest.approx(0.35, abs=0.02)


def test_unseen_people_neither_rise_nor_sink_nor_leave_for_the_far():
    """Heard from far below for two seconds, a person out of view stays at the height of a head."""
    rng, tracker = np.random.default_rng(1), Tracker(TrackerConfig(), HEAD, SOUND)
    watch(tracker, range(16), lambda f: [face_at([2.0, 0.9 + 0.02 * f, 0.1], rng)])
    below = direction_to([2.0, 1.3, -1.8])
    for f in range(16, 66):
        sound = sound_from(SOUND, f, [below], rng)
        frame = watch(tracker, [f], lambda f: [], lambda f, sound=sound: sound)
        for track in (t for t in frame.tracks if f >= 20 and t.last_seen_ns):
            assert track.visibility < 0.5
            distance = np.hypot(*track.mean[:2])
            assert 0.5 <= distance <= 6.001
            assert abs(np.degrees(np.arctan2(track.mean[2], distance))) < 30.001


def test_who_is_not_seen_in_clear_view_is_not_there():
    """Regression: a lost track stood before the camera for a second, and took voices."""
    rng, tracker = np.random.default_rng(2), Tracker(TrackerConfig(), HEAD)
    watch(tracker, range(25), lambda f: [face_at([2, 0.2, 0.1], rng)])
    frame = watch(tracker, range(25, 35), lambda f: [])
    assert only(frame).state == LifeState.ACTIVE
    assert only(watch(tracker, range(35, 37), lambda f: [])).state == LifeState.SLEEPING


def behind_somebody(f, rng, walks_on):
    """One stands; another one walks behind, and stops there or walks on."""
    y = -0.6 + 0.02 * f if walks_on else min(-0.6 + 0.02 * f, 0.0)
    faces = [face_at([1.5, 0.0, 0.1], rng)]
    return faces + ([face_at([2.5, y, 0.1], rng)] if abs(y) > 0.17 else [])


@pytest.mark.parametrize('seed', range(3))
def test_who_does_not_come_out_from_behind_somebody_is_still_there(seed):
    """Regression: the track walked on through the view, a ghost, and slept far from its person."""
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    frame = watch(tracker, range(22 + 5 * 25), lambda f: behind_somebody(f, rng, False))
    hidden = max(frame.tracks, key=lambda t: t.mean[0])
    assert hidden.state == LifeState.ACTIVE and hidden.predicted
    assert np.linalg.norm(hidden.mean[:3] - [2.5, 0.0, 0.1]) < 0.5


@pytest.mark.parametrize('seed', range(3))
def test_who_walks_by_behind_somebody_keeps_the_id(seed):
    rng, tracker = np.random.default_rng(seed), Tracker(TrackerConfig(), HEAD)
    before = {
        t.id for t in watch(tracker, range(15), lambda f: behind_somebody(f, rng, True)).tracks
    }
    after = watch(tracker, range(15, 50), lambda f: behind_somebody(f, rng, True))
    assert {t.id for t in after.tracks} == before and all(t.seen for t in after.tracks)


def test_one_frame_of_voice_does_not_keep_awake_who_is_away():
    rng, tracker = np.random.default_rng(3), Tracker(TrackerConfig(), HEAD, SOUND)
    place = np.array([2.0, 1.2, 0.1])
    watch(tracker, range(25), lambda f: [face_at(place, rng)])
    for f in range(25, 75):
        speaks = f % 10 == 0
        sound = sound_from(SOUND, f, [direction_to(place)], rng) if speaks else None
        frame = watch(tracker, [f], lambda f: [], lambda f, sound=sound: sound)
    assert [t.state for t in frame.tracks] == [LifeState.SLEEPING]


def test_a_voice_goes_to_who_is_seen_there_not_to_who_was_lost_there():
    rng, tracker = np.random.default_rng(4), Tracker(TrackerConfig(), HEAD, SOUND)
    front, rear = np.array([1.5, 0.0, 0.1]), np.array([3.0, 0.1, 0.1])
    both = watch(tracker, range(25), lambda f: [face_at(front, rng), face_at(rear, rng)])
    hidden = max(both.tracks, key=lambda t: t.mean[0]).id
    for f in range(25, 60):
        sound = sound_from(SOUND, f, [direction_to(front)], rng)
        frame = watch(tracker, [f], lambda f: [face_at(front, rng)], lambda f, s=sound: s)
        shares = {t.id: t.audio_responsibility for t in frame.tracks}
        assert f < 30 or (shares[hidden] < 1e-6 and shares[3 - hidden] > 0.8)


def looks_of(face, looks):
    """The same face with clothes and hair."""
    return replace(face, appearance=looks)


def test_a_strangers_face_is_not_ones_own_because_a_voice_was():
    """Regression: a voice kept the track awake, which took the next face in that direction."""
    rng, tracker = np.random.default_rng(5), Tracker(TrackerConfig(), HEAD, SOUND)
    place = np.array([2.0, 0.4, 0.1])
    looks = np.zeros(APPEARANCE_SIZE)
    others = looks + 3 * np.sqrt(np.diag(AppearanceModel.shipped().between))
    known = only(watch(tracker, range(25), lambda f: [looks_of(face_at(place, rng), looks)]))
    for f in range(25, 75):
        sound = sound_from(SOUND, f, [direction_to(place)], rng)
        frame = watch(tracker, [f], lambda f: [], lambda f, sound=sound: sound)
    assert only(frame).state == LifeState.ACTIVE
    frame = watch(tracker, range(75, 90), lambda f: [looks_of(face_at(place, rng), others)])
    assert [t.id for t in frame.tracks if t.seen] == [known.id + 1]


def track_set(*places):
    """Confirmed tracks of people who were just seen, at rest."""
    means = np.array([[*place, 0, 0, 0] for place in places], float).reshape(-1, 6)
    count = len(means)
    covariances = np.tile(0.01 * np.eye(6), (count, 1, 1))
    no_look, no_box = np.zeros((count, 0)), np.zeros((count, 4))
    tracks = TrackSet.from_faces(range(count), means, covariances, no_look, no_box, 10**9)
    tracks.state[:] = LifeState.ACTIVE
    return tracks


class PlantedViews(CartesianHead):
    """The camera would see the tracks as the test says."""

    def __init__(self):
        super().__init__(CartesianHeadConfig(), HEAD)
        self.next_view = None
        self.in_view = []

    def view(self, mean, covariance, in_view, poses):
        self.in_view.append(in_view.tolist())
        return self.next_view


class Images:
    """Images one after the other, 40 ms apart; what is to be seen is planted."""

    def __init__(self, *places, **depth):
        self.model = PlantedViews()
        config = OtherDepthConfig(**depth)
        self.absence = Absence(config, LifeCycle(LifeConfig()), self.model)
        self.tracks = track_set(*places)
        self.stamp_ns = 10**9

    def note(self, seen, clear=None, hidden=None, elsewhere=None):
        nobody = np.zeros(len(self.tracks), bool)
        self.stamp_ns += 40_000_000
        clear = nobody if clear is None else np.array(clear)
        hidden = nobody if hidden is None else np.array(hidden)
        self.model.next_view = View(clear, hidden)
        elsewhere = np.zeros(len(self.tracks)) if elsewhere is None else np.array(elsewhere)
        self.absence.note_image(self.tracks, np.array(seen), elsewhere, POSES, self.stamp_ns)
        return self.tracks

    def bound(self):
        """Bound the tracks after a frame without faces or sound."""
        mean = self.tracks.mean
        self.absence.bound(self.tracks, mean.copy(), np.zeros(len(mean)), POSES)


class TestImages:
    """What an image without a face says, image by image."""

    def test_nobody_is_no_trouble(self):
        images = Images()
        images.note(np.zeros(0, bool))
        images.bound()
        assert len(images.tracks) == 0 and not images.model.in_view

    def test_where_everybody_is_seen_nobody_asks_who_is_before_whom(self):
        images = Images([2, 0, 0], [3, 1, 0])
        before = images.tracks.mean.copy()
        tracks = images.note([True, True])
        assert images.model.in_view == [] and not tracks.missed_since.any()
        np.testing.assert_array_equal(tracks.mean, before)

    def test_only_who_is_in_view_can_hide_somebody(self):
        images = Images([2, 0, 0], [3, 1, 0])
        images.tracks.visibility[:] = [0.5, 0.51]
        images.note([False, True])
        assert images.model.in_view == [[False, True]]

    def test_a_miss_counts_from_the_first_image_in_a_row(self):
        images = Images([2, 0, 0])
        first = images.note([False], clear=[True]).missed_since[0]
        assert first == images.stamp_ns
        assert images.note([False], clear=[True]).missed_since[0] == first
        assert images.note([False]).missed_since[0] == 0, 'something is before it'
        assert images.note([False], clear=[True]).missed_since[0] == images.stamp_ns
        assert images.note([True], clear=[True]).missed_since[0] == 0

    def test_who_should_have_come_out_stands_where_last_hidden(self):
        images = Images([1.5, 0, 0], [2.5, -0.3, 0.1])
        tracks = images.tracks
        tracks.mean[1] = [2.5, -0.1, 0.1, 0, 0.5, 0]
        images.note([True, False], hidden=[False, True])
        tracks.mean[1] = [2.5, 0.05, 0.1, 0, 0.5, 0]
        images.note([True, False], hidden=[False, True])
        tracks.mean[1, 1] = 0.2  # half out
        images.note([True, False])
        np.testing.assert_allclose(tracks.mean[1], [2.5, 0.2, 0.1, 0, 0.5, 0])
        tracks.mean[1, 1] = 0.6
        for _ in range(3):  # and goes on standing there
            images.note([True, False], clear=[False, True])
            np.testing.assert_allclose(tracks.mean[1], [2.5, 0.05, 0.1, 0, 0, 0])
            assert tracks.hidden.tolist() == [False, True]
        images.note([True, True], clear=[False, True])
        assert not tracks.hidden.any()

    def test_who_was_never_hidden_is_not_put_back(self):
        images = Images([2, 0, 0])
        images.tracks.mean[0, 1] = 0.7
        np.testing.assert_allclose(images.note([False], clear=[True]).mean[0, 1], 0.7)

    @pytest.mark.parametrize('limit, sd_m', [(1, 0.5), (4, 1.5)])
    def test_faces_elsewhere_in_a_row_loosen_the_place_alone(self, limit, sd_m):
        images = Images([2, 0, 0], [3, 1, 0], believe_images=limit, lost_place_sd=sd_m)
        before = images.tracks.covariance.copy()
        for k in range(1, 3 * limit + 1):
            tracks = images.note([True, True], elsewhere=[0.9, 0.1])
            expected = before[0].copy()
            expected[:3, :3] += (k // limit) * sd_m**2 * np.eye(3)
            np.testing.assert_allclose(tracks.covariance[0], expected)
            assert tracks.other_depth[0] == k % limit
        np.testing.assert_array_equal(tracks.covariance[1], before[1])
        np.testing.assert_allclose(tracks.mean[:, :3], [[2, 0, 0], [3, 1, 0]])

    @pytest.mark.parametrize('share', [0.5, 0.0, np.nan])
    def test_a_face_that_is_not_elsewhere_ends_the_row_and_a_miss_does_not(self, share):
        images = Images([2, 0, 0], believe_images=4)
        for _ in range(3):
            images.note([True], elsewhere=[0.9])
        assert images.note([False], elsewhere=[share]).other_depth[0] == 3
        assert images.note([True], elsewhere=[share]).other_depth[0] == 0

    def test_everybody_out_of_view_is_bounded_and_voices_are_put_at_the_usual_range(self):
        images = Images([9, 0, 0], [9, 0, 0], [9, 0, 0])
        tracks = images.tracks
        tracks.visibility[:] = [1.0, 0.1, 0.1]
        tracks.last_seen[2] = 0
        images.bound()
        config = CartesianHeadConfig()
        assert tracks.mean[0, 0] == 9.0, 'seen there'
        assert tracks.mean[1, 0] == pytest.approx(config.unseen_range[1])
        array = POSES.reference_from_array.translation
        assert np.linalg.norm(tracks.mean[2, :3] - array) == pytest.approx(config.heard_range[0])
        again = tracks.mean.copy()
        images.bound()
        np.testing.assert_allclose(tracks.mean, again, atol=1e-12)


@pytest.mark.parametrize('is_lately, own_depth', [(True, 0.02), (False, 0.97)])
def test_a_face_at_the_depth_of_who_was_missed_just_now_is_doubted(is_lately, own_depth):
    """Regression: who was missed in one image hid nobody, and half-hidden faces were believed."""
    tracks = track_set([1.5, 0.0, 0.1], [2.5, 0.0, 0.1])
    tracks.visibility[:] = 0.3  # both were missed in the image before
    tracks.seen_lately[0] = is_lately
    model = CartesianHead(CartesianHeadConfig(), HEAD)
    branch = VisualBranch(model, AppearanceConfig(), OtherDepthConfig(), BirthConfig())
    half_hidden = image(0, face_at([1.45, -0.1, 0.1]))
    faces = branch.observe(half_hidden, Counter())
    association = branch.associate(faces, tracks, tracks.mean, tracks.mean, POSES)
    weights = np.exp(association.other_depth.log_weight[0])
    np.testing.assert_allclose(weights, [0.97, own_depth])
