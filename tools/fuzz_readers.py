# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Damage small files of every kind, and read them, for as long as you like.

  python tools/fuzz_readers.py                    200 rounds of every kind of file, at random
  python tools/fuzz_readers.py head scene -n 5000 --seed 7
  python tools/fuzz_readers.py --guided --minutes 10 mcap    as coverage guides (needs atheris)
  python tools/fuzz_readers.py --list             the kinds

A reader reads a damaged file, or answers with one line (UserError), in some seconds and some
memory, and opens nothing outside the file's folder. For whatever else comes out the file is kept,
its name and the error are printed, and the exit status is 1.

Guided, what reaches lines of Python that no file has reached is kept and damaged further. Each
kind has a process of its own, which a fault in a library in C may kill: that is a finding, too,
and another process goes on. Under --folder there are, for each kind, corpus/ (the next run begins
with it) and findings/. Needs pytest, and what the tests need.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ADVICE = "python -m pip install 'atheris>=3,<4' (extra fuzz; CPython from 3.11 on, not on Windows)"


def main() -> int:
    """Run the fuzzer; give the exit status."""
    sys.path[:0] = [str(ROOT), str(ROOT / 'test' / 'fixtures')]
    options = parsed()
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()  # bags need the definitions of messages
    readers = importlib.import_module(options.readers).ALL_READERS
    unknown = set(options.kinds) - readers.keys()
    if options.list or unknown:
        print(f'unknown: {", ".join(unknown)}' if unknown else '\n'.join(readers))
        return 2 if unknown else 0
    kinds = options.kinds or list(readers)
    if options.guided:
        return fuzz_all_guided(kinds, options)
    found = 0
    rounds = options.rounds or 200
    for name in kinds:
        failures = fuzz(readers[name], name, rounds, options.seed)
        print(f'{name}: {rounds} files, {failures} not told in one line')
        found += failures
    return 1 if found else 0


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kinds', nargs='*', metavar='KIND', help='of file; all without any')
    parser.add_argument('-n', '--rounds', type=int, help='files of each kind (200)')
    parser.add_argument('--seed', type=int, default=0, help='another one damages otherwise')
    parser.add_argument('--list', action='store_true', help='list the kinds')
    parser.add_argument('--readers', default='mutations', help='module that has ALL_READERS')
    guided = parser.add_argument_group('guided by coverage')
    guided.add_argument('--guided', action='store_true', help='keep what reaches further')
    guided.add_argument(
        '--minutes', type=float, help='of processor time for each kind (1, or what -n takes)'
    )
    guided.add_argument('--folder', type=Path, help='for corpus and findings (in the cache)')
    guided.add_argument('--slow', type=float, default=10.0, help='s that a file may take (10)')
    guided.add_argument('--memory', type=int, default=1024, help='MiB it may take (1024)')
    guided.add_argument('--first', action='store_true', help='one finding of a kind will do')
    return parser.parse_args()


def fuzz_all_guided(kinds: list[str], options: argparse.Namespace) -> int:
    """Fuzz kinds of files one after the other as coverage guides. Gives the exit status."""
    if importlib.util.find_spec('atheris') is None:
        print(f'--guided needs atheris: {ADVICE}', file=sys.stderr)
        return 2
    from guided_fuzzing import Budget, fuzz_guided

    from av_perception.paths import cache_directory

    folder = options.folder or cache_directory() / 'fuzz'
    minutes = options.minutes or (1e9 if options.rounds else 1.0)
    budget = Budget(
        files=options.rounds or 10**12,
        seconds=60 * minutes,
        slow_s=options.slow,
        memory=options.memory << 20,
        seed=options.seed,
        first=options.first,
    )
    found = 0
    for kind in kinds:
        run = fuzz_guided(kind, folder, budget, options.readers)
        print(run, flush=True)
        found += len(run.findings)
    print(f'{found} findings; corpus and findings are in {folder}')
    return 1 if found else 0


def fuzz(reader: tuple, name: str, rounds: int, seed: int) -> int:
    """Read files of a kind, damaged at random. Gives how many were findings."""
    from byte_mutations import mutated
    from reader_judge import ReaderJudge, settle_in, warm_up

    file_name, write, read = reader
    random = np.random.default_rng([seed, *name.encode()])
    folder = Path(tempfile.mkdtemp(prefix='fuzz_'))
    settle_in(folder)
    path = folder / file_name
    write(path)
    whole = path.read_bytes()
    warm_up(read, path)
    judge = ReaderJudge(folder)
    failures = 0
    for _ in range(rounds):
        path.write_bytes(mutated(random, whole))
        finding = judge.judge(read, path)
        if finding:
            kept = folder / f'{failures}_{file_name}'
            kept.write_bytes(path.read_bytes())
            print(f'{kept}: {finding.text}')
            failures += 1
    os.chdir(ROOT)
    if not failures:
        shutil.rmtree(folder)
    return failures


if __name__ == '__main__':
    sys.exit(main())
