# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Calibration files, rectification and the calibration of a stereo pair, against cameras whose
parameters are known.
"""

import json

import cv2
import numpy as np
import pytest
import yaml
from board_scenes import (
    BASELINE,
    LEFT_DISTORTION,
    LEFT_MATRIX,
    RIGHT_DISTORTION,
    RIGHT_FROM_LEFT,
    RIGHT_MATRIX,
    SIZE,
    TRANSLATION,
    board_pairs,
    charuco_texture,
    chessboard_texture,
)

from av_perception.calibration.stereo_calibration import (
    BoardConfig,
    calibrate_stereo,
    rectified_points,
)
from av_perception.cli.main import main
from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration, rectified_geometry
from av_perception.vision.rectification import Rectifier, rectifiers_of

BOARD = BoardConfig(9, 6, 0.025)


@pytest.fixture(scope='module')
def chessboard_pairs():
    """Ten pairs of a chessboard."""
    return board_pairs(*chessboard_texture(9, 6, 0.025), (0.2, 0.125), 10)


@pytest.fixture(scope='module')
def planted():
    """The planted cameras, rectified by OpenCV: (left, right) calibrations."""
    turns = cv2.stereoRectify(
        LEFT_MATRIX,
        LEFT_DISTORTION,
        RIGHT_MATRIX,
        RIGHT_DISTORTION,
        SIZE,
        RIGHT_FROM_LEFT,
        TRANSLATION.reshape(3, 1),
        alpha=0,
    )
    return (
        CameraCalibration(*SIZE, LEFT_MATRIX, LEFT_DISTORTION, 'plumb_bob', turns[0], turns[2]),
        CameraCalibration(*SIZE, RIGHT_MATRIX, RIGHT_DISTORTION, 'plumb_bob', turns[1], turns[3]),
    )


def check_result(result):
    """Focal lengths, baseline and rows are those of the planted cameras."""
    for found, matrix in ((result.left, LEFT_MATRIX), (result.right, RIGHT_MATRIX)):
        np.testing.assert_allclose(found.matrix[[0, 1], [0, 1]], matrix[[0, 1], [0, 1]], rtol=0.01)
        np.testing.assert_allclose(found.matrix[:2, 2], matrix[:2, 2], atol=6)
    assert rectified_geometry((result.left, result.right))['baseline'] == pytest.approx(
        np.linalg.norm(TRANSLATION), rel=0.01
    )
    assert (
        result.epipolar_error_px.max() < 0.4
        and max(result.left_error_px.max(), result.right_error_px.max()) < 0.4
    )


def depth_error(result, planted):
    """Relative errors of the depths of points 1 to 3 m away, seen by the planted cameras and
    triangulated by the result.
    """
    points = np.random.default_rng(3).uniform([-0.4, -0.3, 1.0], [0.4, 0.3, 3.0], (200, 3))
    left = cv2.projectPoints(points, np.zeros(3), np.zeros(3), LEFT_MATRIX, LEFT_DISTORTION)[0]
    right = cv2.projectPoints(
        points, cv2.Rodrigues(RIGHT_FROM_LEFT)[0], TRANSLATION, RIGHT_MATRIX, RIGHT_DISTORTION
    )[0]
    disparity = (
        rectified_points(left, result.left)[:, 0] - rectified_points(right, result.right)[:, 0]
    )
    geometry = rectified_geometry((result.left, result.right))
    depth = geometry['focal'][0] * geometry['baseline'] / disparity
    return depth / (points @ result.left.rectification.T)[:, 2] - 1


@pytest.mark.slow
def test_a_planted_pair_is_recovered_from_chessboards(chessboard_pairs, planted):
    result = calibrate_stereo(chessboard_pairs, BOARD)
    check_result(result)
    assert (
        len(result.names) == 10
        and not result.without_board
        and not result.outliers
        and result.coverage > 0.4
    )
    assert np.abs(depth_error(result, planted)).max() < 0.03


@pytest.mark.slow
def test_a_planted_pair_is_recovered_from_charuco_boards(planted):
    board = BoardConfig(10, 7, 0.025, 'charuco', 0.018)
    result = calibrate_stereo(
        board_pairs(*charuco_texture(10, 7, 0.025, 0.018, '5X5_100'), (0.2, 0.125), 10), board
    )
    check_result(result)
    assert np.abs(depth_error(result, planted)).max() < 0.03


def test_pairs_without_a_board_or_that_moved_are_left_out(chessboard_pairs):
    blank = np.full(SIZE[::-1], 90, np.uint8)
    moved = ('moved', chessboard_pairs[0][1], np.roll(chessboard_pairs[0][2], 12, axis=0))
    result = calibrate_stereo([*chessboard_pairs, ('blank', blank, blank), moved], BOARD)
    assert result.without_board == ('blank',) and result.outliers == ('moved',)
    check_result(result)


@pytest.mark.slow
def test_images_that_cannot_calibrate_are_named(chessboard_pairs):
    swapped = [(name, right, left) for name, left, right in chessboard_pairs]
    upright = [
        (name, *(cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE) for image in images))
        for name, *images in chessboard_pairs
    ]
    for pairs, board, words in (
        (swapped, BOARD, 'swap --left and --right'),
        (upright, BoardConfig(6, 9, 0.025), 'above each other'),
        (chessboard_pairs[:4], BOARD, 'in 4 of 4 image pairs, 5 are needed'),
        (chessboard_pairs[:5], BoardConfig(8, 5, 0.025), 'inner corners'),
        ([], BOARD, '0 of 0'),
        (
            [('odd', np.zeros((4, 5), np.uint8), np.zeros((4, 6), np.uint8))],
            BOARD,
            'odd: an image is 6x4',
        ),
    ):
        with pytest.raises(UserError, match=words):
            calibrate_stereo(pairs, board)


@pytest.mark.parametrize(
    'wrong',
    [
        (2, 6, 0.025),
        (9, 6, 25.0),
        (9, 6, 0.025, 'circles'),
        (9, 6, 0.025, 'charuco', 0.03),
        (9, 6, 0.025, 'charuco', 0.01, '9X9'),
    ],
)
def test_impossible_boards_are_refused(wrong):
    with pytest.raises(ValueError):
        BoardConfig(*wrong)


def test_real_images_calibrate_by_the_command(data_directory, tmp_path):
    shots, out = data_directory / 'stereo_chessboard', tmp_path / 'mine'
    assert (
        main(
            [
                'calibrate',
                'stereo',
                '--left',
                f'{shots}/left*.jpg',
                '--right',
                f'{shots}/right*.jpg',
                '--board',
                '9x6',
                '--square',
                '0.025',
                '-o',
                str(out),
                '--json',
                str(out / 'report.json'),
            ]
        )
        == 0
    )
    report = json.loads((out / 'report.json').read_text())
    assert (
        report['used'] == 13
        and report['epipolar_error_px'] < 0.2
        and max(report['left_error_px'], report['right_error_px']) < 0.3
    )
    assert report['baseline'] == pytest.approx(
        0.0832, abs=0.001
    )  # 3.33 squares, as published with these images
    assert cv2.imread(str(out / 'rectified.png')).shape == (480, 1280, 3)
    storage = cv2.FileStorage(str(shots / 'left_intrinsics.yml'), cv2.FILE_STORAGE_READ)
    known = storage.getNode('camera_matrix').mat()
    found = CameraCalibration.read(out / 'left.yaml')
    assert found.matrix[0, 0] == pytest.approx(known[0, 0], rel=0.01)


def shots(data_directory, left, right):
    """Arguments for so many left and right images of the real chessboards, by their numbers."""
    folder = data_directory / 'stereo_chessboard'
    return [f'{folder}/left0[{left}].jpg', f'{folder}/right0[{right}].jpg']


def test_row_11_pairs_that_do_not_belong_together_are_refused_and_nothing_is_written(
    data_directory, tmp_path, capsys
):
    left, right = shots(data_directory, '1-6', '2-7')
    arguments = [
        '--board',
        '9x6',
        '--square',
        '0.025',
        '-o',
        str(tmp_path / 'out'),
        '--json',
        str(tmp_path / 'out' / 'report.json'),
    ]
    assert main(['calibrate', 'stereo', '--left', left, '--right', right, *arguments]) == 2
    text = capsys.readouterr().err
    assert (
        'no two of the 6 image pairs agree' in text
        and 'left01.jpg right02.jpg' in text
        and text.count('\n') == 1
    )
    assert not (tmp_path / 'out').exists()


def test_row_11_the_odd_pairs_are_named(chessboard_pairs):
    """From the fifth pair on an image of one side is missing."""
    rights = [right for _, _, right in chessboard_pairs]
    late = [
        (name, left, right)
        for (name, left, _), right in zip(chessboard_pairs, rights[:4] + rights[5:])
    ]
    told = (
        r'5 of 9 image pairs do not belong together, is an image missing on one side\? '
        'pair 4, pair 5, pair 6, pair 7, pair 8$'
    )
    with pytest.raises(UserError, match=told):
        calibrate_stereo(late, BOARD)


def test_row_11_too_few_pairs_that_belong_together_are_refused(chessboard_pairs):
    pairs = list(chessboard_pairs[:6])
    pairs[1], pairs[3] = (*pairs[1][:2], pairs[3][2]), (*pairs[3][:2], pairs[1][2])
    with pytest.raises(
        UserError, match='2 of 6 image pairs do not belong together.* pair 1, pair 3$'
    ):
        calibrate_stereo(pairs, BOARD)


def test_row_11_a_few_odd_pairs_are_left_out_and_named(chessboard_pairs, planted):
    pairs = list(chessboard_pairs)
    pairs[2], pairs[7] = (
        (pairs[2][0], pairs[2][1], pairs[7][2]),
        (pairs[7][0], pairs[7][1], pairs[2][2]),
    )
    result = calibrate_stereo(pairs, BOARD)
    assert result.outliers == ('pair 2', 'pair 7')
    check_result(result)


def test_one_folder_for_both_sides_is_told(data_directory, tmp_path, capsys):
    left, right = shots(data_directory, '1-6', '1-6')
    for both in (left, right):
        arguments = ['--board', '9x6', '--square', '0.025', '-o', str(tmp_path / 'out')]
        assert main(['calibrate', 'stereo', '--left', both, '--right', both, *arguments]) == 2
        assert 'are the same image: --left and --right' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_the_command_names_what_is_wrong(tmp_path, capsys):
    for index in range(2):
        cv2.imwrite(str(tmp_path / f'l{index}.png'), np.zeros((48, 64), np.uint8))
    cv2.imwrite(str(tmp_path / 'r0.png'), np.zeros((48, 64), np.uint8))
    (tmp_path / 'broken.png').write_bytes(b'no image')
    rest = ['-o', str(tmp_path / 'out'), '--square', '0.025']
    for arguments, words in (
        ((f'{tmp_path}/l*.png', f'{tmp_path}/r*.png', '9x6'), '2 left images but 1 right'),
        ((f'{tmp_path}/none*', f'{tmp_path}/r*.png', '9x6'), 'no image at'),
        (
            (f'{tmp_path}/l0.png', f'{tmp_path}/broken.png', '9x6'),
            'broken.png is not a readable image',
        ),
        ((f'{tmp_path}/l0.png', f'{tmp_path}/r0.png', '9'), 'not of the form'),
        ((f'{tmp_path}/l0.png', f'{tmp_path}/r0.png', '9x6'), 'in 0 of 1 image pairs'),
    ):
        assert (
            main(
                [
                    'calibrate',
                    'stereo',
                    '--left',
                    arguments[0],
                    '--right',
                    arguments[1],
                    '--board',
                    arguments[2],
                    *rest,
                ]
            )
            == 2
        )
        assert words in capsys.readouterr().err


# ---- files and head profiles


def test_a_calibration_file_reads_back(planted, tmp_path):
    planted[1].write(tmp_path / 'right.yaml', 'right')
    assert CameraCalibration.read(tmp_path / 'right.yaml') == planted[1] != planted[0]
    assert (
        yaml.safe_load((tmp_path / 'right.yaml').read_text())['distortion_coefficients']['cols']
        == 5
    )


def test_calibration_files_that_are_none_are_named(planted, tmp_path):
    path = tmp_path / 'camera.yaml'
    planted[0].write(path, 'left')
    good = yaml.safe_load(path.read_text())
    zero = {**good['camera_matrix'], 'data': [0.0] * 9}
    for change, words in (
        ({'camera_matrix': zero}, 'not calibrated'),
        ({'distortion_model': 'mystery'}, "'mystery'"),
        ({'image_width': None}, 'camera.yaml'),
        ({'projection_matrix': {'data': [1.0] * 9}}, 'camera.yaml'),
        ({'rectification_matrix': 3}, 'camera.yaml'),
        ({'camera_matrix': {**zero, 'data': [float('nan')] * 9}}, 'finite'),
    ):
        path.write_text(yaml.safe_dump({**good, **change}))
        with pytest.raises(UserError, match=words) as caught:
            CameraCalibration.read(path)
        assert '\n' not in str(caught.value)
    path.write_text(yaml.safe_dump({'image_width': 3}))
    with pytest.raises(UserError, match='camera_matrix'):
        CameraCalibration.read(path)


def head_file(folder, camera):
    (folder / 'head.yaml').write_text(yaml.safe_dump({'name': 'mine', 'camera': camera}))
    return str(folder / 'head.yaml')


def test_a_head_profile_takes_its_cameras_from_files(planted, tmp_path):
    for calibration, name in zip(planted, ('left', 'right')):
        calibration.write(tmp_path / f'{name}.yaml', name)
    camera = load_head(
        head_file(tmp_path, {'calibration': ['left.yaml', 'right.yaml'], 'frame_rate': 15.0})
    ).camera
    assert (camera.width, camera.height, camera.frame_rate) == (*SIZE, 15.0)
    assert (
        camera.baseline == pytest.approx(np.linalg.norm(TRANSLATION))
        and camera.focal[0] == planted[0].projection[0, 0]
    )
    one = load_head(head_file(tmp_path, {'calibration': ['left.yaml']})).camera
    assert one.baseline == 0 and len(one.calibration) == 1
    for wrong, words in (
        (
            {'calibration': ['left.yaml', 'right.yaml'], 'baseline': 0.1},
            'camera.baseline and camera.calibration both',
        ),
        ({'calibration': 'left.yaml'}, 'must list'),
        ({'calibration': ['none.yaml']}, 'none.yaml'),
        ({'calibration': ['right.yaml', 'left.yaml']}, 'do not swap left and right'),
    ):
        with pytest.raises(UserError, match=words):
            load_head(head_file(tmp_path, wrong))


def test_rectification_brings_points_to_one_row_at_their_disparity(planted):
    """Dots at known places in space, drawn into raw images where the planted cameras see them."""
    points = np.array([[x, y, 1.4] for x in (-0.3, 0.0, 0.3) for y in (-0.25, 0.0, 0.25)])
    turned = points @ planted[0].rectification.T
    expected = (
        turned[:, :2] / turned[:, 2:] * planted[0].projection[0, 0] + planted[0].projection[:2, 2]
    )
    shift = np.linalg.norm(TRANSLATION) * planted[0].projection[0, 0] / turned[:, 2]
    poses = (
        (np.zeros(3), np.zeros(3), LEFT_MATRIX, LEFT_DISTORTION),
        (cv2.Rodrigues(RIGHT_FROM_LEFT)[0], TRANSLATION, RIGHT_MATRIX, RIGHT_DISTORTION),
    )
    for side, (calibration, pose) in enumerate(zip(planted, poses)):
        image = np.zeros(SIZE[::-1], np.uint8)
        for u, v in cv2.projectPoints(points, *pose)[0].reshape(-1, 2):
            cv2.circle(image, (round(16 * u), round(16 * v)), 16 * 5, 255, -1, cv2.LINE_AA, 4)
        rectified = Rectifier(calibration).rectify(image)
        for (u, v), disparity in zip(expected, shift):
            u -= side * disparity
            y, x = np.mgrid[round(v) - 9 : round(v) + 10, round(u) - 9 : round(u) + 10]
            weight = rectified[round(v) - 9 : round(v) + 10, round(u) - 9 : round(u) + 10].astype(
                float
            )
            assert (
                np.hypot(
                    (x * weight).sum() / weight.sum() - u, (y * weight).sum() / weight.sum() - v
                )
                < 0.2
            )


def test_a_fisheye_is_rectified_too():
    distortion, projection = (
        np.array([0.02, -0.01, 0.003, -0.001]),
        np.column_stack([LEFT_MATRIX, np.zeros(3)]),
    )
    calibration = CameraCalibration(
        *SIZE, LEFT_MATRIX, distortion, 'equidistant', np.eye(3), projection
    )
    point = np.array([0.4, -0.3, 1.0])
    raw = cv2.fisheye.projectPoints(
        point.reshape(1, 1, 3), np.zeros(3), np.zeros(3), LEFT_MATRIX, distortion
    )[0].ravel()
    image = np.zeros(SIZE[::-1], np.uint8)
    cv2.circle(image, tuple(int(v) for v in np.round(16 * raw)), 16 * 5, 255, -1, cv2.LINE_AA, 4)
    y, x = np.nonzero(Rectifier(calibration).rectify(image) > 128)
    np.testing.assert_allclose([x.mean(), y.mean()], (LEFT_MATRIX @ point)[:2], atol=0.6)


def test_images_of_an_uncalibrated_profile_stay_as_they_are():
    image = np.zeros((480, 640, 3), np.uint8)
    assert all(
        rectifier.rectify(image) is image
        for rectifier in rectifiers_of(load_head('simulated').camera)
    )


def test_projections_that_are_no_pair_are_refused(planted):
    left, right = planted
    half = np.diag([0.5, 0.5, 1.0])
    other = CameraCalibration(
        320,
        240,
        half @ right.matrix,
        right.distortion,
        right.distortion_model,
        right.rectification,
        half @ right.projection,
    )
    for pair, words in (((left, other), '320x240'), ((left, left), 'one stereo pair')):
        with pytest.raises(ValueError, match=words):
            rectified_geometry(pair)
    assert BASELINE == pytest.approx(rectified_geometry(planted)['baseline'], rel=0.01)
