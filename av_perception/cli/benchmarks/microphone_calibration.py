# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""How well microphone positions can be found, by where the loudspeaker was and how long it sounded.

Microphones are planted, the profile is 2 cm off as a whole, time differences have 15 us of noise. The error is that of a microphone's position (RMS
over seeds and microphones); the bound is the least any unbiased use of the same data could reach (Cramer-Rao, with the priors). The last column
is what localisation feels: the error of predicted time differences 1 to 3 m ahead.

For example:
  av-perception benchmark microphone-calibration --json calibration.json
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.calibration.microphone_calibration import (
    Calibration,
    CalibrationConfig,
    Measurements,
    calibrate,
)
from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.two_microphones.microphone_pair import speed_of_sound

_NOISE_S, _RATE_HZ, _TARGET_M, _PROFILE_SD_M = 15e-6, 50, 0.005, 0.02
ARRAYS = {
    'pair, 12 cm': np.array([[0.0, 0.06, 0.0], [0.0, -0.06, 0.0]]),
    'square, 7 cm': np.array(
        [[0.035, 0.035, 0.0], [-0.035, 0.035, 0.0], [-0.035, -0.035, 0.0], [0.035, -0.035, 0.0]]
    ),
}


@dataclass(frozen=True)
class Protocol:
    """Where the loudspeaker is held: distances [m], up to which azimuth [deg] to both sides, seconds of sound at each of `places`."""

    ranges: tuple[float, float]
    azimuth_deg: float
    seconds: float
    places: int = 30


PROTOCOLS = (
    Protocol((0.2, 0.6), 35, 0.02),
    Protocol((0.2, 0.6), 35, 1.0),
    Protocol((0.2, 0.6), 60, 1.0),
    Protocol((0.2, 0.6), 90, 1.0),
    Protocol((0.2, 0.6), 35, 4.0),
    Protocol((0.5, 2.0), 35, 1.0),
    Protocol((0.5, 2.0), 60, 1.0),
)


@dataclass(frozen=True)
class Result:
    """Position error and bound [mm] of a microphone, share of the weakest direction that the measurements tell, ITD error [us]."""

    array: str
    protocol: Protocol
    error_mm: float
    bound_mm: float
    weakest_share: float
    itd_error_us: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--seeds', type=int, default=40, help='calibrations per row (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')


def run(args: argparse.Namespace) -> int:
    """Measures, prints the table, writes the file."""
    check_writable(args.json)
    console, work = wide_console(), [(name, protocol) for name in ARRAYS for protocol in PROTOCOLS]
    results = [
        measure(name, protocol, max(args.seeds, 1))
        for name, protocol in track(
            work, description='calibrating', console=console, transient=True
        )
    ]
    console.print(_table(results))
    if args.json:
        write_json(
            args.json,
            {
                'seeds': args.seeds,
                'noise_us': 1e6 * _NOISE_S,
                'target_mm': 1e3 * _TARGET_M,
                'results': [asdict(r) for r in results],
            },
        )
    return 0


def measure(name: str, protocol: Protocol, seeds: int) -> Result:
    """One row: `seeds` calibrations of one array."""
    microphones = ARRAYS[name]
    config = CalibrationConfig(
        position_sd=_PROFILE_SD_M * np.sqrt(len(microphones))
    )  # the mean of M positions is then known to the profile's sd
    fits = [
        calibrate(*planted(microphones, protocol, np.random.default_rng(seed)), config)
        for seed in range(seeds)
    ]
    errors = np.array([np.linalg.norm(fit.positions - microphones, axis=1) for fit in fits])
    bound = np.mean([(fit.position_sd**2).sum(1) for fit in fits])
    itd_error = np.sqrt(np.mean([_itd_error(fit, microphones) ** 2 for fit in fits]))
    return Result(
        name,
        protocol,
        1e3 * float(np.sqrt(np.mean(errors**2))),
        1e3 * float(np.sqrt(bound)),
        float(np.mean([fit.data_share[0] for fit in fits])),
        1e6 * float(itd_error),
    )


def planted(
    microphones: np.ndarray, protocol: Protocol, rng: np.random.Generator
) -> tuple[Measurements, np.ndarray]:
    """Measurements of microphones (M, 3), and the profile's positions, which are off."""
    azimuth, elevation = np.radians(
        rng.uniform(-1, 1, (2, protocol.places))
        * [[protocol.azimuth_deg], [min(40, protocol.azimuth_deg)]]
    )
    sources = rng.uniform(*protocol.ranges, (protocol.places, 1)) * direction_from_angles(
        azimuth, elevation
    )
    arrival = np.linalg.norm(sources[:, None] - microphones, axis=2) / speed_of_sound()
    frames = max(1, round(protocol.seconds * _RATE_HZ))
    arrival = arrival + rng.normal(0, _NOISE_S / np.sqrt(2), (frames, *arrival.shape)).mean(
        0
    )  # so that a difference has the noise
    pairs = np.stack(np.triu_indices(len(microphones), 1), axis=1)
    itds = arrival[:, pairs[:, 0]] - arrival[:, pairs[:, 1]]
    profile = (
        microphones + rng.normal(0, _PROFILE_SD_M, 3) + rng.normal(0, 0.0015, microphones.shape)
    )
    return Measurements(
        sources, pairs, itds, np.full(itds.shape, _NOISE_S / np.sqrt(frames))
    ), profile


def _itd_error(fit: Calibration, microphones: np.ndarray) -> float:
    """RMS error [s] of the first pair's differences for points 1 to 3 m ahead."""
    ahead = np.array(
        [[r, r * side, 0.1] for r in (1.0, 2.0, 3.0) for side in (-0.6, -0.2, 0.2, 0.6)]
    )
    first, second = (
        np.linalg.norm(ahead[:, None] - places, axis=2).T[:2]
        for places in (fit.positions, microphones)
    )
    return (
        float(np.sqrt(np.mean(((first[0] - first[1]) - (second[0] - second[1])) ** 2)))
        / speed_of_sound()
    )


def _table(results: list[Result]) -> Table:
    table = Table(
        title=f'30 places, {1e6 * _NOISE_S:.0f} us of noise in every time difference, {_RATE_HZ} of them a second'
    )
    for heading in (
        'microphones',
        'distance',
        'to the sides',
        'sound at a place',
        'error',
        'bound',
        'weakest direction measured',
        'ITD error ahead',
    ):
        table.add_column(heading, justify='left' if heading == 'microphones' else 'right')
    for r in results:
        sound = f'{r.protocol.seconds:.0f} s' if r.protocol.seconds >= 1 else 'one difference'
        color = 'green' if r.error_mm <= 1e3 * _TARGET_M else 'yellow'
        table.add_row(
            r.array,
            f'{r.protocol.ranges[0]:.1f} to {r.protocol.ranges[1]:.1f} m',
            f'{r.protocol.azimuth_deg:.0f}°',
            sound,
            f'[{color}]{r.error_mm:.1f} mm',
            f'{r.bound_mm:.1f} mm',
            f'{r.weakest_share:.0%}',
            f'{r.itd_error_us:.1f} us',
        )
    return table
