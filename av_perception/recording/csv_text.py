# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Tables as people and spreadsheets write them: the one way in which CSV files are read."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from av_perception.errors import UserError
from av_perception.files import MAX_TEXT_BYTES, read_within

_DECIMAL_COMMA = re.compile(r'\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*')


def read_csv(path: str | Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read a CSV file.

    A byte order mark, blanks around cells, empty lines and any line ends are fine. Cells are
    divided by commas; by semicolons or tabs where the header has those and no comma, and then a
    comma in a number is a decimal one, as a spreadsheet in a language that writes 0,5 saves it.

    Parameters
    ----------
    path
        The file, in UTF-8.

    Returns
    -------
    header : list of str
        Of the first line that is not blank; [] of an empty file.
    lines : list of (int, list of str)
        Number and cells of each line below that is not blank.

    Raises
    ------
    UserError
        The file cannot be read, is no text, or has a column twice.
    """
    path = Path(path)
    text = _read_text(path)
    divider = _divider(text)
    lines = _read_lines(path, text, divider)
    if not lines:
        return [], []
    header = lines[0][1]
    repeated = next((name for name in header if name and header.count(name) > 1), None)
    if repeated is not None:
        raise UserError(f'{path}, line {lines[0][0]}: the column {repeated!r} is there twice')
    if divider != ',':
        lines = [(number, [_with_point(cell) for cell in cells]) for number, cells in lines]
    return header, lines[1:]


def _read_text(path: Path) -> str:
    """Read text in UTF-8. Raises UserError."""
    try:
        content = read_within(path, MAX_TEXT_BYTES)
    except OSError as error:
        raise UserError(f'cannot read {path}: {error.strerror or error}') from error
    except ValueError as error:
        raise UserError(f'cannot read {path}: {error}') from error
    try:
        return content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is not a CSV text file: save it as CSV in UTF-8') from error


def _read_lines(path: Path, text: str, divider: str) -> list[tuple[int, list[str]]]:
    """Divide text into the cells of each line that is not blank. Raises UserError."""
    reader = csv.reader(io.StringIO(text, newline=''), delimiter=divider)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise UserError(f'{path} is not a CSV text file: {error}') from error
    return [(number, cells) for number, cells in lines if any(cells)]


def read_columns(
    path: str | Path, columns: tuple[str, ...], row: str = 'row'
) -> list[tuple[int, list[float]]]:
    """Read numbers from some columns of a CSV file; others do not matter.

    Parameters
    ----------
    path, columns
        The file, see `read_csv`; names in its header.
    row
        The word for what a line describes, in messages.

    Returns
    -------
    list of (int, list of float)
        The number of each line and its numbers, all finite.

    Raises
    ------
    UserError
        When a column is missing, there is no line, or a cell is no finite number; it names the
        line.
    """
    header, lines = read_csv(path)
    missing = [name for name in columns if name not in header]
    names = ','.join(columns)
    if missing or not lines:
        what = f'the column {missing[0]!r} is missing' if missing else 'there is none'
        needed = f'the columns {names} and a line for every {row}'
        raise UserError(f'{path} must have {needed}: {what}')
    places = [header.index(name) for name in columns]
    rows = []
    for number, cells in lines:
        where = f'{path}, line {number}'
        values = _read_numbers(cells, places, f'{where}: {names} must be numbers')
        if not all(abs(value) < float('inf') for value in values):  # false of NaN too
            raise UserError(f'{where}: the numbers of a {row} must be finite')
        rows.append((number, values))
    return rows


def _read_numbers(cells: list[str], places: list[int], problem: str) -> list[float]:
    """Read the numbers in some cells of a line. Raises UserError with the problem."""
    try:
        return [float(cells[place]) for place in places]
    except (IndexError, ValueError):
        raise UserError(problem) from None


def _divider(text: str) -> str:
    """Tell what divides cells, by the first line that is not blank."""
    header = next((line for line in text.splitlines() if line.strip()), '')
    if ',' in header:
        return ','
    return next((divider for divider in (';', '\t') if divider in header), ',')


def _with_point(cell: str) -> str:
    return cell.replace(',', '.') if _DECIMAL_COMMA.fullmatch(cell) else cell
