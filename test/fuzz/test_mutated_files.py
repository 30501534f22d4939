# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A small fuzzer: files of every kind are damaged at random, each seed the same every time.

A reader reads them, or answers with UserError in one line; nothing else comes out.
`tools/fuzz_readers.py` does the same for as long as one likes.
"""

from __future__ import annotations

import numpy as np
import pytest
from byte_mutations import mutated
from mutations import ALL_READERS, is_one_line

from av_perception.errors import UserError

ROUNDS = 200
# What takes more than some milliseconds to read, as it starts a decoder or a pipeline.
COSTLY = {'mcap': 40, 'db3': 40, 'video': 60, 'mkv': 60, 'played video': 60, 'clip': 60}


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ALL_READERS)
def test_damage_at_random_is_read_or_told_in_one_line(name, tmp_path):
    file_name, write, read = ALL_READERS[name]
    path = tmp_path / file_name
    write(path)
    whole = path.read_bytes()
    random = np.random.default_rng([len(name), *name.encode()])
    for k in range(COSTLY.get(name, ROUNDS)):
        content = mutated(random, whole)
        path.write_bytes(content)
        try:
            read(path)
        except UserError as error:
            assert is_one_line(error), (k, error)
        except Exception as error:
            raise AssertionError(
                f'round {k} of {name}: {error!r} for {content[:300]!r}'
            ) from error
