# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The av-perception command: one verb per module of av_perception.cli."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from av_perception import __version__
from av_perception.cli.overwriting import check_overwrites
from av_perception.errors import UserError
from av_perception.ros.bringup.availability import advice_for
from av_perception.ros.bringup.environment import limit_threads
from av_perception.ros.privacy import keep_private

# Errors of a device that takes no more.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)

VERBS = {
    'demo': 'three talkers in a simulated room, all nodes, headless: '
    'pictures and figures in demo_output/',
    'sample': 'check the installation: a small recording beside the answer that is expected',
    'up': 'start the suite for a head and keep it running',
    'view': 'show a running graph in a browser: people from above, who speaks',
    'record': 'record the topics of a running graph to an MCAP bag',
    'replay': 'play a bag into the graph',
    'simulate': 'render a scene file to a recording folder with truth',
    'localize': 'directions of the sources in a multichannel recording, without ROS',
    'separate': 'a voice per person out of a multichannel recording, without ROS',
    'enhance': 'a voice in noise made clear, out of a recording of one microphone',
    'track': 'run the tracker offline on a recording folder, without ROS',
    'evaluate': 'figures of merit of tracks against the truth',
    'evaluate mot': 'track the detections of a MOT-challenge file and score them '
    'against its truth',
    'calibrate': 'learn what a head profile does not say: '
    'acoustic map, cameras, microphone positions',
    'train': 'make weights out of data that you name: priors of speech',
    'benchmark': 'measure speed and accuracy',
    'security': 'write the policy of SROS2: which topics each node may use',
    'doctor': 'check sound card, cameras, models and the running graph; says what to do',
}
WITH_SUBCOMMANDS = ('calibrate', 'train', 'benchmark')


def build_parser(verb: str | None, words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Make the parser.

    Parameters
    ----------
    verb
        The chosen one; only its module is imported, so that --help answers at once.
    words
        Of the command line: of a verb with sub-commands only the one that they name gets its
        arguments. None: all do.

    Returns
    -------
    argparse.ArgumentParser
        Of the command.
    """
    parser = argparse.ArgumentParser(
        prog='av-perception',
        description='Who is around the robot, where they are and who is speaking.',
        epilog='Start with: av-perception sample, then demo. Each verb has its own --help.',
    )
    parser.add_argument('--version', action='version', version=f'av-perception {__version__}')
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    for name, text in VERBS.items():
        if name != verb:
            verbs.add_parser(name, help=text)
            continue
        module = importlib.import_module(f'av_perception.cli.{name.replace(" ", "_")}')
        sub = verbs.add_parser(
            name,
            help=text,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in WITH_SUBCOMMANDS:
            module.add_arguments(sub, words)
        else:
            module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def _join_verb(words: list[str]) -> list[str]:
    """Make a verb of two words one word."""
    start = next((i for i, word in enumerate(words) if word in VERBS), len(words))
    two = ' '.join(words[start : start + 2])
    return [*words[:start], two, *words[start + 2 :]] if two in VERBS else list(words)


def _end_like_ctrl_c() -> None:
    """Let all signals that ask to end do what Ctrl-C does: who started processes stops them."""
    # SIGINT too: a shell has it ignored in what a script starts with &.
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # else nohup asked for that
        numbers.append(signal.SIGHUP)
    for number in numbers:
        signal.signal(number, signal.default_int_handler)


def _print_any_name() -> None:
    """Have names of files that are no text of the terminal's encoding printed all the same."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        Words after the command's name; by default those it was called with.

    Returns
    -------
    int
        Exit status: 0 well, 1 it ran and did not succeed, 2 something for the user to mend,
        130 interrupted.
    """
    _end_like_ctrl_c()
    limit_threads()
    keep_private()
    _print_any_name()
    os.environ['MPLBACKEND'] = 'Agg'  # pictures are files; the one of the shell may be unknown
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            if sys.stdout is not None:  # it is None where it was closed (>&-)
                sys.stdout.flush()  # so that a full disk shows here, not when the interpreter ends
    except (UserError, ModuleNotFoundError) as error:
        print(f'av-perception: error: {_to_mend(error)}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        _drop_output()
        return 1
    except OSError as error:
        print(f'av-perception: error: {_told(error)}', file=sys.stderr)
        if error.errno in _FULL:
            _drop_output()
        return 2


def _to_mend(error: UserError | ModuleNotFoundError) -> str:
    """Say in one line what the user is to mend; raises what is our own fault."""
    if isinstance(error, UserError):
        return str(error)
    advice = advice_for(error.name)
    if advice is None:
        raise error
    return advice


def _told(error: OSError) -> str:
    """Say in one line what the system refused and what to do."""
    reason = ' '.join((error.strerror or str(error)).split())
    where = f' {error.filename}' if error.filename else ''
    if error.errno in _FULL:
        return f'cannot write{where}: {reason}; make room there or write elsewhere'
    return f'cannot use{where}: {reason}; check the path and its permissions'


def _drop_output() -> None:
    """Drop what is still to be printed, so that the interpreter does not fail on it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: list[str]) -> int:
    words = _join_verb(arguments)
    if '--ros-args' in words:  # what follows is for rclpy, which reads it itself
        words = words[: words.index('--ros-args')]
    verb = next((word for word in words if word in VERBS), None)
    options = build_parser(verb, words).parse_args(words)
    check_overwrites(options)
    return options.run(options)


if __name__ == '__main__':
    sys.exit(main())
