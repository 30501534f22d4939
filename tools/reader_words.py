# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The words that a reader knows: what a fuzzer puts into its files beside what it makes up.

They are the texts and bytes that stand in the functions which read a whole file (the beginnings
of formats, keys, units), the fields of what they build, and the words of the file itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType

LONGEST = 40  # bytes of a word
MOST = 1000
_IN_TEXT = re.compile(rb'[A-Za-z_][A-Za-z_0-9]+')


def words_of(content: bytes, codes: set[CodeType]) -> list[bytes]:
    """Give the words of a file, if it is text, and of the functions that read it."""
    is_text = content.isascii() and b'\0' not in content
    words = set(_IN_TEXT.findall(content)) if is_text else set()
    for code in codes:
        words.update(_bytes_in(code.co_consts))
        if code.co_name == '__init__':
            words.update(_bytes_in(code.co_varnames[1:]))
    return sorted(word for word in words if 1 < len(word) <= LONGEST and word.count(b' ') < 2)[
        :MOST
    ]


def called_during(call: Callable[[], object], packages: tuple[str, ...]) -> set[CodeType]:
    """Call a function. Gives the code of whatever functions of these packages it called."""
    codes = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if frame.f_globals.get('__name__', '').partition('.')[0] in packages:
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return codes


def as_dictionary(words: list[bytes]) -> str:
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
