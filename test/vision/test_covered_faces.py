# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces that something nearer covers: textures with exact disparities, and rendered people."""

import cv2
import numpy as np
import pytest
from vision_scenes import CAMERA, Texture, landmarks_of, textured_pair

from av_perception.vision.box_noise import CENTERFACE
from av_perception.vision.covering import covered_shares, heads_reach
from av_perception.vision.stereo_matching import (
    StereoMatchConfig,
    StereoMatcher,
)
from av_perception.vision.surfaces import correlate_cells, two_surfaces
from av_perception.vision.triangulation import TriangulationConfig, locate_head

BOX = np.array([300.0, 200.0, 40.0, 53.0])
FACE_PX = 30.0
COVER_PX = 45.0


def matcher():
    return StereoMatcher(StereoMatchConfig(), CAMERA, 0.135)


def covered_pair(share, random, noise=2.0, cover_px=COVER_PX, face=None):
    """A face whose left `share` a nearer surface covers, before a far wall."""
    face = face or Texture(random)
    cover = Texture(random)
    wall = Texture(random)
    edge = BOX[0] + share * BOX[2]
    y, x = np.mgrid[190:264, 180:400].astype(float)
    images = []
    for side in (0, 1):
        on_cover = x + side * cover_px
        on_face = x + side * FACE_PX
        inside = (on_face >= BOX[0]) & (on_face < BOX[0] + BOX[2]) & (y >= BOX[1])
        scene = np.where(inside, face(on_face, y), wall(x + side * 5.0, y))
        scene = np.where((on_cover < edge) & (on_cover > edge - 60), cover(on_cover, y), scene)
        image = np.full((CAMERA.height, CAMERA.width), 120.0)
        image[190:264, 180:400] += 30.0 * scene
        image += random.normal(0, noise, image.shape)
        images.append(np.clip(np.round(image), 0, 255).astype(np.uint8))
    return images


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('share', [0.35, 0.5, 0.65])
def test_a_half_hidden_face_never_gets_its_occluders_depth(share, seed):
    found = matcher().match_face(*covered_pair(share, np.random.default_rng(seed)), BOX)
    if found.disparity is not None:
        error = found.disparity.disparity - FACE_PX
        assert abs(error) < 4 * np.sqrt(found.disparity.variance)
    assert found.disparity is None or found.covered > 0.1


@pytest.mark.slow
def test_most_half_hidden_faces_get_their_own_depth():
    pairs = (covered_pair(0.5, np.random.default_rng(seed)) for seed in range(20))
    found = [matcher().match_face(*pair, BOX).disparity for pair in pairs]
    assert sum(match is not None for match in found) >= 15


@pytest.mark.slow
def test_a_free_face_is_not_taken_for_a_covered_one():
    for seed in range(10):
        pair = covered_pair(0.0, np.random.default_rng(seed), noise=6.0)
        found = matcher().match_face(*pair, BOX)
        assert found.covered == 0.0
        assert found.disparity.disparity == pytest.approx(FACE_PX, abs=0.15)


def test_a_patch_that_shows_only_the_nearer_head_has_no_depth_of_its_own():
    """The detector reports a second, narrower face where the nearer person's head is."""
    random = np.random.default_rng(3)
    texture = Texture(random)
    pair = covered_pair(1.0, random, face=texture)
    near = BOX + [-18.0, -10.0, 14.0, 20.0]
    alone = matcher().match_face(*pair, BOX).disparity
    assert alone.disparity == pytest.approx(COVER_PX, abs=0.2)
    first, second = matcher().match_all(*pair, np.array([near, BOX]))
    assert first.disparity.disparity == pytest.approx(COVER_PX, abs=0.2)
    assert second.disparity is None and second.covered > 0.3


def test_heads_reach_by_hand():
    boxes = np.array([[100.0, 100, 40, 52], [130.0, 100, 60, 78], [400.0, 100, 40, 52]])
    reach = heads_reach(boxes, (0.5, 0.5))
    # The middle of the first is 110..130, the second's head begins at 130 - 15.
    assert reach[0, 1] == pytest.approx(15 / 20)
    assert reach[2].tolist() == [0, 0, 0] and reach[0, 0] == 0
    shares = covered_shares(boxes)
    assert shares[0] > 0.5 and shares[1] == 0 and shares[2] == 0
    assert covered_shares(np.zeros((0, 4))).shape == (0,)


