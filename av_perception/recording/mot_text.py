# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Boxes as MOT-challenge text: one line per box, comma separated, frames counted from 1.

    frame, id, left, top, width, height, confidence [, class, visibility]          MOT16, 17, 20
    frame, id, left, top, width, height, confidence, x, y, z                       MOT15

Detections have the id -1. In a truth the confidence is a flag (0: not to be scored) and class 1 is a pedestrian. x, y, z is a position in
metres, here in the head's base frame; -1, -1, -1 says that there is none.
"""

from __future__ import annotations

import configparser
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from av_perception.errors import UserError

PERSON = 1  # class of the boxes to score
MAX_FRAME = 1_000_000
_WIDTHS = (6, 7, 8, 9, 10)
_NAMES = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')


@dataclass(frozen=True, eq=False)
class MotTable:
    """B boxes, sorted by frame. frame, id, kind (class; 1 where the file has none): (B,) int; box: (B, 4) left, top, width, height [px];
    confidence: (B,), 1 where the file has none; position: (B, 3) [m], NaN where the file has none.
    """

    frame: np.ndarray
    id: np.ndarray
    box: np.ndarray
    confidence: np.ndarray
    kind: np.ndarray
    position: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of(cls, frame, id, box, confidence=None, position=None) -> MotTable:
        """The table of people in (B,) frames with (B,) ids and (B, 4) boxes."""
        count = len(frame)
        return cls(
            np.asarray(frame, np.int64),
            np.asarray(id, np.int64),
            np.asarray(box, float).reshape(count, 4),
            np.ones(count) if confidence is None else np.asarray(confidence, float),
            np.full(count, PERSON),
            np.full((count, 3), np.nan)
            if position is None
            else np.asarray(position, float).reshape(count, 3),
        )

    @classmethod
    def read(cls, path) -> MotTable:
        """The table in the file `path`; an empty file is an empty table. Raises UserError that names file and line."""
        path, lines = Path(path), []
        try:
            with open(path, encoding='utf-8-sig') as stream:
                for number, line in enumerate(stream, 1):
                    if line.strip():
                        lines.append(_numbers(line, f'{path}, line {number}'))
        except OSError as error:
            raise UserError(f'cannot read {path}: {error.strerror}') from error
        except UnicodeDecodeError as error:
            raise UserError(
                f'{path} is not MOT-challenge text ({",".join(_NAMES)},...)'
            ) from error
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

    def take(self, rows) -> MotTable:
        """The table of the rows (indices or mask), in the given order."""
        return replace(
            self, **{field.name: getattr(self, field.name)[rows] for field in fields(self)}
        )

    def frames(self, last: int) -> list[slice]:
        """The rows of each of the frames 1..last."""
        return self.rows_of(np.arange(1, last + 1))

    def rows_of(self, frames: np.ndarray) -> list[slice]:
        """The rows of each of these (F,) frames."""
        first = np.searchsorted(self.frame, frames, 'left').tolist()
        last = np.searchsorted(self.frame, frames, 'right').tolist()
        return [slice(low, high) for low, high in zip(first, last)]

    def write(self, path) -> None:
        """Write ten columns (0.01 px, 0.1 mm). Raises UserError."""
        spatial = np.where(np.isnan(self.position), -1.0, self.position)
        rows = zip(
            self.frame.tolist(),
            self.id.tolist(),
            self.box.tolist(),
            self.confidence.tolist(),
            spatial.tolist(),
        )
        lines = [
            f'{frame},{id},'
            + ','.join(f'{value:.2f}' for value in box)
            + f',{confidence:.3g},'
            + ','.join(f'{value:.5g}' for value in place)
            for frame, id, box, confidence, place in rows
        ]
        try:
            Path(path).write_text('\n'.join(lines) + '\n' if lines else '', encoding='utf-8')
        except OSError as error:
            raise UserError(f'cannot write {path}: {error.strerror or error}') from error


def _numbers(line: str, where: str) -> list[float]:
    """The numbers of one line, checked. Raises UserError."""
    cells = [cell.strip() for cell in line.strip().rstrip(',').split(',')]
    if len(cells) not in _WIDTHS:
        raise UserError(
            f'{where}: {len(cells)} values, but MOT-challenge text has 6 to 10, comma separated ({",".join(_NAMES)},...)'
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

    frame_rate: float | None = None
    width: int | None = None
    height: int | None = None
    length: int | None = None

    @classmethod
    def beside(cls, path) -> SequenceInfo:
        """Of the seqinfo.ini in the folder of the file `path` or the folder above, as MOT sequences have it. Raises UserError."""
        folder = Path(path).absolute().parent
        found = next(
            (
                place
                for place in (folder / 'seqinfo.ini', folder.parent / 'seqinfo.ini')
                if place.is_file()
            ),
            None,
        )
        if found is None:
            return cls()
        parser = configparser.ConfigParser()
        try:
            parser.read(found, encoding='utf-8')
            section = parser['Sequence']
            info = cls(
                section.getfloat('frameRate'),
                section.getint('imWidth'),
                section.getint('imHeight'),
                section.getint('seqLength'),
            )
        except (configparser.Error, KeyError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f'{found} is not the seqinfo.ini of a MOT sequence: {reason}'
            ) from error
        given = (info.frame_rate, info.width, info.height, info.length)
        if not all(value is None or 0 < value < math.inf for value in given):
            raise UserError(
                f'{found}: frameRate, imWidth, imHeight and seqLength must be positive'
            )
        return info

    def write(self, path, name: str) -> None:
        """Write a seqinfo.ini with everything that is known."""
        entries = {
            'name': name,
            'frameRate': self.frame_rate,
            'seqLength': self.length,
            'imWidth': self.width,
            'imHeight': self.height,
        }
        lines = ['[Sequence]'] + [
            f'{key}={value:g}' if isinstance(value, (int, float)) else f'{key}={value}'
            for key, value in entries.items()
            if value is not None
        ]
        Path(path).write_text('\n'.join(lines) + '\n', encoding='utf-8')
