"""Images of calibration boards by two cameras whose parameters are known exactly, for the tests of calibration."""

import functools

import cv2
import numpy as np

SIZE = (640, 480)
LEFT_MATRIX = np.array([[520.0, 0, 325], [0, 518, 236], [0, 0, 1]])
RIGHT_MATRIX = np.array([[531.0, 0, 310], [0, 530, 244], [0, 0, 1]])
LEFT_DISTORTION, RIGHT_DISTORTION = np.array([-0.25, 0.07, 0.001, -0.0005, 0.0]), np.array([-0.22, 0.05, -0.001, 0.0003, 0.0])
RIGHT_FROM_LEFT = cv2.Rodrigues(np.array([0.01, -0.03, 0.02]))[0]
BASELINE = 0.12
TRANSLATION = -RIGHT_FROM_LEFT @ np.array([BASELINE, 0.004, -0.003])   # of points; the right camera is 0.12 m right, a little up and ahead
TEXTURE_PX_PER_M = 4000


def chessboard_texture(columns, rows, square_m):
    """A board of columns x rows inner corners with a white margin, and the pixel of its first inner corner."""
    side = round(square_m * TEXTURE_PX_PER_M)
    squares = np.indices((rows + 1, columns + 1)).sum(axis=0) % 2
    board = np.kron(squares, np.ones((side, side))) * 225 + 15
    return np.pad(board, side, constant_values=240).astype(np.uint8), np.array([2 * side - 0.5, 2 * side - 0.5])


def charuco_texture(columns, rows, square_m, marker_m, dictionary):
    """The same for a ChArUco board of columns x rows squares."""
    side = round(square_m * TEXTURE_PX_PER_M)
    made = cv2.aruco.CharucoBoard((columns, rows), square_m, marker_m, cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f'DICT_{dictionary}')))
    return np.pad(made.generateImage((columns * side, rows * side)), side, constant_values=255), np.array([2 * side - 0.5, 2 * side - 0.5])


def board_pairs(texture, corner, extent_m, count, seed=1, noise=1.5):
    """[(name, left, right)] grey images of the board in front of the cameras, tilted, in all corners of the image."""
    random, pairs = np.random.default_rng(seed), []
    for index in range(count):
        rotation = cv2.Rodrigues(random.uniform(-0.45, 0.45, 3))[0]
        place = np.array([[-0.11, -0.09], [0.11, 0.09], [-0.11, 0.09], [0.11, -0.09], [0, 0]])[index % 5]
        translation = np.append(place * 0.8 + [0.05, 0], random.uniform(0.55, 0.75)) - rotation @ np.append(np.array(extent_m) / 2, 0)
        images = [_render(texture, corner, *pose, random, noise) for pose in (
            (False, rotation, translation), (True, RIGHT_FROM_LEFT @ rotation, RIGHT_FROM_LEFT @ translation + TRANSLATION))]
        pairs.append((f'pair {index}', *images))
    return pairs


@functools.cache
def _rays(right):
    """(4 pixels, 3) directions of points twice as fine as the pixels of a raw image."""
    u, v = np.meshgrid(np.arange(2 * SIZE[0]) / 2 - 0.25, np.arange(2 * SIZE[1]) / 2 - 0.25)
    camera = (RIGHT_MATRIX, RIGHT_DISTORTION) if right else (LEFT_MATRIX, LEFT_DISTORTION)
    points = cv2.undistortPoints(np.column_stack([u.ravel(), v.ravel()]).reshape(-1, 1, 2), *camera).reshape(-1, 2)
    return np.column_stack([points, np.ones(len(points))])


def _render(texture, corner, right, rotation, translation, random, noise):
    """Every ray is cut with the board's plane."""
    rays = _rays(right)
    depth = (rotation[:, 2] @ translation) / (rays @ rotation[:, 2])
    board = depth[:, None] * (rays @ rotation[:, :2]) - translation @ rotation[:, :2]
    at = (board * TEXTURE_PX_PER_M + corner).astype(np.float32).reshape(2 * SIZE[1], 2 * SIZE[0], 2)
    image = cv2.remap(cv2.GaussianBlur(texture, (0, 0), 3), at, None, cv2.INTER_LINEAR, borderValue=120)
    image = cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA)
    return np.clip(image + random.normal(0, noise, image.shape), 0, 255).astype(np.uint8)
