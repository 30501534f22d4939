# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Networks in TFLite files, by OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2

from av_perception.errors import UserError
from av_perception.files import opencv_name


def read_tflite(path: str | Path, otherwise: str) -> cv2.dnn.Net:
    """Read a network.

    Parameters
    ----------
    path
        The file.
    otherwise
        What to do where OpenCV is too old for it, in the message.

    Returns
    -------
    cv2.dnn.Net
        With all its outputs.

    Raises
    ------
    UserError
        When OpenCV reads no such files.
    cv2.error
        When it cannot read this one.
    """
    if not hasattr(cv2.dnn, 'readNetFromTFLite'):
        raise UserError(
            f'OpenCV {cv2.__version__} reads no TFLite models: install OpenCV 4.8 or later, '
            f'or {otherwise}'
        )
    # OpenCV 5 has a second engine, the default, which loses all but one of the outputs.
    engine = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, 'ENGINE_CLASSIC') else []
    return cv2.dnn.readNetFromTFLite(opencv_name(path), *engine)
