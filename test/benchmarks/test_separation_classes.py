# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The comparison by class of scene, against figures that were summed up by hand."""

from av_perception.benchmarks.separation_classes import class_cells, class_table
from av_perception.benchmarks.separation_scores import SeparationRow

NAN = float('nan')
CLASSES = {'a': 'sitting', 'b': 'sitting', 'c': 'moving'}


def row(scene, method, gain, least, silent=NAN, stoi_gain=0.1, least_stoi_gain=0.05):
    return SeparationRow(
        scene,
        method,
        si_sdr_db=gain,
        gain_db=gain,
        least_gain_db=least,
        sdr_db=5.0,
        pesq=1.5,
        stoi=0.8,
        cpu=0.2,
        least_stoi_gain=least_stoi_gain,
        silent_db=silent,
        stoi_gain=stoi_gain,
    )


ROWS = [
    row('a', 'microphone', 0.0, 0.0),
    row('a', 'streams', 4.0, 3.5, silent=-30.0, stoi_gain=0.2, least_stoi_gain=-0.01),
    row('b', 'microphone', 0.0, 0.0),
    row('b', 'streams', 8.0, 2.0, silent=-20.0),
    row('c', 'microphone', 0.0, 0.0),
    row('c', 'streams', 5.0, 4.0),
    row('c', 'ideal', 14.0, 13.0),
    row('a', 'ideal', NAN, NAN),
]


def test_means_spread_and_the_worst_of_each_class():
    assert class_cells(ROWS, CLASSES, 'microphone') == [
        ['sitting', 'streams', '2', '6.0', '2.0', '4.0', '2.0', '+0.15', '-0.01', '-20'],
        ['moving', 'streams', '1', '5.0', '0.0', '5.0', '4.0', '+0.10', '+0.05', ''],
        ['moving', 'ideal', '1', '14.0', '0.0', '14.0', '13.0', '+0.10', '+0.05', ''],
    ]


def test_the_table_has_a_line_for_each():
    lines = class_table(ROWS, CLASSES, 'microphone').splitlines()
    assert len(lines) == 2 + 3 and len({line.count('|') for line in lines}) == 1
    assert lines[2].startswith('| sitting | streams | 2 | 6.0 |')
