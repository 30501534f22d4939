# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Images as camera drivers publish them: every encoding against its definition, written out."""

from __future__ import annotations

import numpy as np
import pytest

from av_perception.ros.conversions.encodings import ENCODINGS, decode

HEIGHT = 12
WIDTH = 16


def colors():
    """(H, W, 3) BGR that changes slowly, so that halved resolutions of color lose little."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    blue = 40 + 6 * x
    green = 200 - 5 * y
    red = 90 + 3 * x + 4 * y
    return np.stack([blue, green, red], axis=2).astype(np.uint8)


def yuv(bgr):
    """Luma and chroma of ITU-R BT.601, limited range, (H, W) each."""
    b, g, r = (bgr[..., k].astype(float) / 255 for k in range(3))
    luma = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    u = 128 - 37.797 * r - 74.203 * g + 112.0 * b
    v = 128 + 112.0 * r - 93.786 * g - 18.214 * b
    return [np.rint(plane).astype(np.uint8) for plane in (luma, u, v)]


def packed(bgr, order):
    """Two pixels in four bytes, in an order such as YUYV."""
    luma, u, v = yuv(bgr)
    parts = {'U': u[:, ::2], 'V': v[:, ::2]}
    lumas = iter((luma[:, ::2], luma[:, 1::2]))
    pieces = [next(lumas) if name == 'Y' else parts[name] for name in order]
    return np.stack(pieces, axis=2).reshape(HEIGHT, -1)


def semi_planar(bgr, order):
    """All luma, then a half-size plane of chroma in pairs."""
    luma, u, v = yuv(bgr)
    planes = {'U': u[::2, ::2], 'V': v[::2, ::2]}
    chroma = np.stack([planes[name] for name in order], axis=2)
    return np.concatenate([luma, chroma.reshape(HEIGHT // 2, WIDTH)])


def mosaic(bgr, pattern):
    """One color of each pixel; the pattern names the first two rows."""
    raw = np.empty((HEIGHT, WIDTH), np.uint8)
    for place, name in enumerate(pattern):
        row, column = divmod(place, 2)
        raw[row::2, column::2] = bgr[row::2, column::2, 'bgr'.index(name)]
    return raw


def decoded(raw, encoding, padding=0, is_bigendian=False):
    rows = np.pad(raw.view(np.uint8).reshape(len(raw), -1), ((0, 0), (0, padding)))
    data = np.ascontiguousarray(rows).reshape(-1)
    return decode(data, (HEIGHT, WIDTH), rows.shape[1], encoding, is_bigendian)


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(
    ('encoding', 'order'),
    [('yuyv', 'YUYV'), ('yuv422_yuy2', 'YUYV'), ('uyvy', 'UYVY'), ('yuv422', 'UYVY')],
)
def test_packed_yuv(encoding, order, padding):
    bgr = colors()
    image = decoded(packed(bgr, order), encoding, padding)
    np.testing.assert_allclose(image.astype(int), bgr, atol=10)
    assert np.abs(image.astype(int) - bgr).mean() < 3


@pytest.mark.parametrize('padding', [0, 6])
@pytest.mark.parametrize(('encoding', 'order'), [('nv12', 'UV'), ('nv21', 'VU')])
def test_semi_planar_yuv(encoding, order, padding):
    bgr = colors()
    image = decoded(semi_planar(bgr, order), encoding, padding)
    assert np.abs(image.astype(int) - bgr).mean() < 4


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_bayer_patterns(pattern):
    bgr = colors()
    image = decoded(mosaic(bgr, pattern), f'bayer_{pattern}8')
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(image[inside].astype(int), bgr[inside], atol=6)
    deep = mosaic(bgr, pattern).astype('<u2') << 8
    np.testing.assert_array_equal(decoded(deep, f'bayer_{pattern}16'), image)


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize(
    ('encoding', 'pick'),
    [
        ('bgr{}', [0, 1, 2]),
        ('rgb{}', [2, 1, 0]),
        ('bgra{}', [0, 1, 2, 0]),
        ('rgba{}', [2, 1, 0, 0]),
        ('{}UC3', [0, 1, 2]),
        ('{}UC4', [0, 1, 2, 1]),
    ],
)
def test_colors(encoding, pick, bits):
    bgr = colors()
    raw = bgr[..., pick]
    if bits == 16:
        raw = raw.astype('<u2') << 8
    image = decoded(np.ascontiguousarray(raw), encoding.format(bits))
    np.testing.assert_array_equal(image, bgr)


@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1'])
@pytest.mark.parametrize('is_bigendian', [False, True])
def test_gray(encoding, is_bigendian):
    gray = colors()[..., 1]
    raw = gray
    if '16' in encoding:
        raw = (gray.astype(np.uint16) << 8 | 7).astype('>u2' if is_bigendian else '<u2')
    image = decoded(np.ascontiguousarray(raw), encoding, is_bigendian=is_bigendian)
    np.testing.assert_array_equal(image, np.repeat(gray[..., None], 3, axis=2))


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_what_is_cut_short_is_refused(encoding):
    """Whatever the encoding, never a crash or an image of nothing."""
    row_bytes = ENCODINGS[encoding].channels * WIDTH * ENCODINGS[encoding].bits // 8
    with pytest.raises(ValueError, match='too few'):
        decode(np.zeros(7, np.uint8), (HEIGHT, WIDTH), row_bytes, encoding, False)
    with pytest.raises(ValueError, match='too few'):
        decode(np.zeros(10**5, np.uint8), (HEIGHT, WIDTH), row_bytes - 1, encoding, False)


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('size', [(0, 0), (0, 16), (2, 2)])
def test_tiny_images_are_refused_or_decoded(encoding, size):
    data = np.zeros(10**4, np.uint8)
    try:
        image = decode(data, size, 256, encoding, False)
    except ValueError:
        return
    assert image.shape == (*size, 3) and min(size) > 0


@pytest.mark.parametrize('encoding', ['yuyv', 'nv12', 'bayer_rggb8'])
def test_an_odd_size_is_refused(encoding):
    with pytest.raises(ValueError, match='even size, not 15x12'):
        decode(np.zeros(10**4, np.uint8), (12, 15), 64, encoding, False)


def test_no_encoding_of_sensor_msgs_is_refused_by_accident():
    with pytest.raises(ValueError, match="encoding '32FC1' is not one of .*mono8"):
        decode(np.zeros(10**4, np.uint8), (12, 16), 64, '32FC1', False)
