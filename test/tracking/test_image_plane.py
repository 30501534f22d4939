# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The image-plane state space.

Against numerical integration and differentiation, and in stories told in boxes alone.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import expm
from tracking_scenes import HEAD, direction_to, sound_from, sound_map, stamp

from av_perception.interfaces import Face, LifeState, VisualFeatures
from av_perception.robot_head.profile import CameraGeometry, HeadProfile
from av_perception.robot_head.sensor_poses import SensorPoses
from av_perception.synchronization.detected_faces import DetectedFaces
from av_perception.tracking.association.visual_association import VisualAssociation
from av_perception.tracking.state_space.image_plane import ImagePlane, ImagePlaneConfig
from av_perception.tracking.track_management.life_cycle import LifeConfig
from av_perception.tracking.track_management.visual_birth import BirthConfig, VisualBirth
from av_perception.tracking.tracker import Tracker, TrackerConfig

STILL = SensorPoses.of_head(HEAD)
CONFIG = TrackerConfig(
    life=LifeConfig(sleep_after_s=0.8, confirm_hits=1),
    birth=BirthConfig(sequence_length=3, log_ratio=10.0),
)


def plane(head=HEAD, **changes) -> ImagePlane:
    return ImagePlane(ImagePlaneConfig(**changes), head)


def boxes_only(*boxes) -> tuple[Face, ...]:
    """Faces of which only the box is known."""
    return tuple(
        Face(
            np.asarray(box, float),
            0.9,
            np.zeros((5, 2)),
            np.full(3, np.nan),
            np.full((3, 3), np.nan),
        )
        for box in boxes
    )


def head_at(x, y, size, rng=None) -> np.ndarray:
    """Box of a head centered at (x, y), with the model's noise when rng is given."""
    noise = np.zeros(4) if rng is None else rng.normal(size=4)
    width, height = size * (1 + 0.1 * noise[2:])
    return np.array(
        [
            x + 0.05 * size * noise[0] - width / 2,
            y + 0.05 * size * noise[1] - height / 2,
            width,
            height,
        ]
    )


def watch(tracker, frames, boxes_of, sound_of=lambda f: None):
    """Steps through `frames`; the last TrackFrame."""
    for f in frames:
        frame = tracker.step(
            stamp(f), VisualFeatures(stamp(f), boxes_only(*boxes_of(f))), sound_of(f)
        )
    return frame


def nearest(frame, x):
    return min(frame.tracks, key=lambda t: abs(t.mean[0] - x))


@pytest.mark.parametrize('unseen', [False, True])
@pytest.mark.parametrize('dt_s', [0.04, 0.7])
def test_dynamics_are_the_integral_of_the_stochastic_equation(unseen, dt_s):
    """Van Loan's matrix exponential of drift and diffusion.

    In pixels of a head 40 x 90 wide and high (60 px per 0.2 m).
    """
    scale, focal = 60 / 0.2, HEAD.camera.focal[0]
    config = ImagePlaneConfig()
    drift, diffusion = np.zeros((6, 6)), np.zeros((6, 6))
    drift[0, 4] = drift[1, 5] = 1.0
    drift[4, 4] = drift[5, 5] = -1 / config.damping_time_s if unseen else 0.0
    diffusion[4, 4] = diffusion[5, 5] = config.acceleration_density * scale**2
    diffusion[2, 2], diffusion[3, 3] = (
        config.depth_density * (scale / focal * np.array([40.0, 90.0])) ** 2
    )
    block = expm(np.block([[-drift, diffusion], [np.zeros((6, 6)), drift.T]]) * dt_s)
    transition, noise = block[6:, 6:].T, block[6:, 6:].T @ block[:6, 6:]
    mean, covariance = (
        np.array([[100.0, 200, 40, 90, 30, -10]]),
        np.diag([4.0, 9, 1, 2, 25, 36])[None],
    )
    got = plane().predict(mean, covariance, dt_s, np.array([unseen]))
    np.testing.assert_allclose(got.mean[0], transition @ mean[0], atol=1e-9)
    np.testing.assert_allclose(
        got.propagated[0], transition @ covariance[0] @ transition.T, atol=1e-7
    )
    np.testing.assert_allclose(got.base_noise[0], noise, rtol=1e-7, atol=1e-9)


