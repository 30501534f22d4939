"""Typed, frozen configuration from YAML or parameters, with errors a person can act on."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path

import yaml

from av_perception.errors import UserError


class _Loader(yaml.SafeLoader):
    """PyYAML is of YAML 1.1 and takes 1e-3 for text, as it has no point; to 1.2 it is a number."""


_Loader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$'),
    list('-+.0123456789'),
)


def read_yaml(path: Path) -> dict:
    """The mapping in a YAML file. Raises UserError for an absent, unreadable or malformed file."""
    try:
        content = yaml.load(Path(path).read_text(encoding='utf-8'), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'cannot read {path}: {getattr(error, "strerror", None) or error}') from error
    except yaml.YAMLError as error:
        raise UserError(f'{path} is not valid YAML: {" ".join(str(error).split())}') from error
    if not isinstance(content, dict):
        raise UserError(f'{path} must hold a mapping (key: value lines), not {type(content).__name__}')
    return content


def config_from_mapping(kind: type, mapping: dict, where: str):
    """Build the frozen dataclass `kind` from a mapping, strictly.

    Unknown keys, missing keys and wrong types raise UserError naming `where` (a file or node) and the key. Handles nested
    dataclasses, `tuple[X, ...]`, optional values, numbers, strings and booleans; the dataclass's own __post_init__ may raise ValueError for ranges.
    """
    if not isinstance(mapping, dict):
        raise UserError(f'{where}: expected a mapping with the keys {_names(kind)}, got {mapping!r}')
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    unknown = [str(k) for k in mapping if k not in fields]
    if unknown:
        raise UserError(f'{where}: unknown key {unknown[0]!r}; known: {_names(kind)}')
    values = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f'{where}: {name}')
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(f'{where}: the key {name!r} is missing')
    try:
        return kind(**values)
    except ValueError as error:
        raise UserError(f'{where}: {error}') from error


def _names(kind: type) -> str:
    return ', '.join(f.name for f in dataclasses.fields(kind) if f.init)


def _convert(hint, value, where: str):
    if dataclasses.is_dataclass(hint):
        return config_from_mapping(hint, value, where)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        return _convert_sequence(arguments, value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool, float) and type(value) is hint:
        return value
    if hint is dict and isinstance(value, dict):
        return value
    raise UserError(f'{where} must be {getattr(hint, "__name__", hint)}, not {value!r}')


def _convert_sequence(arguments, value, where: str) -> tuple:
    if not isinstance(value, (list, tuple)):
        raise UserError(f'{where} must be a list, not {value!r}')
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(arguments[0], item, f'{where}[{i}]') for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise UserError(f'{where} must have {len(arguments)} values, not {len(value)}')
    return tuple(_convert(kind, item, f'{where}[{i}]') for i, (kind, item) in enumerate(zip(arguments, value)))
