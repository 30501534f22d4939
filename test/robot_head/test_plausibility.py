# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers of a head that are finite but impossible are refused, with the likely unit or cause."""

import numpy as np
import pytest
import yaml

from av_perception.errors import UserError
from av_perception.robot_head import load_head
from av_perception.robot_head.camera_calibration import CameraCalibration
from av_perception.robot_head.profile import CameraGeometry, MicrophoneArray
from av_perception.vision.rectification import Rectifier, rectifiers_of

K = np.array([[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]])
BASELINE = 0.0836
SQUARE = np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]]) * 0.02285


def info(shift=0.0, **changes):
    """The numbers of a camera_info file, by the names of CameraCalibration."""
    numbers = {
        'width': 640,
        'height': 480,
        'matrix': K,
        'distortion': np.zeros(5),
        'distortion_model': 'plumb_bob',
        'rectification': np.eye(3),
        'projection': np.column_stack([K, [shift, 0.0, 0.0]]),
    }
    return {**numbers, **changes}


def write_info(path, numbers):
    """As a file, whatever the numbers are."""
    content = {
        'image_width': numbers['width'],
        'image_height': numbers['height'],
        'distortion_model': numbers['distortion_model'],
    }
    for key, name in (
        ('camera_matrix', 'matrix'),
        ('distortion_coefficients', 'distortion'),
        ('rectification_matrix', 'rectification'),
        ('projection_matrix', 'projection'),
    ):
        content[key] = {'data': np.ravel(numbers[name]).tolist()}
    path.write_text(yaml.safe_dump(content))


def head(folder, *infos):
    """The path of a head profile with the calibration files of one or two cameras."""
    names = ['left.yaml', 'right.yaml'][: len(infos)]
    for name, numbers in zip(names, infos):
        write_info(folder / name, numbers)
    profile = {'name': 'x', 'camera': {'calibration': names}}
    (folder / 'head.yaml').write_text(yaml.safe_dump(profile))
    return str(folder / 'head.yaml')


def refusal(folder, *infos):
    """The one line that refuses such a head, as it is loaded or its images are rectified."""
    with pytest.raises(UserError) as caught:
        rectifiers_of(load_head(head(folder, *infos)).camera)
    assert '\n' not in str(caught.value) and str(folder) in str(caught.value)
    return str(caught.value)


# ---- R of zeros, and other matrices that do not rotate


def test_a_rectification_of_zeros_is_the_identity_for_one_camera(tmp_path):
    camera = load_head(head(tmp_path, info(rectification=np.zeros((3, 3))))).camera
    image = np.random.default_rng(0).integers(0, 255, (480, 640), dtype=np.uint8)
    np.testing.assert_array_equal(rectifiers_of(camera)[0].rectify(image), image)


def test_a_rectification_of_zeros_is_refused_by_name_for_a_pair(tmp_path):
    wrong = info(-500 * BASELINE, rectification=np.zeros((3, 3)))
    text = refusal(tmp_path, info(), wrong)
    assert 'right.yaml' in text and 'R is all zeros' in text


@pytest.mark.parametrize(
    'rotation, words',
    [
        (np.diag([1.0, 1.0, -1.0]), 'mirrors'),
        (2 * np.eye(3), 'no rotation'),
        (np.eye(3) + np.eye(3, k=1), 'no rotation'),
    ],
)
def test_a_matrix_that_does_not_rotate_is_refused(tmp_path, rotation, words):
    assert words in refusal(tmp_path, info(rectification=rotation))


def test_rotations_written_with_few_digits_are_accepted(tmp_path):
    turn = np.array([[0.999, -0.052, 0.0], [0.052, 0.999, 0.0], [0.0, 0.0, 1.0]])
    assert load_head(head(tmp_path, info(rectification=turn))).camera.focal == (500.0, 500.0)


