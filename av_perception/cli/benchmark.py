"""Measure speed and accuracy.

example:
  av-perception benchmark tracker --json tracker.json
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil

from av_perception.cli import benchmarks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command per module of `av_perception.cli.benchmarks`."""
    names = parser.add_subparsers(dest='benchmark', metavar='NAME', required=True)
    for found in pkgutil.iter_modules(benchmarks.__path__):
        module = importlib.import_module(f'{benchmarks.__name__}.{found.name}')
        sub = names.add_parser(found.name.replace('_', '-'), help=module.__doc__.splitlines()[0], description=module.__doc__,
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run_benchmark=module.run)


def run(args: argparse.Namespace) -> int:
    """Runs the chosen benchmark."""
    return args.run_benchmark(args)
