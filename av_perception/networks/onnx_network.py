# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Runs an ONNX network on the CPU.

With ONNX Runtime where it and the package onnx are installed, else with OpenCV. Both give the same
numbers; ONNX Runtime takes about two thirds of the time, which decides whether a camera's rate is
held.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from av_perception.errors import UserError
from av_perception.files import opencv_name

Size = int | None  # None: any
Shape = tuple[Size, int, Size, Size]  # of blobs: images at a time, channels, height, width


def load_network(model: str | Path | bytes, purpose: str) -> cv2.dnn.Net:
    """Load an ONNX network with OpenCV.

    Parameters
    ----------
    model
        An ONNX file or its content.
    purpose
        What the network is for, in messages.

    Raises
    ------
    UserError
        When the file is absent or no network; it names the file and its purpose.
    """
    path = 'in memory' if isinstance(model, bytes) else checked_path(model, purpose)
    try:
        if isinstance(model, bytes):
            return cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
        return cv2.dnn.readNetFromONNX(opencv_name(path))
    except cv2.error as error:
        raise UserError(
            f'the {purpose} model file {path} is no ONNX network that OpenCV '
            f'{cv2.__version__} can read'
        ) from error


def checked_path(path: str | Path, purpose: str) -> Path:
    """Check that a model file exists. Raises UserError."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f'the {purpose} model file {path} does not exist: correct its path')
    return path


class OpenCvNetwork:
    """A network with one input by OpenCV's DNN module.

    Parameters
    ----------
    model
        An ONNX file or its content.
    purpose
        What the network is for, in messages.

    Attributes
    ----------
    outputs
        Names of the outputs.
    """

    def __init__(self, model: str | Path | bytes, purpose: str):
        self._network = load_network(model, purpose)
        self.outputs = tuple(self._network.getUnconnectedOutLayersNames())

    def run(self, blob: np.ndarray, outputs: tuple[str, ...]) -> list[np.ndarray]:
        """Compute the named outputs for a (1, channels, height, width) float32 blob."""
        self._network.setInput(blob)
        return list(self._network.forward(outputs))


class OnnxRuntimeNetwork:
    """A network with one input by ONNX Runtime, on one thread.

    Parameters
    ----------
    model
        An ONNX file, or the content of one that has that shape already.
    purpose
        What the network is for, in messages.
    shape
        Of the blobs: (images, channels, height, width); None for any number.

    Attributes
    ----------
    outputs
        Names of the outputs.

    Raises
    ------
    ImportError
        When one of the two packages is missing.
    UserError
        When the file is absent or no network.
    """

    def __init__(self, model: str | Path | bytes, purpose: str, shape: Shape):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        path = 'in memory' if isinstance(model, bytes) else checked_path(model, purpose)
        try:
            content = model if isinstance(model, bytes) else model_for_shape(Path(path), shape)
            self._session = onnxruntime.InferenceSession(
                content, options, providers=['CPUExecutionProvider']
            )
        except ImportError:
            raise
        except Exception as error:  # both packages raise a family of their own for a damaged file
            raise UserError(
                f'the {purpose} model file {path} is no ONNX network that ONNX Runtime '
                f'{onnxruntime.__version__} can read'
            ) from error
        self._input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())

    def run(self, blob: np.ndarray, outputs: tuple[str, ...]) -> list[np.ndarray]:
        """Compute the named outputs for a float32 blob of the shape given at the start."""
        return self._session.run(list(outputs), {self._input: blob})


def model_for_shape(path: Path, shape: Shape) -> bytes:
    """Fix the shape of a network's input, and mark its weights as constants.

    Parameters
    ----------
    path
        An ONNX file, exported with whatever shape.
    shape
        Of the input: (images, channels, height, width); None for any number.

    Returns
    -------
    bytes
        The content of an ONNX file.
    """
    import onnx

    model = onnx.load(str(path))
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [item for item in model.graph.input if item.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    names = ('images', 'channels', 'height', 'width')
    for name, dimension, size in zip(
        names, model.graph.input[0].type.tensor_type.shape.dim, shape
    ):
        if size is None:
            dimension.dim_param = name
        else:
            dimension.dim_value = size
    # The shapes of what follows are for ONNX Runtime to infer.
    for output in model.graph.output:
        for index, dimension in enumerate(output.type.tensor_type.shape.dim):
            dimension.dim_param = f'{output.name}_{index}'
    del model.graph.value_info[:]
    return model.SerializeToString()


def make_network(
    model: str | Path | bytes, purpose: str, shape: Shape
) -> OnnxRuntimeNetwork | OpenCvNetwork:
    """Make the faster of the two that this machine has and that reads the model.

    Parameters
    ----------
    model
        An ONNX file, or the content of one that has that shape already.
    purpose
        What the network is for, in messages.
    shape
        Of the blobs: (images, channels, height, width); None for any number.

    Raises
    ------
    UserError
        When the file is missing or unreadable.
    """
    try:
        return OnnxRuntimeNetwork(model, purpose, shape)
    except (ImportError, UserError):
        # The last ONNX Runtime for Ubuntu 22.04 refuses newer models that its OpenCV reads.
        return OpenCvNetwork(model, purpose)
