# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""What there is to know of a reader before it is fuzzed: whole files, its words, its modules.

The words are the texts and bytes that stand in the functions which read whole files (the
beginnings of formats, keys, units), the fields of what they build, and the words of the files
themselves. A fuzzer puts them into its files beside what it makes up.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType

from reader_judge import warm_up

LONGEST = 40  # bytes of a word
MOST = 1000
_IN_TEXT = re.compile(rb'[A-Za-z_][A-Za-z_0-9]+')


@dataclass(frozen=True)
class Survey:
    """What a process of its own has found out.

    Attributes
    ----------
    whole
        Content of whole files, that of the reader's own writer first.
    words
        Which it knows.
    bystanders
        Modules that are imported, but have no part in reading nor a neighbor that has.
    skipped
        Why there is nothing of this; '' if there is.
    """

    whole: tuple[bytes, ...] = ()
    words: tuple[bytes, ...] = ()
    bystanders: tuple[str, ...] = ()
    skipped: str = ''


def survey_of(module_name: str, kind: str, folder: Path, packages: tuple[str, ...]) -> Survey:
    """Write a whole file of a kind into a folder, and watch how it is read.

    Parameters
    ----------
    module_name
        Of the module that has ALL_READERS and, maybe, SEEDS.
    kind, folder
        Of the file.
    packages
        Whose words and modules are meant.
    """
    module = importlib.import_module(module_name)
    file_name, write, read = module.ALL_READERS[kind]
    path = folder / file_name
    try:
        write(path)
    except BaseException as error:
        if type(error).__name__ == 'Skipped':  # by pytest, as a package is absent
            return Survey(skipped=str(error))
        raise
    seeds = getattr(module, 'SEEDS', {}).get(kind, [])
    whole = (path.read_bytes(), *(seed.read_bytes() for seed in seeds))
    warm_up(read, path)

    def read_all() -> None:
        for content in reversed(whole):
            path.write_bytes(content)
            warm_up(read, path)

    called = called_during(read_all, packages)
    near = {name.rpartition('.')[0] for name in called.values()}
    bystanders = (
        name
        for name in sys.modules
        if name.partition('.')[0] in packages and name.rpartition('.')[0] not in near
    )
    return Survey(whole, words_of(b'\n'.join(whole), called), tuple(bystanders))


def words_of(content: bytes, codes: Iterator[CodeType]) -> tuple[bytes, ...]:
    """Give the words of files, if they are text, and of the functions that read them."""
    is_text = content.isascii() and b'\0' not in content
    words = set(_IN_TEXT.findall(content)) if is_text else set()
    for code in codes:
        words.update(_bytes_in(code.co_consts))
        if code.co_name == '__init__':
            words.update(_bytes_in(code.co_varnames[1:]))
    short = (word for word in words if 1 < len(word) <= LONGEST)
    return tuple(sorted(word for word in short if word.count(b' ') < 2)[:MOST])  # no sentences


def called_during(call: Callable[[], object], packages: tuple[str, ...]) -> dict[CodeType, str]:
    """Call a function. Gives the functions of packages that it called, with their modules."""
    called = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        name = frame.f_globals.get('__name__', '')
        if name.partition('.')[0] in packages:
            called[frame.f_code] = name

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return called


def as_dictionary(words: tuple[bytes, ...]) -> str:
    """Write words as libFuzzer wants them: one a line, quoted, here in hexadecimal digits."""
    lines = (''.join(f'\\x{byte:02x}' for byte in word) for word in words)
    return ''.join(f'"{line}"\n' for line in lines)


def _bytes_in(constants: tuple) -> Iterator[bytes]:
    """Texts and bytes among constants, which may be tuples of them."""
    for constant in constants:
        if isinstance(constant, str):
            yield constant.encode(errors='replace')
        elif isinstance(constant, bytes):
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _bytes_in(tuple(constant))
