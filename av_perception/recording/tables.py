# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""The two tables of a recording as CSV.

The truth (who was where, who spoke) and the tracks (what the tracker said). Times in seconds on
the recording's clock; positions in meters of the head center, in the head's base frame; flags 0 or
1. A table is frozen columns of equal length, ordered as in the file. `read` raises UserError
naming the file, the line and the column.
"""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from av_perception.errors import UserError
from av_perception.recording.csv_text import read_csv

if TYPE_CHECKING:
    from typing_extensions import Self  # of typing from Python 3.11 on

# kind of a CSV cell -> the column's dtype
_DTYPES = {'float': float, 'int': np.int64, 'flag': bool, 'text': str}


class _Table:
    """What both tables share.

    `_layout` maps each field's name to (kind of cell, CSV column names); several names make an
    (N, d) field.
    """

    #: (N,) [s]
    time_s: np.ndarray
    _layout: ClassVar[dict[str, tuple[str, tuple[str, ...]]]]

    def __post_init__(self):
        count = len(self.time_s)
        for name, (kind, columns) in self._layout.items():
            array = np.asarray(getattr(self, name), _DTYPES[kind])
            expected = (count,) if len(columns) == 1 else (count, len(columns))
            if array.size == 0 and not count:
                array = array.reshape(expected)
            if array.shape != expected:
                raise ValueError(f'{name} has shape {array.shape}, expected {expected}')
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.time_s)

    @classmethod
    def header(cls) -> list[str]:
        """List the CSV column names in order."""
        return [column for _, columns in cls._layout.values() for column in columns]

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a CSV file. Raises UserError."""
        return cls._from_rows(_read_rows(Path(path), cls.header()), Path(path))

    @classmethod
    def _from_rows(cls, rows: list[tuple[int, list[str]]], path: Path) -> Self:
        """Make a table of (line number, cells) of the file `path`."""
        values = {}
        first = 0  # of the columns of a field
        for name, (kind, columns) in cls._layout.items():
            last = first + len(columns)
            cells = [
                [
                    _parse(kind, cell, f'{path}, line {line}, column {column!r}')
                    for column, cell in zip(columns, row[first:last])
                ]
                for line, row in rows
            ]
            array = np.array(cells, _DTYPES[kind]).reshape(len(rows), len(columns))
            values[name] = array[:, 0] if len(columns) == 1 else array
            first = last
        return cls(**values)

    def columns(self) -> dict[str, np.ndarray]:
        """Give each column of the CSV file by its name, as `pandas.DataFrame` takes them."""
        columns: dict[str, np.ndarray] = {}
        for name, (_, labels) in self._layout.items():
            array = getattr(self, name).reshape(len(self), len(labels))
            columns.update(zip(labels, array.T))
        return columns

    def write(self, path: str | Path) -> None:
        """Write (replace) a CSV file.

        Numbers keep 1e-6 of a second, 1e-6 m, and 8 digits of a covariance.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        UserError
            When it cannot be written.
        """
        formatted = []
        for name, (kind, columns) in self._layout.items():
            array = getattr(self, name).reshape(len(self), len(columns))
            style = '.8g' if name == 'covariance' else '.6f'
            for values in array.T:
                formatted.append([_format(kind, value, style) for value in values])
        try:
            with open(path, 'w', newline='', encoding='utf-8') as stream:
                writer = csv.writer(stream, lineterminator='\n')
                writer.writerow(self.header())
                writer.writerows(zip(*formatted))
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror}') from error


@dataclasses.dataclass(frozen=True, eq=False)
class TruthTable(_Table):
    """Where every person was and whether they spoke: N rows, one per person and video frame."""

    #: (N,) [s]
    time_s: np.ndarray
    #: (N,) int, of the person
    id: np.ndarray
    #: (N, 3) [m]
    position: np.ndarray
    #: (N,) bool
    speaking: np.ndarray
    #: (N,) bool, in the camera's image
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
    """What the tracker said: N rows, one per live track and frame.

    Places and velocities are those of the center of the head, in the robot head's base frame: x
    forward, y left, z up.
    """

    #: (N,) [s] on the recording's clock
    time_s: np.ndarray
    #: (N,) int, of the track
    id: np.ndarray
    #: (N, 3) [m]
    position: np.ndarray
    #: (N, 3) [m/s]
    velocity: np.ndarray
    #: (N, 6) [m^2] the position's xx, xy, xz, yy, yz, zz
    covariance: np.ndarray
    #: (N,) str: tentative, active or sleeping
    status: np.ndarray
    #: (N,) bool, a face was assigned
    seen: np.ndarray
    #: (N,) bool, sound was assigned
    heard: np.ndarray
    #: (N,) probability of speaking
    speaking_probability: np.ndarray
    #: (N,) bool, decided with hysteresis
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
    names, rows = read_csv(path)
    if names != header:
        raise UserError(
            f'{path}, line 1: {_header_fault(names, header)}; the header must be '
            f'{",".join(header)}'
        )
    for line, row in rows:
        if len(row) != len(header):
            column = header[min(len(row), len(header) - 1)]
            raise UserError(
                f'{path}, line {line}, column {column!r}: the row has {len(row)} cells, the '
                f'header {len(header)}'
            )
    return rows


def _header_fault(names: list[str], header: list[str]) -> str:
    """Tell what is wrong with the column names of a file."""
    missing = [name for name in header if name not in names]
    if missing:
        return f'column {missing[0]!r} is missing'
    unknown = [name for name in names if name not in header]
    if unknown:
        return f'unknown column {unknown[0]!r}'
    return 'columns repeat or are in another order'


def _parse(kind: str, cell: str, where: str) -> float | int | bool | str:
    """Read a cell of a kind. Raises UserError that names the place."""
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
        expected = 'a whole number' if kind == 'int' else 'a number'
        raise UserError(f'{where}: {cell!r} is not {expected}') from None
    if not abs(value) < 2**63:  # also true of NaN
        raise UserError(f'{where}: {cell!r} is not a finite number')
    return value


def _format(kind: str, value, style: str) -> str:
    if kind == 'text':
        return str(value)
    return str(int(value)) if kind in ('int', 'flag') else format(value, style)
