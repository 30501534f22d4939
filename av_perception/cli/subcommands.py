# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs whose second word names a module of a package: `benchmark hearing`, `calibrate stereo`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil


def add_subcommands(parser: argparse.ArgumentParser, package, metavar: str) -> None:
    """One sub-command per module of `package`; each has a docstring, whose first line is the help text, `add_arguments(parser)` and `run(args)`."""
    names = parser.add_subparsers(dest='subcommand', metavar=metavar, required=True)
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f'{package.__name__}.{found.name}')
        sub = names.add_parser(
            found.name.replace('_', '-'),
            help=module.__doc__.splitlines()[0],
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run_subcommand=module.run)
