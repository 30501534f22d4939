# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Verbs whose second word names a module of a package: `benchmark hearing`, `calibrate stereo`."""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Sequence
from types import ModuleType


def add_subcommands(
    parser: argparse.ArgumentParser,
    package: ModuleType,
    metavar: str,
    words: Sequence[str] | None = None,
) -> None:
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
    words
        Of the command line: a module that they do not name is not imported, and its sub-command
        is there without its arguments. None: all are wanted.
    """
    names = parser.add_subparsers(dest='subcommand', metavar=metavar, required=True)
    for found in pkgutil.iter_modules(package.__path__):
        name = found.name.replace('_', '-')
        full_name = f'{package.__name__}.{found.name}'
        if words is not None and name not in words:
            names.add_parser(name, help=_docstring_of(full_name).splitlines()[0])
            continue
        module = importlib.import_module(full_name)
        description = module.__doc__ or ''
        sub = names.add_parser(
            name,
            help=description.splitlines()[0],
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run_subcommand=module.run)


def _docstring_of(full_name: str) -> str:
    """Read what a module says of itself, from its source: importing it may take seconds."""
    spec = importlib.util.find_spec(full_name)
    source = getattr(spec and spec.loader, 'get_source', lambda name: None)(full_name)
    if source is None:  # installed without sources
        return importlib.import_module(full_name).__doc__ or ''
    return ast.get_docstring(ast.parse(source)) or ''