def test_direction_jacobian_is_the_derivative():
    """At a fixed size the depth does not change with the center."""
    model, mean, step = (
        plane(),
        np.array([[90.0, 400, 50, 70, 0, 0], [600.0, 30, 20, 30, 5, 5]]),
        1e-4,
    )
    got = model.direction_map(mean, STILL)
    for axis in (0, 1):
        shift = step * np.eye(6)[axis]
        numeric = (
            model.direction_map(mean + shift, STILL).value
            - model.direction_map(mean - shift, STILL).value
        ) / (2 * step)
        np.testing.assert_allclose(got.matrix[:, :, axis], numeric, atol=1e-9)
    assert not got.matrix[:, :, 2:].any()
    np.testing.assert_allclose(np.linalg.norm(got.value, axis=1), 1)


def test_direction_points_at_the_head():
    """A head of 0.2 m seen at 2 m.

    The direction from the array, below the camera here, is that of the true place.
    """
    place = np.array([2.0, 0.5, 0.1])
    optical = HEAD.camera.base_from_optical.inverse().apply(place)
    center, size = HEAD.camera.project(optical), 0.2 * HEAD.camera.focal[0] / optical[2]
    got = plane().direction_map(np.array([[*center, size, size, 0, 0]]), STILL)
    np.testing.assert_allclose(got.value[0], direction_to(place), atol=1e-9)


@pytest.mark.parametrize('zoom', [0.5, 3.0])
def test_births_do_not_depend_on_the_resolution(zoom):
    """The log likelihood ratio of a sequence stays.

    Image, focal length and boxes are rescaled together.
    """
    ratios = []
    for scale in (1.0, zoom):
        head = HeadProfile(
            'zoomed',
            camera=CameraGeometry(
                round(640 * scale),
                round(480 * scale),
                (500 * scale,) * 2,
                (320 * scale, 240 * scale),
            ),
        )
        birth, rng = (
            VisualBirth(BirthConfig(sequence_length=3, log_ratio=1.0), plane(head)),
            np.random.default_rng(0),
        )
        for f in range(3):
            boxes = scale * head_at(200 + 3 * f, 150, 50, rng)[None]
            faces = DetectedFaces(
                boxes, np.full((1, 3), np.nan), np.full((1, 3, 3), np.nan), np.zeros((1, 0))
            )
            births = birth.step(
                stamp(f),
                faces,
                plane(head).measure(faces),
                np.ones(1, bool),
                np.zeros((0, 4)),
                STILL,
            )
        ratios.append(births[0].log_ratio)
    assert ratios[0] == pytest.approx(ratios[1], abs=1e-9)


def test_two_boxes_of_one_new_person_have_like_sizes():
    model = plane()

    def start(*boxes):
        return model.initial_states(model.measure(SimpleNamespace(boxes=np.array(boxes))), STILL)

    a, b = (
        start(head_at(100, 100, 50)),
        start(head_at(103, 100, 55), head_at(103, 100, 90), head_at(400, 100, 50)),
    )
    assert model.gate(*a, *b, 0.04).tolist() == [[True, False, False]]


def cross_and_keep_ids(seed):
    """Whether two boxes that cross, one hidden for a while, keep their ids."""
    rng, tracker = np.random.default_rng(seed), Tracker(CONFIG, HEAD, model=plane())
    near, far = (lambda f: 520 - 5 * f), (lambda f: 120 + 4 * f)

    def seen(f):
        hidden = abs(near(f) - far(f)) < 60
        people = [head_at(near(f), 250, 80, rng)] + (
            [] if hidden else [head_at(far(f), 240, 45, rng)]
        )
        return [box for box in people if rng.random() < 0.9 or f < 6]

    before = watch(tracker, range(10), seen)
    ids = nearest(before, near(9)).id, nearest(before, far(9)).id
    after = watch(tracker, range(10, 75), seen)
    return ids == (nearest(after, near(74)).id, nearest(after, far(74)).id)


@pytest.mark.slow
def test_people_cross_behind_each_other_and_keep_their_ids():
    """The small one is hidden for a second and comes out on the other side.

    Boxes alone tell them apart.
    """
    kept = sum(cross_and_keep_ids(seed) for seed in range(20))
    assert kept >= 18


def test_somebody_who_leaves_and_comes_back_is_known_by_place_and_size():
    rng, tracker = np.random.default_rng(0), Tracker(CONFIG, HEAD, model=plane())
    first = watch(tracker, range(15), lambda f: [head_at(60 - 4 * f, 200, 50, rng)]).tracks[0]
    assert watch(tracker, range(15, 60), lambda f: []).tracks[0].state == LifeState.SLEEPING
    back = watch(tracker, range(60, 75), lambda f: [head_at(10 + 4 * (f - 60), 200, 50, rng)])
    assert [t.id for t in back.tracks] == [first.id]
    other = Tracker(CONFIG, HEAD, model=plane())
    watch(other, range(15), lambda f: [head_at(60 - 4 * f, 200, 50, rng)])
    watch(other, range(15, 60), lambda f: [])
    stranger = watch(other, range(60, 75), lambda f: [head_at(10 + 4 * (f - 60), 200, 200, rng)])
    assert max(t.id for t in stranger.tracks) == 2


