# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs with sub-commands import the one that is named, and list all of them."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from av_perception.cli.main import WITH_SUBCOMMANDS, build_parser, main


def subparser(parser, name):
    [action] = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices[name]


@pytest.mark.slow
@pytest.mark.parametrize('verb', WITH_SUBCOMMANDS)
def test_help_is_the_same_as_when_all_are_imported(verb):
    quick, whole = (subparser(build_parser(verb, words), verb) for words in ((verb,), None))
    assert quick.format_help() == whole.format_help()


def test_the_one_that_is_named_has_its_arguments_and_no_other_has():
    words = ['benchmark', 'tracker', '--json', 'a.json']
    parser = build_parser('benchmark', words)
    assert parser.parse_args(words).json == 'a.json'
    others = subparser(subparser(parser, 'benchmark'), 'hearing')
    assert [action.dest for action in others._actions] == ['help']


def test_what_is_none_of_them_is_refused_with_the_names(capsys):
    with pytest.raises(SystemExit):
        main(['benchmark', 'heering'])
    assert 'hearing' in capsys.readouterr().err


def test_help_is_there_at_once():
    """Regression: `benchmark --help` imported every benchmark, for two and a half seconds."""
    code = (
        'import sys; from av_perception.cli.main import build_parser; '
        'build_parser("benchmark", ["benchmark", "--help"]).format_help(); '
        'print([name for name in sys.modules if name.startswith("av_perception.benchmarks")])'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