def test_cells_are_correlated_as_opencv_does():
    random = np.random.default_rng(5)
    band = random.integers(0, 255, (31, 90)).astype(np.uint8)
    template = random.integers(0, 255, (31, 33)).astype(np.uint8)
    cells = correlate_cells(template, band)
    assert cells.pixels.sum() == template.size
    heights = np.array([0, 10, 21, 31])
    widths = np.array([0, 8, 16, 25, 33])
    k = 0
    for top, bottom in zip(heights[:-1], heights[1:]):
        for left, right in zip(widths[:-1], widths[1:]):
            expected = cv2.matchTemplate(
                band[top:bottom, left : right + 57],
                template[top:bottom, left:right],
                cv2.TM_CCOEFF_NORMED,
            )
            np.testing.assert_allclose(cells.correlation[k], expected[0], atol=1e-4)
            k += 1
    assert k == len(cells.correlation)


def test_flat_cells_say_nothing():
    flat = np.full((20, 40), 90, np.uint8)
    assert not correlate_cells(flat[:, :20], flat).evidence().any()


def test_two_planted_surfaces_are_found_as_by_exhaustive_search():
    random = np.random.default_rng(6)
    evidence = random.uniform(0, 3, (6, 30))
    evidence[:3, 8] += 20
    evidence[3:, 21] += 20
    found = two_surfaces(evidence, 0)
    assert (found.near, found.far) == (8, 21)
    assert found.shows_far.tolist() == [False] * 3 + [True] * 3
    both = np.maximum(evidence[:, :, None], evidence[:, None]).sum(axis=0)
    best = both[np.triu_indices(30, 1)].max()
    assert found.gain == pytest.approx(best - evidence.sum(axis=0).max())
    assert two_surfaces(evidence[:, :2], 1) is None


def test_the_covariance_of_a_covered_face_is_larger_in_all_directions():
    landmarks = landmarks_of(BOX)[0]
    config = TriangulationConfig()
    shares = np.array([0.0, 0.5])
    boxes = np.array([BOX + [500 * k, 0, 0, 0] for k in (0, 1)])  # nobody is beside them
    free, covered = (
        locate_head(BOX, landmarks, None, CAMERA, config, stds, covered=share)[1]
        for share, stds in zip(shares, CENTERFACE.center_stds(boxes, np.ones(2), shares))
    )
    assert np.all(np.linalg.eigvalsh(covered - free) > 0)


def test_a_disparity_beside_a_nearer_head_is_less_certain():
    """Regression: the heads beside free faces drew the peak by ten stated deviations."""
    random = np.random.default_rng(6)
    box = np.array([300.0, 200.0, 30.0, 40.0])
    left, right = textured_pair(box, CAMERA.disparity(2.0), random, noise=8.0)
    beside = np.array([340.0, 190.0, 60.0, 78.0])
    alone = matcher().match_all(left, right, box[None])[0].disparity
    for others, is_beside in (([beside], True), ([beside + [60, 0, 0, 0]], False)):
        found = matcher().match_all(left, right, np.array([box, *others]))[0].disparity
        drawn = 3.0 * (1 - alone.correlation) * is_beside
        assert found.disparity == alone.disparity and 1 - alone.correlation > 0.01
        assert found.variance == max(alone.variance, drawn**2)
        assert found.variance > alone.variance or not is_beside


def test_the_nearer_of_two_faces_is_as_certain_as_alone():
    random = np.random.default_rng(6)
    box = np.array([300.0, 200.0, 60.0, 78.0])
    left, right = textured_pair(box, CAMERA.disparity(1.0), random)
    narrower = np.array([362.0, 210.0, 30.0, 40.0])
    alone, among = (
        matcher().match_all(left, right, np.array(boxes))[0].disparity
        for boxes in ([box], [box, narrower])
    )
    assert among == alone
