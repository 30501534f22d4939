# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Damage small files of every kind at random, and read them, for as long as you like.

  python tools/fuzz_readers.py                    200 rounds of every kind of file
  python tools/fuzz_readers.py head scene -n 5000 --seed 7
  python tools/fuzz_readers.py --list             the kinds

A reader reads a damaged file, or answers with one line (UserError). For whatever else comes out
the file is kept, its name and the error are printed, and the exit status is 1. Needs pytest, and
what the tests need.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the fuzzer; give the exit status."""
    sys.path[:0] = [str(ROOT), str(ROOT / 'test' / 'fixtures')]
    from mutations import ALL_READERS

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('kinds', nargs='*', metavar='KIND', help='of file; all without any')
    parser.add_argument('-n', '--rounds', type=int, default=200, help='files of each kind')
    parser.add_argument('--seed', type=int, default=0, help='another one damages otherwise')
    parser.add_argument('--list', action='store_true', help='list the kinds')
    options = parser.parse_args()
    unknown = set(options.kinds) - ALL_READERS.keys()
    if options.list or unknown:
        print(f'unknown: {", ".join(unknown)}' if unknown else '\n'.join(ALL_READERS))
        return 2 if unknown else 0
    from av_perception.ros.bringup.environment import prepare_environment

    prepare_environment()  # bags need the definitions of messages
    found = 0
    for name in options.kinds or ALL_READERS:
        failures = fuzz(name, options.rounds, options.seed)
        print(f'{name}: {options.rounds} files, {failures} not told in one line')
        found += failures
    return 1 if found else 0


def fuzz(name: str, rounds: int, seed: int) -> int:
    """Read damaged files of a kind. Gives how many were neither read nor told in one line."""
    from mutations import ALL_READERS, mutated

    file_name, write, read = ALL_READERS[name]
    random = np.random.default_rng([seed, *name.encode()])
    folder = Path(tempfile.mkdtemp(prefix='fuzz_'))
    path = folder / file_name
    write(path)
    whole = path.read_bytes()
    failures = 0
    for _ in range(rounds):
        path.write_bytes(mutated(random, whole))
        problem = problem_of(read, path)
        if problem:
            kept = folder / f'{failures}_{file_name}'
            kept.write_bytes(path.read_bytes())
            print(f'{kept}: {problem}')
            failures += 1
    if not failures:
        shutil.rmtree(folder)
    return failures


def problem_of(read, path: Path) -> str:
    """Say what came out that should not, '' where nothing did."""
    from av_perception.errors import UserError

    try:
        read(path)
    except UserError as error:
        return repr(error) if '\n' in str(error) or not str(error).strip() else ''
    except Exception as error:  # the very thing we look for
        return repr(error)
    return ''


if __name__ == '__main__':
    sys.exit(main())
