# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Rows of the comparison of separation methods on disk, so that a long run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from av_perception.benchmarks.separation_scores import SeparationRow
from av_perception.errors import UserError

_TEXTS = ('scene', 'method')


class KeptRows:
    """Rows by scene, draw and method.

    Parameters
    ----------
    settings
        What a run is told that changes its figures; rows of other settings are refused.
    """

    def __init__(self, settings: dict[str, Any]):
        self._settings = settings
        self._rows: dict[tuple[str, int, str], SeparationRow] = {}

    def read(self, path: Path) -> None:
        """Take the rows of an earlier run.

        Parameters
        ----------
        path
            Of what `figures` gave, as JSON; where it does not exist, there are no rows.

        Raises
        ------
        UserError
            When it is something else, or of other settings.
        """
        if not path.exists():
            return
        try:
            found = json.loads(path.read_text(encoding='utf-8'))
            settings = found['settings']
            rows = [_read_row(row) for row in found['rows']]
            seeds = [int(row['seed']) for row in found['rows']]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f'{path} has no rows of this benchmark ({error}): name another file'
            ) from error
        if settings != self._settings:
            raise UserError(
                f'{path} is of a run with {settings}, not {self._settings}: name another file'
            )
        for row, seed in zip(rows, seeds, strict=True):
            self.add(row, seed)

    def add(self, row: SeparationRow, seed: int) -> None:
        """Keep a row."""
        self._rows[row.scene, seed, row.method] = row

    def missing(self, scene: str, seed: int, methods: Sequence[str]) -> list[str]:
        """Those of the methods that have not heard a scene, in their order."""
        return [name for name in methods if (scene, seed, name) not in self._rows]

    def of(self, scene: str, seed: int, methods: Sequence[str]) -> list[SeparationRow]:
        """Rows of a scene, in the order of the methods."""
        keys = [(scene, seed, name) for name in methods]
        return [self._rows[key] for key in keys if key in self._rows]

    def figures(self) -> dict[str, Any]:
        """Give what `read` takes."""
        rows = [{**asdict(row), 'seed': seed} for (_, seed, _), row in self._rows.items()]
        return {'settings': self._settings, 'rows': rows}


def _read_row(row: dict[str, Any]) -> SeparationRow:
    # (what is not a number is null in JSON; figures of later releases are not there)
    names = [f.name for f in fields(SeparationRow) if f.default is MISSING or f.name in row]
    numbers = {
        name: float('nan') if row[name] is None else float(row[name])
        for name in names
        if name not in _TEXTS
    }
    return SeparationRow(scene=str(row['scene']), method=str(row['method']), **numbers)
