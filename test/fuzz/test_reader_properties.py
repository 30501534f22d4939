# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Arbitrary bytes and text in the place of any file: read, or told in one line."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from drawn import given, st
from mutations import ALL_READERS, is_one_line

from av_perception.array_files import arrays_of
from av_perception.config import dump_yaml, load_yaml
from av_perception.errors import UserError
from av_perception.files import check_image, is_inside

# What files begin with, so that parsers go on.
STARTS = st.sampled_from(
    [
        b'',
        b'PK\x03\x04',
        b'\x93NUMPY\x01\x00',
        b'RIFF\xff\xff\xff\x7fWAVEfmt ',
        b'fLaC',
        b'\x89HDF\r\n\x1a\n',
        b'\x89PNG\r\n\x1a\n',
        b'\xff\xd8\xff',
        b'[Sequence]\n',
        b'a: &a\n',
        b'start,end,x,y,z,azimuth_deg,elevation_deg\n',
        b'time,id,x,y,z,speaking,visible\n',
    ]
)
TEXT = st.text(st.sampled_from('0123456789.,;:-+eE{}[]&*!<?|>"\'\n\t nax²é\ufeff'), max_size=60)
CONTENT = st.builds(
    lambda start, rest: start + rest, STARTS, st.binary(max_size=80) | TEXT.map(str.encode)
)
# These start decoders or pipelines, at each example.
LEFT_OUT = {'mcap', 'db3', 'video', 'mkv', 'played video', 'clip'}


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', [name for name in ALL_READERS if name not in LEFT_OUT])
def test_arbitrary_bytes_are_read_or_told_in_one_line(name, tmp_path):
    file_name, _, read = ALL_READERS[name]
    path = tmp_path / file_name

    @given(CONTENT)
    def check(content):
        path.write_bytes(content)
        try:
            read(path)
        except UserError as error:
            assert is_one_line(error), error

    check()


NAMES = st.text('abc/._', min_size=1, max_size=8)
KINDS = st.sampled_from(['<f8', '<f4', '<i8', '|b1', '|u1', '<c8', '<U3', '<f2'])
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@given(st.dictionaries(NAMES, st.tuples(KINDS, SHAPES), max_size=3), st.booleans(), st.binary())
def test_archives_of_arrays_come_back_as_numpy_reads_them(made, packed, content):
    arrays = {}
    for name, (kind, shape) in made.items():
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        filled = (content + bytes(size))[:size] if kind != '<U3' else bytes(size)
        arrays[name] = np.frombuffer(filled, kind).reshape(shape)
    file = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(file, **arrays)
    found = arrays_of(file.getvalue())
    assert found.keys() == arrays.keys()
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        assert found[name].tobytes() == values.tobytes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda part: st.lists(part, max_size=3) | st.dictionaries(TEXT, part, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_yaml_that_is_written_is_read(value):
    assert load_yaml(dump_yaml(value)) == value


@given(st.lists(st.sampled_from(['..', '.', 'a', 'b.yaml', '']), min_size=1, max_size=6))
def test_a_name_that_is_inside_never_leaves_the_folder(parts):
    depth = 0
    name = '/'.join(parts)
    for part in parts:
        depth += {'..': -1, '.': 0, '': 0}.get(part, 1)
    assert not is_inside(name) or depth >= 0
    assert is_inside(name) or '..' in parts or name.startswith('/')


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.binary(max_size=9))
def test_an_image_is_refused_by_what_its_header_claims(width, height, rest):
    header = b'\x89PNG\r\n\x1a\n' + struct.pack('>I4sII', 13, b'IHDR', width, height) + rest
    try:
        check_image(header)
    except ValueError:
        assert width * height > 2**26
    else:
        assert width * height <= 2**26


@given(STARTS, st.binary(max_size=120))
def test_any_bytes_may_be_asked_for_the_size_of_their_image(start, rest):
    try:
        check_image(start + rest)
    except ValueError as error:
        assert 'pixels' in str(error)
