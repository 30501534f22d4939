# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Faces of photographs turned by known angles: the mesh of a face, with its picture, drawn anew.

Around the points of the face, rings go on as an ellipsoid, so that hair, ears and neck turn too.
What no ring covers is a smooth background. Hidden triangles lie below nearer ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial import ConvexHull, Delaunay

from av_perception.head_pose.face_mesh import facing_points
from av_perception.head_pose.rotations import rotation_from_angles

_RINGS = ((1.12, 0.14), (1.28, 0.3), (1.45, 0.42), (1.6, 0.5))  # how far out, and how far back
DEPTH = 1.15
_RING_POINTS = 36
_LEAST_WIDTH_PX = 160.0  # at which a face is drawn
_LEAST_AREA = 1e-3  # [px^2] twice that of a triangle that is drawn
_FRACTION_BITS = 4  # of the corners of triangles


@dataclass(frozen=True)
class TexturedFace:
    """A face that can be turned.

    points: (M, 3) in the head frame, about the middle of the head, in units of
    the face's width; texture: (M, 2) [px] of the points in the photograph; triangles: (T, 3).
    """

    photograph: np.ndarray
    points: np.ndarray
    texture: np.ndarray
    triangles: np.ndarray


def textured_face(
    photograph: np.ndarray, mesh: np.ndarray, facing_from_head: np.ndarray
) -> TexturedFace:
    """Make a face of a photograph that shows it from the front.

    Parameters
    ----------
    photograph
        (height, width, 3) uint8.
    mesh
        (N, 3) points of the face [px], see `FaceMesh`.
    facing_from_head
        (3, 3) how the head is turned in the photograph.
    """
    mesh = mesh * [1.0, 1.0, DEPTH]
    outline = mesh[ConvexHull(mesh[:, :2]).vertices]
    middle = (mesh[:, :2].min(axis=0) + mesh[:, :2].max(axis=0)) / 2
    width = float(np.ptp(mesh[:, 0]))
    around = _resampled(outline)
    depth = np.median(outline[:, 2])
    rings = [
        np.column_stack(
            [middle + grow * (around[:, :2] - middle), np.full(len(around), depth + back * width)]
        )
        for grow, back in _RINGS
    ]
    rings[0][:, 2] = around[:, 2] + _RINGS[0][1] * 0.5 * width
    cloud = np.concatenate([mesh, *rings])
    height, across = photograph.shape[:2]
    texture = np.clip(cloud[:, :2], 0, [across - 1, height - 1])
    triangles = Delaunay(cloud[:, :2]).simplices
    axis = np.array([*middle, depth + 0.15 * width])  # about which the head turns
    points = facing_points(cloud - axis) / width @ facing_from_head
    return TexturedFace(photograph, points, texture, triangles)


def _resampled(outline: np.ndarray) -> np.ndarray:
    """(_RING_POINTS, 3) evenly spaced on a closed outline (P, 3)."""
    closed = np.concatenate([outline, outline[:1]])
    along = np.concatenate(
        [[0], np.cumsum(np.linalg.norm(np.diff(closed[:, :2], axis=0), axis=1))]
    )
    places = np.linspace(0, along[-1], _RING_POINTS, endpoint=False)
    return np.column_stack([np.interp(places, along, axis) for axis in closed.T])


def draw_turned(
    face: TexturedFace, angles: np.ndarray, width_px: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the face turned.

    Parameters
    ----------
    face
        From the front.
    angles
        (3,) yaw, pitch, roll [rad].
    width_px
        Of the face seen from the front [px].
    size
        Width and height of the image [px].

    Returns
    -------
    image : np.ndarray
        (height, width, 3) uint8, the head in its middle.
    box : np.ndarray
        (4,) [px] around the face, from ear to ear and brow to chin, as detectors draw it.
    """
    turned = face.points @ rotation_from_angles(angles).T
    # Drawn large and then shrunk: edges are smooth, and small faces are not aliased.
    fine = max(1, int(np.ceil(_LEAST_WIDTH_PX / width_px)))
    large = (size[0] * fine, size[1] * fine)
    # Facing frame to image: right is y, down is -z.
    places = np.column_stack([turned[:, 1], -turned[:, 2]]) * width_px * fine + np.array(large) / 2
    owners = _owners(face, places, turned[:, 0], large)
    maps = _texture_coordinates(face, places, owners)
    painted = cv2.remap(face.photograph, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    image = np.where((owners >= 0)[..., None], painted, _background(face, large))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    drawn = places[: _num_face_points(face)] / fine
    low = drawn.min(axis=0)
    return image, np.array([*low, *(drawn.max(axis=0) - low)])


def _num_face_points(face: TexturedFace) -> int:
    return len(face.points) - len(_RINGS) * _RING_POINTS


def _background(face: TexturedFace, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) the photograph's colors without its shapes."""
    small = cv2.resize(face.photograph, (8, 8), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)


def _owners(
    face: TexturedFace, places: np.ndarray, nearness: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """(height, width) int32 triangle that each pixel shows, -1 for none; near ones hide others."""
    wound = _double_areas(places[face.triangles]) * _double_areas(face.texture[face.triangles])
    order = np.argsort(nearness[face.triangles].mean(axis=1))
    order = order[wound[order] > _LEAST_AREA]  # the others show their back
    corners = np.round(places[face.triangles] * 2**_FRACTION_BITS).astype(np.int32)
    owners = np.full(size[::-1], -1, np.int32)
    for index in order.tolist():
        cv2.fillConvexPoly(owners, corners[index], index, shift=_FRACTION_BITS)
    return owners


def _double_areas(corners: np.ndarray) -> np.ndarray:
    """(T,) twice the signed areas of triangles (T, 3, 2)."""
    sides = corners[:, 1:] - corners[:, :1]
    return sides[:, 0, 0] * sides[:, 1, 1] - sides[:, 0, 1] * sides[:, 1, 0]


def _texture_coordinates(
    face: TexturedFace, places: np.ndarray, owners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Map pixels to the photograph: column and row, (height, width) float32 each, affinely."""
    corners = places[face.triangles]
    basis = (corners[:, 1:] - corners[:, :1]).swapaxes(1, 2)
    flat = face.texture[face.triangles]
    regular = np.abs(np.linalg.det(basis)) > _LEAST_AREA
    basis = np.where(regular[:, None, None], basis, np.eye(2))
    slope = (flat[:, 1:] - flat[:, :1]).swapaxes(1, 2) @ np.linalg.inv(basis)
    offset = flat[:, 0] - np.einsum('tij,tj->ti', slope, corners[:, 0])
    rows, columns = np.indices(owners.shape)
    own = np.maximum(owners, 0)
    column = slope[own, 0, 0] * columns + slope[own, 0, 1] * rows + offset[own, 0]
    row = slope[own, 1, 0] * columns + slope[own, 1, 1] * rows + offset[own, 1]
    return column.astype(np.float32), row.astype(np.float32)
