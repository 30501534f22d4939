# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images in which no pixel has to do with the next."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from av_perception.vision.image_check import is_noise

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize('shape', [(480, 640, 3), (480, 640), (240, 321, 1)])
def test_random_bytes_are_noise(shape):
    """Regression: a camera whose bytes were taken for another encoding was said to run well."""
    assert is_noise(RANDOM.integers(0, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize('sigma', [1.0, 3.0, 20.0])
def test_what_lenses_draw_is_not(sigma):
    texture = cv2.GaussianBlur(RANDOM.normal(0, 1, (480, 640)), (0, 0), sigma)
    image = np.clip(128 + 50 * texture / texture.std(), 0, 255).astype(np.uint8)
    assert not is_noise(image)
    noisy = np.clip(image + RANDOM.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
    assert not is_noise(noisy)


@pytest.mark.parametrize('level', [0, 16, 255])
def test_flat_and_dark_images_are_not(level):
    image = np.full((480, 640, 3), level, np.uint8)
    assert not is_noise(image)
    dark = np.clip(RANDOM.normal(10, 3, (480, 640, 3)), 0, 255).astype(np.uint8)
    assert not is_noise(dark)


def test_stripes_are_not():
    image = np.zeros((480, 640, 3), np.uint8)
    image[::2] = 128
    assert not is_noise(image)
