# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Time of one tracker step, and how it grows with people, faces and sub-bands.

People stand in front of a stereo head; some faces are false; one person speaks. The nominal size is 8 people, 10 faces, 16 sub-bands of
48 components, 32 pieces, 4 iterations; the step is to take 2 ms in the median and 5 ms at the 99th percentile on one core.
Set OMP_NUM_THREADS=1 to measure one core.

For example:
  OMP_NUM_THREADS=1 av-perception benchmark tracker --steps 500 --json tracker.json --plot tracker.png
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import time
from dataclasses import asdict, dataclass
from types import SimpleNamespace

import numpy as np
from rich.progress import track
from rich.table import Table

from av_perception.cli.output import check_writable, wide_console, write_json
from av_perception.geometry.rigid_transform import direction_from_angles
from av_perception.interfaces import AudioFeatures, Face, VisualFeatures
from av_perception.robot_head.profile import HeadProfile, load_head
from av_perception.tracking.inference.variational_frame import InferenceConfig
from av_perception.tracking.tracker import Tracker, TrackerConfig

_MEDIAN_MS, _P99_MS = 2.0, 5.0
_PERIOD_NS, _WARM_UP = 40_000_000, 15


@dataclass(frozen=True)
class Size:
    """Size of the problem; faces beyond the people are false."""

    people: int = 8
    faces: int = 10
    subbands: int = 16
    components: int = 48
    pieces: int = 32
    iterations: int = 4


SWEEPS = {
    'people': [Size(people=n, faces=max(n, 10)) for n in (1, 2, 4, 8, 16)],
    'faces': [Size(people=min(n, 8), faces=n) for n in (1, 5, 10, 20)],
    'subbands': [Size(subbands=n) for n in (4, 8, 16, 32)],
}


@dataclass(frozen=True)
class Timing:
    """Milliseconds per step of one size; tracks: how many people were in fact tracked."""

    size: Size
    median_ms: float
    p99_ms: float
    tracks: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Command line of the benchmark."""
    parser.add_argument(
        '--steps', type=int, default=400, help='timed steps per size (default: %(default)s)'
    )
    parser.add_argument(
        '--head', default='simulated', help='head profile with a camera (default: %(default)s)'
    )
    parser.add_argument('--json', metavar='FILE', help='write the figures to FILE')
    parser.add_argument('--plot', metavar='FILE', help='draw the growth to FILE (png, svg, pdf)')


def run(args: argparse.Namespace) -> int:
    """Measures, prints the tables, writes the files."""
    check_writable(args.json)
    head, console = load_head(args.head), wide_console()
    steps = max(args.steps, 20)
    nominal = measure(Size(), head, steps)
    sweeps = {
        name: [
            measure(size, head, steps)
            for size in track(sizes, description=f'by {name}', console=console, transient=True)
        ]
        for name, sizes in SWEEPS.items()
    }
    console.print(_nominal_table(nominal))
    for name, timings in sweeps.items():
        console.print(_sweep_table(name, timings))
    if args.json:
        write_json(
            args.json,
            {
                'nominal': asdict(nominal),
                'target_ms': {'median': _MEDIAN_MS, 'p99': _P99_MS},
                'sweeps': {name: [asdict(t) for t in timings] for name, timings in sweeps.items()},
            },
        )
    if args.plot:
        _plot(sweeps, args.plot)
    return 0


def measure(size: Size, head: HeadProfile, steps: int) -> Timing:
    """Times `steps` steps after the people are born; every round of the inference runs (no early stop)."""
    rng = np.random.default_rng(0)
    config = dataclasses.replace(
        TrackerConfig(), inference=InferenceConfig(iterations=size.iterations, tolerance=0.0)
    )
    acoustic_map = _planted_map(size, rng)
    tracker, places = Tracker(config, head, acoustic_map), _places(size.people)
    times = []
    gc.collect()
    for index in range(_WARM_UP + steps):
        stamp_ns = (index + 1) * _PERIOD_NS
        visual, audio = (
            _image(stamp_ns, places, size.faces, head, rng),
            _speech(stamp_ns, places[0], acoustic_map, rng),
        )
        start = time.perf_counter()
        frame = tracker.step(stamp_ns, visual, audio)
        times.append((time.perf_counter() - start) * 1e3)
    timed = times[_WARM_UP:]
    return Timing(
        size, float(np.median(timed)), float(np.percentile(timed, 99)), len(frame.tracks)
    )


def _places(people: int) -> np.ndarray:
    """(people, 3) positions [m] in rows of eight, in view."""
    index = np.arange(people)
    depth = 2.0 + 1.5 * (index // 8)
    return np.stack([depth, depth * 0.15 * (index % 8 - 3.5), np.full(people, 0.1)], axis=1)


def _image(
    stamp_ns: int, places: np.ndarray, faces: int, head: HeadProfile, rng
) -> VisualFeatures:
    """The people's faces (at most `faces`) with 2 cm of noise and false ones for the rest."""
    false = np.stack(
        [rng.uniform(1, 5, faces), rng.uniform(-0.5, 0.5, faces), rng.uniform(-0.3, 0.3, faces)],
        axis=1,
    )
    false[:, 1:] *= false[:, :1]
    base = np.concatenate([places, false])[:faces] + rng.normal(0, 0.02, (faces, 3))
    optical = head.camera.base_from_optical.inverse().apply(base)
    corners = head.camera.project(optical)
    return VisualFeatures(
        stamp_ns,
        tuple(
            Face(
                np.array([*corner, 50.0, 50.0]), 0.9, np.zeros((5, 2)), position, np.eye(3) * 4e-4
            )
            for corner, position in zip(corners, optical)
        ),
    )


