# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers in YAML files."""

from __future__ import annotations

import math

import pytest

from av_perception.config import read_yaml
from av_perception.robot_head import load_head


def test_numbers_with_an_exponent_and_no_point_are_numbers(tmp_path):
    """Regression: PyYAML takes 2285e-5 for text, and the head was refused."""
    path = tmp_path / 'mine.yaml'
    path.write_text(
        'name: mine\nbase_frame: base\nmicrophones:\n  frame: array\n  sample_rate: 16000\n'
        '  coordinates: [[2285e-5, -2285E-5, 0.0], [-2.285e-2, +2285e-5, 0]]\n'
    )
    wanted = ((0.02285, -0.02285, 0.0), (-0.02285, 0.02285, 0.0))
    assert load_head(str(path)).microphones.coordinates == wanted


@pytest.mark.parametrize(
    'text, value',
    [
        ('1e-3', 1e-3),
        ('-1E5', -1e5),
        ('+.5e2', 50.0),
        ('1.e3', 1000.0),
        ('2.5e3', 2500.0),
        ('1.0e+3', 1000.0),
        ('.inf', math.inf),
        ('12', 12),
        ("'1e-3'", '1e-3'),
        ('1e', '1e'),
        ('e5', 'e5'),
        ('1e-3 m', '1e-3 m'),
        ('nao', 'nao'),
        ('v1e3', 'v1e3'),
        ('.e3', '.e3'),
    ],
)
def test_what_reads_as_a_number_is_one_and_text_stays_text(text, value, tmp_path):
    (tmp_path / 'a.yaml').write_text(f'a: {text}\n')
    found = read_yaml(tmp_path / 'a.yaml')['a']
    assert found == value and type(found) is type(value)
