# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Numbers in YAML files, and the comments of a configuration's fields."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass, make_dataclass

import pytest
import yaml

from av_perception.config import (
    MAX_YAML_BRACKETS,
    dump_yaml,
    field_comment,
    field_comments,
    load_yaml,
    read_yaml,
)
from av_perception.robot_head import load_head


@pytest.mark.parametrize('word', ['0E0', '1e5', '-2e+3', '1e-3 m', '7', 'on', '~', ''])
def test_a_word_that_looks_like_a_number_comes_back_as_a_word(word):
    """A head called 1e5 was written unquoted into recordings, and read as a number."""
    assert load_yaml(dump_yaml({'head': word, word: [1e5]})) == {'head': word, word: [1e5]}


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


@dataclass(frozen=True)
class Commented:
    """Fields of all kinds; the comment that stands #: here describes none."""

    #: How loud, in dB.
    level: float = 0.0
    # Not for users.
    hidden: int = 1
    #: Two lines
    #: make one text.
    pair: tuple[int, int] = (1, 2)
    plain: str = '#: no comment'

    #: A blank line parts a comment from its field.

    far: bool = True


@dataclass(frozen=True)
class CommentedToo(Commented):
    #: Said anew.
    level: float = 1.0


def test_the_comments_directly_above_fields_describe_them():
    assert field_comments(Commented) == {
        'level': 'How loud, in dB.',
        'pair': 'Two lines make one text.',
    }


RAGGED = '''
from dataclasses import dataclass

@dataclass
class Ragged:
    """Its text
goes back to the margin."""

    #: Behind it.
    first: int = 1
# So does a comment.
    #: Behind that.
    second: int = 2
'''


def test_what_stands_at_the_margin_does_not_end_a_class(tmp_path, monkeypatch):
    @dataclass
    class Inner:
        #: In a function.
        value: int = 1

    (tmp_path / 'ragged_configuration.py').write_text(RAGGED)
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module('ragged_configuration').Ragged
    assert field_comments(kind) == {'first': 'Behind it.', 'second': 'Behind that.'}
    assert field_comments(Inner) == {'value': 'In a function.'}


def test_inherited_fields_keep_their_comments():
    assert field_comments(CommentedToo) == {
        'level': 'Said anew.',
        'pair': 'Two lines make one text.',
    }


def test_a_field_without_a_comment_is_named():
    with pytest.raises(LookupError, match=r'Commented\.plain has no comment: write .* #:'):
        field_comment(Commented, 'plain')


def test_a_class_without_source_is_named():
    made = make_dataclass('Sourceless', ['level'])
    made.__module__ = 'builtins'
    with pytest.raises(LookupError, match='source of Sourceless is not there'):
        field_comments(made)


def test_brackets_in_each_other_are_counted_before_they_cost_time():
    """Regression: a thousand open brackets took a second, as each looks ahead past all others."""
    deepest = '[' * MAX_YAML_BRACKETS + ']' * MAX_YAML_BRACKETS
    assert load_yaml(deepest) != []
    for opening in '[{':
        with pytest.raises(yaml.YAMLError, match='nested too deeply'):
            load_yaml(opening * (MAX_YAML_BRACKETS + 1))
