# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the whole graph says of what was measured."""

from __future__ import annotations

import argparse
import math

from rich.console import Console

from av_perception.cli.benchmarks import end_to_end
from av_perception.cli.benchmarks.end_to_end import Result


def arguments(*words):
    parser = argparse.ArgumentParser()
    end_to_end.add_arguments(parser)
    return parser.parse_args(words)


def result(cores, *extra, latency_ms=(30.0, 40.0), voice_ms=()):
    return Result(
        'composed',
        extra,
        list(voice_ms),
        list(latency_ms),
        images=250,
        seconds=10.0,
        cpu_s={'tracker': 2.0, 'composed': 10.0 * cores - 2.0},
        peak_mib={'tracker': 0.0, 'composed': 300.0},
    )


def printed(figures):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(end_to_end._table(figures, 0))
    return capture.get()


def test_each_option_has_a_row_and_all_of_them_one():
    assert [r.name for r in end_to_end._wanted(arguments())] == ['composed', 'processes']
    wanted = end_to_end._wanted(arguments('--ways', 'composed', '--voices'))
    assert [r.name for r in wanted] == ['composed', 'composed + voices']
    wanted = end_to_end._wanted(arguments('--ways', 'composed', '--options'))
    assert [r.extra for r in wanted] == [
        (),
        ('voices',),
        ('head_pose',),
        ('attention',),
        ('voices', 'head_pose', 'attention'),
    ]


def test_the_age_of_voices_is_told_beside_that_of_statuses():
    figures = [result(0.8).figures, result(0.9, 'voices', voice_ms=[50.0, 52.0, 54.0]).figures]
    text = printed(figures)
    assert 'sample to voice' in text and '52 ms, 99 % within 54 ms' in text
    assert 'sample to voice' not in printed(figures[:1])
    assert figures[0]['voice_median_ms'] is None
    assert 'none came' in printed([result(0.9, 'voices').figures])


def test_the_dearest_option_is_named_first_and_switched_off_where_all_are_too_much():
    rows = [result(0.6), result(0.75, 'voices'), result(0.65, 'attention')]
    advice = end_to_end._advice([r.figures for r in rows])
    assert advice == [
        'voices:=true costs 0.15 of a core.',
        'attention:=true costs 0.05 of a core.',
    ]
    rows.append(result(0.95, 'voices', 'attention'))
    assert 'switch off voices first' in end_to_end._advice([r.figures for r in rows])[-1]
    assert end_to_end._advice([rows[-1].figures]) == []
    rows[1].images_lost = 30  # what is not looked at costs nothing
    assert end_to_end._advice([r.figures for r in rows]) == [
        'Images were lost: what the options cost cannot be told from what was left.'
    ]


def test_what_is_too_slow_or_loses_an_image_is_not_fast_enough():
    assert end_to_end.is_fast_enough(result(0.8).figures)
    assert not end_to_end.is_fast_enough(result(1.0).figures)
    assert not end_to_end.is_fast_enough(result(0.8, latency_ms=[30.0] * 9 + [400.0]).figures)
    silent = result(0.8, latency_ms=()).figures
    assert math.isinf(silent['median_ms']) and not end_to_end.is_fast_enough(silent)
    lost = result(0.8)
    lost.images_lost = 1
    assert not end_to_end.is_fast_enough(lost.figures)
