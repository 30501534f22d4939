"""Learn what a head's profile does not say.

example:
  av-perception calibrate acoustic --head my_head.yaml -o my_head_map.npz
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil

from av_perception.cli import calibrations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One sub-command per module of `av_perception.cli.calibrations`."""
    names = parser.add_subparsers(dest='what', metavar='WHAT', required=True)
    for found in pkgutil.iter_modules(calibrations.__path__):
        module = importlib.import_module(f'{calibrations.__name__}.{found.name}')
        sub = names.add_parser(found.name.replace('_', '-'), help=module.__doc__.splitlines()[0], description=module.__doc__,
                               formatter_class=argparse.RawDescriptionHelpFormatter)
        module.add_arguments(sub)
        sub.set_defaults(run_calibration=module.run)


def run(options: argparse.Namespace) -> int:
    """Runs the chosen calibration."""
    return options.run_calibration(options)
