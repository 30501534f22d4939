# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs whose second word names a module of a package: `benchmark hearing`, `calibrate stereo`."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from types import ModuleType


def add_subcommands(parser: argparse.ArgumentParser, package: ModuleType, metavar: str) -> None:
    """Declare one sub-command per module of a package.

    Parameters
    ----------
    parser
        Of the verb.
    package
        Each module has a docstring, whose first line is the help text, `add_arguments(parser)` and
        `run(args)`.
    metavar
        What the help calls the second word.
    """
    names = parser.add_subparsers(dest='subcommand', metavar=metavar, required=True)
    for found in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f'{package.__name__}.{found.name}')
        description = module.__doc__ or ''
        sub = names.add_parser(
            found.name.replace('_', '-'),
            help=description.splitlines()[0],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run_subcommand=module.run)
