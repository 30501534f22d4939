# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""TFLite files by OpenCV."""

from __future__ import annotations

import cv2
import pytest

from av_perception.errors import UserError
from av_perception.networks.tflite_network import read_tflite


def test_an_opencv_that_reads_no_tflite_is_told_with_what_to_do(monkeypatch, tmp_path):
    monkeypatch.delattr(cv2.dnn, 'readNetFromTFLite', raising=False)
    with pytest.raises(UserError, match='OpenCV 4.8 or later, or leave head_pose out'):
        read_tflite(tmp_path / 'any.tflite', 'leave head_pose out')


@pytest.mark.parametrize('engines', [(), (1,)])
def test_opencv_5_reads_with_the_engine_that_keeps_all_outputs(monkeypatch, tmp_path, engines):
    asked = []
    monkeypatch.setattr(
        cv2.dnn, 'readNetFromTFLite', lambda *arguments: asked.append(arguments), raising=False
    )
    monkeypatch.delattr(cv2.dnn, 'ENGINE_CLASSIC', raising=False)
    for engine in engines:
        monkeypatch.setattr(cv2.dnn, 'ENGINE_CLASSIC', engine, raising=False)
    read_tflite(tmp_path / 'net.tflite', '')
    assert asked == [(str(tmp_path / 'net.tflite'), *engines)]
