# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes as MOT-challenge text: one line per box, comma separated, frames counted from 1.

    frame, id, left, top, width, height, confidence [, class, visibility]          MOT16, 17, 20
    frame, id, left, top, width, height, confidence, x, y, z                       MOT15

Detections have the id -1. In a truth the confidence is a flag (0: not to be scored) and class 1 is
a pedestrian. x, y, z is a position in meters, here in the head's base frame; -1, -1, -1 says that
there is none.
"""

from __future__ import annotations

import configparser
import io
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from av_perception.errors import UserError
from av_perception.files import MAX_TEXT_BYTES, read_within

PERSON = 1  # class of the boxes to score
MAX_FRAME = 1_000_000
_WIDTHS = (6, 7, 8, 9, 10)
_NAMES = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')


@dataclass(frozen=True, eq=False)
class MotTable:
    """B boxes, sorted by frame."""

    #: (B,) int, counted from 1
    frame: np.ndarray
    #: (B,) int
    id: np.ndarray
    #: (B, 4) left, top, width, height [px]
    box: np.ndarray
    #: (B,), 1 where the file has none
    confidence: np.ndarray
    #: (B,) int, class; 1 where the file has none
    kind: np.ndarray
    #: (B, 3) [m] in the head's base frame, NaN where the file has none
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of(
        cls,
        frame: ArrayLike,
        id: ArrayLike,
        box: ArrayLike,
        confidence: ArrayLike | None = None,
        position: ArrayLike | None = None,
    ) -> MotTable:
        """Make a table of people.

        Parameters
        ----------
        frame, id
            (B,) integers.
        box
            (B, 4) [px].
        confidence
            (B,), None: 1.
        position
            (B, 3) [m], None: there are none.
        """
        frame = np.asarray(frame, np.int64)
        count = len(frame)
        confidence = np.ones(count) if confidence is None else confidence
        position = np.full((count, 3), np.nan) if position is None else position
        return cls(
            frame,
            np.asarray(id, np.int64),
            np.asarray(box, float).reshape(count, 4),
            np.asarray(confidence, float),
            np.full(count, PERSON),
            np.asarray(position, float).reshape(count, 3),
        )

    @classmethod
    def read(cls, path: str | Path) -> MotTable:
        """Read a file.

        Parameters
        ----------
        path
            The file; an empty one is an empty table.

        Raises
        ------
        UserError
            When it cannot be read or is no such text; it names file and line.
        """
        path = Path(path)
        lines = []
        try:
            text = read_within(path, MAX_TEXT_BYTES).decode('utf-8-sig')
        except OSError as error:
            raise UserError(f'cannot read {path}: {error.strerror}') from error
        except UnicodeDecodeError as error:
            raise UserError(
                f'{path} is not MOT-challenge text ({",".join(_NAMES)},...)'
            ) from error
        except ValueError as error:
            raise UserError(f'cannot read {path}: {error}') from error
        for number, line in enumerate(io.StringIO(text, newline=None), 1):
            if line.strip():
                lines.append(_numbers(line, f'{path}, line {number}'))
        return cls._from_lines(lines)

    @classmethod
    def _from_lines(cls, lines: list[list[float]]) -> MotTable:
        padded = np.array([line + [math.nan] * (10 - len(line)) for line in lines]).reshape(-1, 10)
        spatial = np.array([len(line) == 10 and line[7:] != [-1, -1, -1] for line in lines], bool)
        classified = np.array([len(line) in (8, 9) and line[7] != -1 for line in lines], bool)
        confidence = np.where(np.isnan(padded[:, 6]), 1.0, padded[:, 6])
        kind = np.where(classified, padded[:, 7], PERSON).astype(np.int64)
        position = np.where(spatial[:, None], padded[:, 7:], np.nan)
        table = cls(
            padded[:, 0].astype(np.int64),
            padded[:, 1].astype(np.int64),
            padded[:, 2:6],
            confidence,
            kind,
            position,
        )
        return table.take(np.argsort(table.frame, kind='stable'))

    def take(self, rows: ArrayLike) -> MotTable:
        """Select rows (indices or mask), in the given order."""
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self)}
        return replace(self, **columns)

    def frames(self, last: int) -> list[slice]:
        """Find the rows of each of the frames 1..last."""
        return self.rows_of(np.arange(1, last + 1))

    def rows_of(self, frames: np.ndarray) -> list[slice]:
        """Find the rows of each of these (F,) frames."""
        first = np.searchsorted(self.frame, frames, 'left').tolist()
        last = np.searchsorted(self.frame, frames, 'right').tolist()
        return [slice(low, high) for low, high in zip(first, last)]

    def write(self, path: str | Path) -> None:
        """Write ten columns (0.01 px, 0.1 mm). Raises UserError."""
        places = np.where(np.isnan(self.position), -1.0, self.position)
        lines = []
        for row in range(len(self)):
            box = ','.join(f'{value:.2f}' for value in self.box[row].tolist())
            place = ','.join(f'{value:.10g}' for value in places[row].round(4).tolist())
            lines.append(
                f'{self.frame[row]},{self.id[row]},{box},{self.confidence[row]:.3g},{place}\n'
            )
        try:
            Path(path).write_text(''.join(lines), encoding='utf-8')
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def _numbers(line: str, where: str) -> list[float]:
    """Read the numbers of one line and check them. Raises UserError."""
    cells = [cell.strip() for cell in line.strip().rstrip(',').split(',')]
    if len(cells) not in _WIDTHS:
        raise UserError(
            f'{where}: {len(cells)} values, but MOT-challenge text has 6 to 10, comma separated '
            f'({",".join(_NAMES)},...)'
        )
    values = []
    for name, cell in zip((*_NAMES, 'value 8', 'value 9', 'value 10'), cells):
        try:
            values.append(float(cell))
        except ValueError:
            raise UserError(f'{where}: {name} {cell!r} is not a number') from None
        if not abs(values[-1]) < 1e12:  # also true of NaN
            raise UserError(f'{where}: {name} {cell!r} is not a finite number')
    for name, value in zip(_NAMES[:2], values):
        if value != int(value):
            raise UserError(f'{where}: {name} {value:g} is not a whole number')
    if not 1 <= values[0] <= MAX_FRAME:
        raise UserError(
            f'{where}: frame {values[0]:.0f} is not in 1..{MAX_FRAME} (frames count from 1)'
        )
    return values


@dataclass(frozen=True)
class SequenceInfo:
    """What the seqinfo.ini of a sequence says; None where it says nothing."""

    #: [Hz]
    frame_rate: float | None = None
    #: [px] of the images
    width: int | None = None
    #: [px] of the images
    height: int | None = None
    #: number of images
    length: int | None = None

    @classmethod
    def beside(cls, path: str | Path) -> SequenceInfo:
        """Read the seqinfo.ini that belongs to a file.

        Parameters
        ----------
        path
            The file; its folder or the folder above holds the seqinfo.ini, as in MOT sequences.

        Returns
        -------
        SequenceInfo
            All None when there is none.

        Raises
        ------
        UserError
            When it is malformed, or a number in it is not positive.
        """
        folder = Path(path).absolute().parent
        places = (folder / 'seqinfo.ini', folder.parent / 'seqinfo.ini')
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            return cls()
        info = cls._read(found)
        given = (info.frame_rate, info.width, info.height, info.length)
        if not all(value is None or 0 < value < math.inf for value in given):
            raise UserError(
                f'{found}: frameRate, imWidth, imHeight and seqLength must be positive'
            )
        return info

    @classmethod
    def _read(cls, path: Path) -> SequenceInfo:
        """Read a seqinfo.ini. Raises UserError when it is malformed."""
        parser = configparser.ConfigParser()
        try:
            parser.read_string(read_within(path, MAX_TEXT_BYTES).decode('utf-8'), str(path))
            section = parser['Sequence']
            return cls(
                section.getfloat('frameRate'),
                section.getint('imWidth'),
                section.getint('imHeight'),
                section.getint('seqLength'),
            )
        except (configparser.Error, KeyError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f'{path} is not the seqinfo.ini of a MOT sequence: {reason}'
            ) from error

    def write(self, path: str | Path, name: str) -> None:
        """Write a seqinfo.ini of the sequence `name` with everything that is known."""
        entries = {
            'frameRate': self.frame_rate,
            'seqLength': self.length,
            'imWidth': self.width,
            'imHeight': self.height,
        }
        lines = ['[Sequence]', f'name={name}']
        lines += [f'{key}={value:.10g}' for key, value in entries.items() if value is not None]
        Path(path).write_text('\n'.join(lines) + '\n', encoding='utf-8')