@pytest.mark.parametrize(
    'changes, words',
    [
        ({'matrix': np.diag([500.0, 0.0, 1.0])}, 'K: the focal length is 0'),
        ({'matrix': np.diag([0.0, 0.0, 1.0])}, 'not calibrated'),
        (
            {'projection': np.column_stack([K * [[-1], [1], [1]], np.zeros(3)])},
            'P: the focal length is -500',
        ),
        ({'projection': np.column_stack([2 * K, np.zeros(3)])}, 'last row of P'),
        (
            {'matrix': K * [[0.008, 1, 1], [1, 0.008, 1], [1, 1, 1]]},
            'millimeters instead of pixels',
        ),
        ({'matrix': K.T}, 'another order'),
        ({'matrix': K * [[2, 1, 2], [1, 2, 2], [1, 1, 1]]}, 'another size'),
        ({'matrix': K * [[100, 1, 1], [1, 100, 1], [1, 1, 1]]}, 'another size'),
        ({'matrix': K * [[1, 1, 1], [1, 5, 1], [1, 1, 1]]}, 'belong to no camera'),
        ({'width': 0}, 'image size is 0x480'),
        ({'height': 4}, '640x4 is too small'),
        ({'width': 640000}, 'too large'),
        ({'distortion': np.array([1e5, 0, 0, 0, 0])}, 'belongs to no lens'),
        ({'distortion': np.array([0.1, -0.2, 320, 240, 0])}, 'black or folded'),
        ({'rectification': np.diag([-1.0, 1.0, -1.0])}, 'black or folded'),
    ],
)
def test_numbers_of_no_camera_are_refused_with_their_likely_cause(tmp_path, changes, words):
    assert words in refusal(tmp_path, info(**changes))


def test_a_calibration_that_leaves_little_of_the_images_is_told():
    assert (
        Rectifier(CameraCalibration(**info(distortion=np.array([-0.3, 0.1, 0, 0, 0])))).problem
        == ''
    )
    strange = Rectifier(CameraCalibration(**info(distortion=np.array([5.0, 0, 0, 0, 0]))))
    assert 'of the rectified image are black or folded' in strange.problem


# ---- baselines in another unit


@pytest.mark.parametrize(
    'shift, words',
    [
        (-500 * 83.6, 'a baseline of 83.6 m: is the translation in millimeters?'),
        (-500 * 8.36, 'a baseline of 8.36 m: is the translation in centimeters?'),
        (-500 * 1400.0, '0.01 to 1 m'),
        (
            -BASELINE,
            'Tx of the right camera is -0.0836, P[3] must be '
            '-focal length times baseline, -41.8 for 0.0836 m',
        ),
        (+500 * BASELINE, 'do not swap left and right'),
    ],
)
def test_a_baseline_of_another_unit_is_refused(tmp_path, shift, words):
    assert words in refusal(tmp_path, info(), info(shift))


@pytest.mark.parametrize('baseline', [0.01, BASELINE, 1.0])
def test_baselines_of_heads_are_accepted(tmp_path, baseline):
    camera = load_head(head(tmp_path, info(), info(-500 * baseline))).camera
    assert camera.baseline == pytest.approx(baseline)


# ---- projections of zeros and numbers of coefficients


def test_a_projection_of_zeros_is_the_camera_matrix_for_one_camera(tmp_path):
    camera = load_head(head(tmp_path, info(projection=np.zeros((3, 4))))).camera
    assert camera.focal == (500.0, 500.0) and camera.center == (320.0, 240.0)
    assert not rectifiers_of(camera)[0].problem


def test_a_projection_of_zeros_is_refused_by_name_for_a_pair(tmp_path):
    text = refusal(tmp_path, info(), info(projection=np.zeros((3, 4))))
    assert 'right.yaml' in text and 'P is all zeros' in text


@pytest.mark.parametrize(
    'model, count, words',
    [
        (
            'plumb_bob',
            8,
            'plumb_bob has 0, 4 or 5 coefficients, not 8; 8 are those of rational_polynomial',
        ),
        ('equidistant', 5, 'equidistant has 4 coefficients, not 5; 5 are those of plumb_bob'),
        ('rational_polynomial', 4, '4 are those of plumb_bob or equidistant'),
        ('plumb_bob', 7, 'not 7'),
        ('fisheye', 4, "'fisheye' is not one of"),
    ],
)
def test_the_numbers_of_coefficients_of_a_model_are_told(tmp_path, model, count, words):
    wrong = info(distortion_model=model, distortion=np.full(count, 0.01))
    assert words in refusal(tmp_path, wrong)


# ---- the same of a camera_info message


