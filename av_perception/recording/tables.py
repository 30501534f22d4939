# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two tables of a recording: the truth (who was where, who spoke) and the tracks (what the tracker said), as CSV.

Times in seconds on the recording's clock; positions in metres of the head centre, in the head's base frame; flags 0 or 1.
A table is frozen columns of equal length, ordered as in the file. `read` raises UserError naming the file, the line and the column.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np

from av_perception.errors import UserError
from av_perception.recording.csv_text import read_csv

# kind of a CSV cell -> the column's dtype
_DTYPES = {'float': float, 'int': np.int64, 'flag': bool, 'text': str}


class _Table:
    """What both tables share. `_layout` maps field name -> (kind of cell, CSV column names); several names make an (N, d) field."""

    _layout: ClassVar[dict[str, tuple[str, tuple[str, ...]]]]

    def __post_init__(self):
        for name, (kind, columns) in self._layout.items():
            array = np.asarray(getattr(self, name), _DTYPES[kind])
            expected = (
                (len(self.time_s),) if len(columns) == 1 else (len(self.time_s), len(columns))
            )
            if array.size == 0 and not len(self.time_s):
                array = array.reshape(expected)
            if array.shape != expected:
                raise ValueError(f'{name} has shape {array.shape}, expected {expected}')
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.time_s)

    @classmethod
    def header(cls) -> list[str]:
        """The CSV column names in order."""
        return [column for _, columns in cls._layout.values() for column in columns]

    @classmethod
    def read(cls, path):
        """The table in the CSV file `path`. Raises UserError."""
        return cls._from_rows(_read_rows(Path(path), cls.header()), Path(path))

    @classmethod
    def _from_rows(cls, rows: list[tuple[int, list[str]]], path: Path):
        values, first = {}, 0
        for name, (kind, columns) in cls._layout.items():
            last = first + len(columns)
            cells = [
                [
                    _parse(kind, row[c], f'{path}, line {line}, column {columns[c - first]!r}')
                    for c in range(first, last)
                ]
                for line, row in rows
            ]
            column = np.array(cells, _DTYPES[kind]).reshape(len(rows), len(columns))
            values[name] = column[:, 0] if len(columns) == 1 else column
            first = last
        return cls(**values)

    def write(self, path) -> None:
        """Write the CSV file `path` (replacing it). Numbers keep 1e-6 of a second, 0.01 mm, and 8 digits of a covariance."""
        formatted = []
        for name, (kind, columns) in self._layout.items():
            array = getattr(self, name).reshape(len(self), len(columns))
            style = '.8g' if name == 'covariance' else '.6f'
            formatted += [
                [_format(kind, value, style) for value in array[:, c]] for c in range(len(columns))
            ]
        try:
            with open(path, 'w', newline='', encoding='utf-8') as stream:
                writer = csv.writer(stream, lineterminator='\n')
                writer.writerow(self.header())
                writer.writerows(zip(*formatted))
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror}') from error


@dataclasses.dataclass(frozen=True, eq=False)
class TruthTable(_Table):
    """Where every person was and whether they spoke.

    time_s: (N,); id: (N,) int; position: (N, 3) [m]; speaking, visible: (N,) bool. One row per person and video frame.
    """

    time_s: np.ndarray
    id: np.ndarray
    position: np.ndarray
    speaking: np.ndarray
    visible: np.ndarray

    _layout: ClassVar = {
        'time_s': ('float', ('time',)),
        'id': ('int', ('id',)),
        'position': ('float', ('x', 'y', 'z')),
        'speaking': ('flag', ('speaking',)),
        'visible': ('flag', ('visible',)),
    }


@dataclasses.dataclass(frozen=True, eq=False)
class TrackTable(_Table):
    """What the tracker said of every live person at every frame.

    time_s: (N,); id: (N,) int; position: (N, 3) [m]; velocity: (N, 3) [m/s]; covariance: (N, 6) [m^2], the position's xx, xy, xz, yy, yz,
    zz; status: (N,) str (tentative, active, sleeping); seen, heard: (N,) bool; speaking_probability: (N,); speaking: (N,) bool.
    """

    time_s: np.ndarray
    id: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    covariance: np.ndarray
    status: np.ndarray
    seen: np.ndarray
    heard: np.ndarray
    speaking_probability: np.ndarray
    speaking: np.ndarray

    _layout: ClassVar = {
        'time_s': ('float', ('time',)),
        'id': ('int', ('id',)),
        'position': ('float', ('x', 'y', 'z')),
        'velocity': ('float', ('vx', 'vy', 'vz')),
        'covariance': ('float', ('cov_xx', 'cov_xy', 'cov_xz', 'cov_yy', 'cov_yz', 'cov_zz')),
        'status': ('text', ('status',)),
        'seen': ('flag', ('seen',)),
        'heard': ('flag', ('heard',)),
        'speaking_probability': ('float', ('speaking_probability',)),
        'speaking': ('flag', ('speaking',)),
    }


def _read_rows(path: Path, header: list[str]) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every data row; the header must be exactly `header`."""
    found, rows = read_csv(path)
    if found != header:
        raise UserError(
            f'{path}, line 1: {_header_fault(found, header)}; the header must be {",".join(header)}'
        )
    for line, row in rows:
        if len(row) != len(header):
            at = header[len(row)] if len(row) < len(header) else header[-1]
            raise UserError(
                f'{path}, line {line}, column {at!r}: the row has {len(row)} cells, the header {len(header)}'
            )
    return rows


def _header_fault(found: list[str], header: list[str]) -> str:
    missing = [name for name in header if name not in found]
    unknown = [name for name in found if name not in header]
    if missing:
        return f'column {missing[0]!r} is missing'
    return (
        f'unknown column {unknown[0]!r}' if unknown else 'columns repeat or are in another order'
    )


def _parse(kind: str, cell: str, where: str):
    cell = cell.strip()
    if kind == 'text':
        return cell
    if kind == 'flag':
        if cell not in ('0', '1'):
            raise UserError(f'{where}: {cell!r} is not 0 or 1')
        return cell == '1'
    try:
        value = int(cell) if kind == 'int' else float(cell)
    except ValueError:
        raise UserError(
            f'{where}: {cell!r} is not {"a whole number" if kind == "int" else "a number"}'
        ) from None
    if not abs(value) < 2**63:  # also true of NaN
        raise UserError(f'{where}: {cell!r} is not a finite number')
    return value


def _format(kind: str, value, style: str) -> str:
    if kind == 'text':
        return str(value)
    return str(int(value)) if kind in ('int', 'flag') else format(value, style)