@pytest.mark.slow
def test_clutter_of_every_size_gives_birth_to_nobody():
    rng, tracker, ids = (
        np.random.default_rng(1),
        Tracker(TrackerConfig(), HEAD, model=plane()),
        set(),
    )
    for f in range(500):
        boxes = [
            head_at(rng.uniform(0, 640), rng.uniform(0, 480), rng.uniform(20, 120))
            for _ in range(3)
        ]
        ids |= {t.id for t in watch(tracker, [f], lambda f, boxes=boxes: boxes).tracks}
    assert not ids


def test_who_is_likely_out_of_view_claims_a_detection_with_that_likelihood():
    """Regression: somebody just hidden claimed the false detections around.

    The odds to clutter scale with visibility.
    """
    model, mean = plane(), np.array([[300.0, 200, 50, 50, 0, 0], [330, 200, 50, 50, 0, 0]])
    observed = model.measure(
        SimpleNamespace(boxes=np.array([[300.0, 180, 50, 50], [90, 300, 50, 50]]))
    )
    odds = {}
    for visible in (None, np.array([1.0, 0.01])):
        association = VisualAssociation(
            observed,
            model.visual_map(mean, STILL),
            np.zeros((2, 2)),
            model.log_visual_volume,
            np.ones(2, bool),
            visible,
        )
        alpha = association.responsibilities(
            association.predicted_log_likelihood(np.tile(900 * np.eye(6), (2, 1, 1)))
        )
        np.testing.assert_allclose(alpha.sum(1), 1)
        odds[visible is None] = alpha[:, 1:] / alpha[:, :1]
    np.testing.assert_allclose(odds[False] / odds[True], [[1.0, 0.01]] * 2, rtol=1e-9)


def test_speech_goes_to_the_box_of_the_speaker():
    acoustic_map, rng = sound_map(), np.random.default_rng(2)
    tracker = Tracker(TrackerConfig(), HEAD, acoustic_map, model=plane())
    places = [np.array([2.0, side * 0.4, 0.1]) for side in (1, -1)]
    centers = [
        HEAD.camera.project(HEAD.camera.base_from_optical.inverse().apply(place))
        for place in places
    ]

    def boxes(f):
        return [head_at(*center, 50, rng) for center in centers]

    watch(tracker, range(15), boxes)
    for place, center in zip(places, centers):
        first = 15 if place[1] > 0 else 40
        frame = watch(
            tracker,
            range(first, first + 25),
            boxes,
            lambda f, place=place: sound_from(acoustic_map, f, [direction_to(place)], rng),
        )
        shares = {t.id: t.audio_responsibility for t in frame.tracks}
        assert shares.pop(nearest(frame, center[0]).id) > 0.8 and max(shares.values()) < 0.2


def test_who_walks_out_of_the_field_dies():
    model = plane()
    mean, covariance = (
        np.array([[700.0, 100, 50, 50, 0, 0], [990, 100, 50, 50, 0, 0], [100, 800, 50, 50, 0, 0]]),
        np.tile(np.eye(6), (3, 1, 1)),
    )
    assert model.implausible(mean, covariance, STILL).tolist() == [False, True, True]


def test_boxes_that_are_none_are_dropped_and_counted():
    rng, tracker = np.random.default_rng(3), Tracker(CONFIG, HEAD, model=plane())
    bad = [
        np.full(4, np.nan),
        [10, 10, 0, 20],
        [10, 10, 20, -5],
        [10, 10, np.inf, 5],
        [1e12, 0, 5, 5],
        np.zeros(3),
    ]
    frame = watch(tracker, range(10), lambda f: [head_at(300, 200, 50, rng), *bad])
    assert len(frame.tracks) == 1 and np.isfinite(frame.tracks[0].mean).all()
    assert tracker.counters['bad_faces'] == 10 * len(bad)


@pytest.mark.parametrize(
    'changes',
    [
        {'object_size': 0},
        {'acceleration_density': -1},
        {'max_size_ratio': 1},
        {'size_range': (0.5, 0.1)},
        {'field_margin': -0.1},
        {'center_error': np.nan},
    ],
)
def test_impossible_settings_are_refused(changes):
    with pytest.raises(ValueError):
        ImagePlaneConfig(**changes)
