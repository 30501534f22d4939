# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well microphone positions can be found, by place and length of the loudspeaker's sound.

Microphones are planted, the profile is 2 cm off as a whole, time differences have 15 us of noise.
The error is that of a microphone's position (RMS over seeds and microphones); the bound is the
least that any unbiased use of the same data can reach (Cramer-Rao, with the priors). The last
column is what localization feels: the error of predicted time differences 1 to 3 m ahead.

For example:
  av-perception benchmark microphone-calibration --json calibration.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from rich.progress import track
from rich.table import Table

from av_perception.benchmarks.calibration_accuracy import (
    ARRAYS,
    NOISE_S,
    PROTOCOLS,
    RATE_HZ,
    TARGET_M,
    CalibrationResult,
    measure,
)
from av_perception.cli.output import check_writable, wide_console, write_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the benchmark."""
    parser.add_argument(
        '--seeds', type=int, default=40, help='calibrations per row (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    check_writable(args.json)
    console = wide_console()
    work = [(name, protocol) for name in ARRAYS for protocol in PROTOCOLS]
    with_bar = track(work, description='calibrating', console=console, transient=True)
    results = [measure(name, protocol, max(args.seeds, 1)) for name, protocol in with_bar]
    console.print(_table(results))
    if args.json:
        figures = {
            'seeds': args.seeds,
            'noise_us': 1e6 * NOISE_S,
            'target_mm': 1e3 * TARGET_M,
            'results': [asdict(result) for result in results],
        }
        write_json(args.json, figures)
    return 0


def _table(results: list[CalibrationResult]) -> Table:
    table = Table(
        title=f'30 places, {1e6 * NOISE_S:.0f} us of noise in every time difference, '
        f'{RATE_HZ} of them a second'
    )
    table.add_column('microphones')
    for heading in ('distance', 'to the sides', 'sound at a place', 'error', 'bound'):
        table.add_column(heading, justify='right')
    for heading in ('weakest direction measured', 'ITD error ahead'):
        table.add_column(heading, justify='right')
    for r in results:
        sound = f'{r.protocol.seconds:.0f} s' if r.protocol.seconds >= 1 else 'one difference'
        color = 'green' if r.error_mm <= 1e3 * TARGET_M else 'yellow'
        near, far = r.protocol.ranges
        table.add_row(
            r.array,
            f'{near:.1f} to {far:.1f} m',
            f'{r.protocol.azimuth_deg:.0f}°',
            sound,
            f'[{color}]{r.error_mm:.1f} mm',
            f'{r.bound_mm:.1f} mm',
            f'{r.weakest_share:.0%}',
            f'{r.itd_error_us:.1f} us',
        )
    return table