def test_camera_info_messages_are_completed_and_refused_alike():
    from sensor_msgs.msg import CameraInfo

    from av_perception.ros.conversions import calibration_from_msg

    message = CameraInfo(
        width=640,
        height=480,
        distortion_model='plumb_bob',
        d=[0.0] * 5,
        k=K.ravel(),
        r=np.zeros(9),
        p=np.zeros(12),
    )
    found = calibration_from_msg(message, alone=True)
    assert found == CameraCalibration(**info())
    with pytest.raises(ValueError, match='P is all zeros'):
        calibration_from_msg(message)
    message.p = info()['projection'].ravel()
    with pytest.raises(ValueError, match='R is all zeros'):
        calibration_from_msg(message)
    message.r, message.d = np.eye(3).ravel(), [0.01] * 8
    with pytest.raises(ValueError, match='8 are those of rational_polynomial'):
        calibration_from_msg(message)


# ---- a stranger's own head


@pytest.mark.parametrize(
    'factor, words',
    [
        (1000, 'the outermost are 64.63 m apart: millimeters instead of meters?'),
        (100, 'the outermost are 6.463 m apart: centimeters instead of meters?'),
        (0.01, '0.0006463 m apart, 0.005 to 3 m are possible'),
        (1e6, '0.005 to 3 m are possible'),
    ],
)
def test_microphones_of_another_unit_are_refused(factor, words):
    with pytest.raises(ValueError, match=words.replace('?', r'\?')):
        MicrophoneArray(tuple(map(tuple, factor * SQUARE)))


@pytest.mark.parametrize('extent', [0.006, 0.065, 0.4, 2.9])
def test_microphones_of_heads_and_robots_are_accepted(extent):
    assert len(MicrophoneArray(((0.0, 0.0, 0.0), (extent, 0.0, 0.0))).positions) == 2


def test_a_profile_in_millimeters_is_refused():
    with pytest.raises(ValueError, match='a baseline of 70 m: millimeters instead of meters?'):
        CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5), 70.0)
    words = 'left camera lies 1300 m from the base frame: millimeters'
    with pytest.raises(ValueError, match=words):
        CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5), position=(0.0, 0.0, 1300.0))
    with pytest.raises(ValueError, match='array of microphones lies 310 m .* millimeters'):
        MicrophoneArray(tuple(map(tuple, SQUARE)), position=(0.0, 0.0, 310.0))
    with pytest.raises(ValueError, match='4.2 pixels .* millimeters instead of pixels'):
        CameraGeometry(640, 480, (4.2, 4.2), (319.5, 239.5))
    with pytest.raises(ValueError, match='are left and right swapped'):
        CameraGeometry(640, 480, (450.0, 450.0), (319.5, 239.5), -0.07)


def test_all_missing_keys_are_told_at_once(tmp_path):
    profile = {'microphones': {'sample_rate': 16000}, 'camera': {'width': 640, 'baseline': 0.1}}
    (tmp_path / 'mine.yaml').write_text(yaml.safe_dump(profile))
    with pytest.raises(UserError) as caught:
        load_head(str(tmp_path / 'mine.yaml'))
    assert (
        "the keys 'name', 'microphones.coordinates', 'camera.height', 'camera.focal', "
        "'camera.center' are missing"
    ) in str(caught.value)


def test_all_missing_keys_of_a_calibration_file_are_told_at_once(tmp_path):
    (tmp_path / 'left.yaml').write_text(yaml.safe_dump({'image_width': 640, 'image_height': 480}))
    words = (
        "'distortion_model', 'distortion_coefficients', 'camera_matrix', 'rectification_matrix', "
        "'projection_matrix' are"
    )
    with pytest.raises(UserError, match=words):
        CameraCalibration.read(tmp_path / 'left.yaml')


@pytest.mark.parametrize('height', ['41e999', '.inf', '.nan', '480.5'])
def test_the_height_of_an_image_is_a_whole_number(height, tmp_path):
    """Regression: an infinite one ended in an OverflowError."""
    path = tmp_path / 'left.yaml'
    CameraCalibration(**info()).write(path, 'left')
    text = path.read_text()
    assert 'image_height: 480\n' in text
    path.write_text(text.replace('image_height: 480\n', f'image_height: {height}\n'))
    with pytest.raises(UserError, match='image_height must be a whole number of pixels'):
        CameraCalibration.read(path)
