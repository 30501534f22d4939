# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Drawn images against geometry, and people cut out of pictures with a soft edge.

Geometry is place, size, disparity and occlusion.
"""

import cv2
import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.robot_head import CameraGeometry
from av_perception.simulation.cutout import (
    FACE_WIDTH_M,
    PIXELS_PER_METER,
    Appearance,
    Cutout,
    cut_out,
)
from av_perception.simulation.rendering import StereoRenderer
from av_perception.simulation.simulator import FACE_DEPTH_M, face_surfaces

CAMERA = CameraGeometry(320, 240, (225.0, 225.0), (159.5, 119.5), 0.1)
WALL = 4.5


def blurred_noise(height, width, sigma, seed):
    noise = cv2.GaussianBlur(
        np.random.default_rng(seed).normal(size=(height, width, 3)), (0, 0), sigma
    )
    return np.clip(128 + 60 * noise / noise.std(), 0, 255).astype(np.uint8)


def card(width_m=0.4, height_m=0.4, seed=0, color=None):
    """An opaque textured card with the head center in its middle."""
    height, width = int(height_m * PIXELS_PER_METER), int(width_m * PIXELS_PER_METER)
    texture = np.dstack(
        [blurred_noise(height, width, 5, seed), np.full((height, width), 255, np.uint8)]
    )
    if color is not None:
        texture[..., :3] = color
    return Cutout(texture, np.array([(width - 1) / 2, (height - 1) / 2]), np.array([0.07, 0.09]))


def renderer(seed=0, camera=CAMERA):
    return StereoRenderer(camera, WALL, 1.4, seed)


def disparity_of(pair, row, column, half=12):
    """Match a patch of the left image in the right one, to a fraction of a pixel by a parabola."""
    patch = pair.left[row - half : row + half + 1, column - half : column + half + 1].astype(
        np.float32
    )
    band = pair.right[row - half : row + half + 1].astype(np.float32)
    score = cv2.matchTemplate(band, patch, cv2.TM_CCOEFF_NORMED)[0]
    best = int(score.argmax())
    left, middle, right = score[best - 1 : best + 2]
    return column - half - (best + 0.5 * (left - right) / (left - 2 * middle + right))


@pytest.mark.parametrize('position', [(0.1, 0.0, 1.3), (-0.3, 0.1, 1.77), (0.21, -0.2, 2.9)])
def test_disparity_is_focal_times_baseline_over_depth(position):
    pair = renderer().render(0, [card()], np.array([position]))
    column, row = np.round(CAMERA.project(np.array(position))).astype(int)
    assert (
        abs(disparity_of(pair, row, column) - CAMERA.focal[0] * CAMERA.baseline / position[2])
        < 0.1
    )


def test_wall_has_its_own_disparity():
    pair = renderer().render(0, [], np.zeros((0, 3)))
    assert abs(disparity_of(pair, 150, 160, 20) - CAMERA.focal[0] * CAMERA.baseline / WALL) < 0.1


@pytest.mark.parametrize('position', [(0.1, 0.0, 1.0), (-0.3, 0.1, 1.77), (0.213, -0.2, 2.9)])
def test_person_is_drawn_at_the_place_and_in_the_size_of_the_projection(position):
    """The centroid and the area of a uniform card, to 0.1 pixel and 5 %.

    Its scales are above and below the stored texture's.
    """
    pair = renderer().render(0, [card(0.3, 0.3, color=(0, 0, 255))], np.array([position]))
    left = pair.left.astype(float)
    share = np.clip((left[..., 2] - left[..., 1]) / 255, 0, 1) * (left[..., 2] - left[..., 1] > 60)
    rows, columns = np.indices(share.shape)
    centroid = np.array([(share * columns).sum(), (share * rows).sum()]) / share.sum()
    np.testing.assert_allclose(centroid, CAMERA.project(np.array(position)), atol=0.1)
    assert abs(share.sum() / (0.3 * CAMERA.focal[0] / position[2]) ** 2 - 1) < 0.05


def test_nearer_person_hides_the_farther_one():
    front, behind = (0.0, 0.0, 1.2), (0.0, 0.0, 2.0)
    cards = [card(color=(0, 0, 255)), card(color=(0, 255, 0))]
    for order in ([front, behind], [behind, front]):
        pair = renderer().render(0, cards, np.array(order))
        near = order.index(front)
        center = pair.left[119, 159].astype(int)
        assert center[2 if near == 0 else 1] > 200 and center[1 if near == 0 else 2] < 60
        assert pair.visible[near] and not pair.visible[1 - near]


def test_visible_ends_when_half_the_face_is_hidden():
    """A narrow card slides over a face: hidden share of an ellipse in closed form."""
    half_width = 0.07 * CAMERA.focal[0] / 2.0
    for covered in (0.2, 0.4, 0.6, 0.8):  # share of the face's width under the card's left edge
        edge = CAMERA.center[0] + half_width * (
            1 - 2 * covered
        )  # the card covers everything right of it
        x = (edge - CAMERA.center[0]) / CAMERA.focal[
            0
        ] + 0.15  # its center at 1 m, half width 0.15
        pair = renderer().render(
            0, [card(), card(0.3, 0.6)], np.array([[0.0, 0.0, 2.0], [x, 0.0, 1.0]])
        )
        u = 1 - 2 * covered
        hidden = 0.5 - (u * np.sqrt(1 - u * u) + np.arcsin(u)) / np.pi
        assert pair.visible[0] == (hidden < 0.5), (covered, hidden)


def test_out_of_view_and_behind_are_not_visible():
    positions = np.array(
        [
            [1.5, 0.0, 1.5],
            [0.0, 0.0, -1.0],
            [0.0, 0.9, 1.5],
            [0.0, 0.0, 1.5],
            [0.72 * 1.5, 0.0, 1.5],
        ]
    )
    pair = renderer().render(0, [card(seed=k) for k in range(5)], positions)
    assert pair.visible.tolist() == [False, False, False, True, False]
    empty = renderer().render(0, [], np.zeros((0, 3)))
    assert empty.visible.shape == (0,)


def test_images_repeat_with_the_seed_and_one_camera_gives_no_right_image():
    positions = np.array([[0.0, 0.0, 1.5]])
    first, again = (renderer(3).render(7, [card()], positions) for _ in range(2))
    assert np.array_equal(first.left, again.left)
    assert np.array_equal(first.right, again.right)
    assert not np.array_equal(first.left, renderer(4).render(7, [card()], positions).left)
    assert not np.array_equal(first.left, renderer(3).render(8, [card()], positions).left)
    noise = first.left.astype(int) - renderer(3).render(8, [card()], positions).left
    assert 0.5 < noise.std() < 3.0
    alone = CameraGeometry(320, 240, (225.0, 225.0), (159.5, 119.5))
    assert renderer(camera=alone).render(0, [card()], positions).right is None


def picture_of_a_person():
    """A head, neck and trunk unlike the background; the face box as a detector would draw it."""
    image = blurred_noise(500, 400, 30, 5) // 3 + 150
    cv2.ellipse(image, (200, 150), (60, 80), 0, 0, 360, (60, 90, 170), -1)
    cv2.rectangle(image, (175, 200), (225, 280), (60, 90, 170), -1)
    cv2.fillPoly(image, [np.array([(150, 260), (250, 260), (320, 500), (80, 500)])], (90, 30, 20))
    return cv2.add(image, np.random.default_rng(0).integers(0, 6, image.shape).astype(np.uint8)), (
        150.0,
        85.0,
        100.0,
        130.0,
    )


def test_person_is_cut_out_of_a_picture_at_true_scale():
    image, face = picture_of_a_person()
    (person,) = cut_out([image], face, 'test')
    scale = PIXELS_PER_METER * FACE_WIDTH_M / 100.0
    alpha = person.texture[..., 3]
    row = int(person.center[1])
    head_width = np.count_nonzero(alpha[row] > 127) / scale
    assert 105 < head_width < 130  # 120 at the widest
    assert alpha[row, int(person.center[0])] == 255 and alpha[:20].max() < 10
    assert np.count_nonzero((alpha > 20) & (alpha < 235)) > 50  # a soft edge
    assert alpha[-1, int(person.center[0])] == 255
    assert len(alpha) / PIXELS_PER_METER > 1.2
    assert (person.texture[..., :3] <= alpha[..., None]).all()  # premultiplied
    np.testing.assert_allclose(person.face_radii_m, [FACE_WIDTH_M / 2, FACE_WIDTH_M * 0.65])


def test_face_outside_the_picture_is_refused():
    with pytest.raises(UserError, match='not inside'):
        cut_out([np.zeros((50, 50, 3), np.uint8)], (100.0, 0.0, 20.0, 20.0), 'a.png')


def test_clip_plays_from_its_start_in_every_turn():
    views = tuple(card(seed=k) for k in range(5))
    clip = Appearance(views, 25.0)
    turns = ((1.0, 2.0), (3.0, 4.0))
    assert clip.at(0.5, turns) is views[0]
    assert clip.at(1.05, turns) is views[1]
    assert clip.at(3.13, turns) is views[3]
    assert clip.at(1.21, turns) is views[0] and clip.at(2.5, turns) is views[0]
    assert Appearance(views[:1]).at(1.5, turns) is views[0]


def test_faces_are_drawn_before_the_head_center_on_the_same_ray():
    centers = np.array([[0.4, -0.2, 2.0], [0.0, 0.0, 1.0]])
    surfaces = face_surfaces(centers)
    np.testing.assert_allclose(np.linalg.norm(centers - surfaces, axis=1), FACE_DEPTH_M)
    np.testing.assert_allclose(CAMERA.project(surfaces), CAMERA.project(centers), atol=1e-9)