def _planted_map(size: Size, rng) -> SimpleNamespace:
    """An acoustic map of the given size with random smooth features; only its shape matters for speed."""
    shape = (size.subbands, size.pieces)
    centers = direction_from_angles(
        2 * np.pi * np.arange(size.pieces) / size.pieces, np.zeros(size.pieces)
    )
    precision = np.tile(np.eye(3) * 30.0, (*shape, 1, 1))
    return SimpleNamespace(
        log_weight=np.full(shape, -np.log(size.pieces)),
        center=np.tile(centers, (size.subbands, 1, 1)),
        center_precision=precision,
        center_log_det_precision=np.linalg.slogdet(precision)[1],
        slope=rng.normal(0, 2, (*shape, size.components, 3)),
        offset=rng.normal(0, 0.3, (*shape, size.components)),
        variance=np.full((*shape, size.components), 0.05),
        log_range=np.full(size.components, np.log(2.0)),
    )


def _speech(stamp_ns: int, place: np.ndarray, acoustic_map, rng) -> AudioFeatures:
    """One talker at `place` in all sub-bands."""
    direction = place / np.linalg.norm(place)
    piece = int(np.argmax(acoustic_map.center[0] @ direction))
    clean = acoustic_map.slope[:, piece] @ direction + acoustic_map.offset[:, piece]
    vectors = clean + rng.normal(0, 0.2, clean.shape)
    return AudioFeatures(
        stamp_ns,
        1.0,
        vectors,
        np.ones(vectors.shape, bool),
        np.ones(len(vectors)),
        np.ones(len(vectors), bool),
    )


def _nominal_table(timing: Timing) -> Table:
    size = timing.size
    table = Table(
        title=f'tracker step: {size.people} people, {size.faces} faces, {size.subbands} sub-bands x {size.components}, '
        f'{size.pieces} pieces, {size.iterations} iterations'
    )
    for heading in ('figure', 'measured', 'to reach', ''):
        table.add_column(heading, justify='left' if heading == 'figure' else 'right')
    for name, value, target in (
        ('median', timing.median_ms, _MEDIAN_MS),
        ('99th percentile', timing.p99_ms, _P99_MS),
    ):
        table.add_row(
            name,
            f'{value:.2f} ms',
            f'{target:.1f} ms',
            '[green]✓' if value <= target else '[red]✗',
        )
    return table


def _sweep_table(name: str, timings: list[Timing]) -> Table:
    table = Table(title=f'growth with {name}')
    for heading in (name, 'median', '99th percentile', 'time ratio', f'{name} ratio'):
        table.add_column(heading, justify='right')
    first = timings[0]
    for timing in timings:
        count, base = getattr(timing.size, name), getattr(first.size, name)
        table.add_row(
            str(count),
            f'{timing.median_ms:.2f} ms',
            f'{timing.p99_ms:.2f} ms',
            f'{timing.median_ms / first.median_ms:.2f}',
            f'{count / base:.1f}',
        )
    return table


def _plot(sweeps: dict[str, list[Timing]], path: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), layout='constrained')
    for axes, (name, timings) in zip(
        figure.subplots(1, len(sweeps), sharey=True, squeeze=False)[0], sweeps.items()
    ):
        counts = [getattr(t.size, name) for t in timings]
        axes.plot(counts, [t.median_ms for t in timings], 'o-', label='median')
        axes.plot(counts, [t.p99_ms for t in timings], 's--', label='99th percentile')
        axes.set(xlabel=name, ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[0].set_ylabel('time of a step [ms]')
    figure.savefig(path)
