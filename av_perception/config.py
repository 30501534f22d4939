# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Typed, frozen configuration from YAML or parameters, with errors a person can act on."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import linecache
import math
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from av_perception.errors import UserError
from av_perception.files import MEBIBYTE, read_within

_Config = TypeVar('_Config')
MAX_YAML_BYTES = 4 * MEBIBYTE
MAX_YAML_NODES = 1_000_000  # with every alias written out
MAX_YAML_BRACKETS = 100  # in each other; PyYAML's time grows with their square


class _Loader(yaml.SafeLoader):
    """YAML as people write it.

    A key that is given twice is an error, and 1e-3 is a number (PyYAML knows YAML 1.1, for which
    it is text).
    """

    def get_single_node(self) -> yaml.Node | None:
        """Compose the document. Raises yaml.YAMLError for one that repeats itself too often."""
        node = super().get_single_node()
        if node is not None and _written_out(node, {}) > MAX_YAML_NODES:
            raise yaml.YAMLError('its aliases (*name) repeat too much: write it out')
        return node

    def fetch_flow_collection_start(self, TokenClass: type) -> None:  # noqa: N803, as PyYAML does
        """Take a [ or {. Raises yaml.YAMLError where too many are open."""
        if self.flow_level >= MAX_YAML_BRACKETS:
            raise yaml.YAMLError('it is nested too deeply')
        super().fetch_flow_collection_start(TokenClass)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Build the mapping of a node. Raises yaml.constructor.ConstructorError."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        seen: set[str] = set()
        for key in keys:
            if key in seen and key != '<<':  # several merges are allowed
                raise yaml.constructor.ConstructorError(
                    None, None, f'the key {key!r} is there twice', node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes the words that `_Loader` takes for numbers."""


for _kind in (_Loader, _Dumper):
    _kind.add_implicit_resolver(
        'tag:yaml.org,2002:float',
        re.compile(r'[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$'),
        list('-+.0123456789'),
    )


def _written_out(node: yaml.Node, known: dict[int, float]) -> float:
    """Count the nodes below one as if every alias were written out; inf for an endless one."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = math.inf  # what it is while its own parts are counted
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(node)]


def load_yaml(text: str) -> Any:
    """Parse YAML text. Raises yaml.YAMLError for whatever cannot be understood."""
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError as error:
        raise yaml.YAMLError('it is nested too deeply') from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        # Such as a day that is in no month, or `!!bool 3`.
        raise yaml.YAMLError(str(error) or type(error).__name__) from error


def dump_yaml(content: Any, **options: Any) -> str:
    """Write plain values as YAML text that `load_yaml` gives back as they were.

    Parameters
    ----------
    content
        Mappings, lists, numbers and words.
    options
        Of yaml.dump; the order of keys is kept unless they say otherwise.
    """
    return yaml.dump(content, Dumper=_Dumper, **{'sort_keys': False, **options})


def read_yaml(path: str | Path) -> dict:
    """Read a YAML file that holds a mapping.

    Parameters
    ----------
    path
        The file, in UTF-8.

    Returns
    -------
    dict
        The mapping, its values as YAML types them.

    Raises
    ------
    UserError
        When the file is absent or unreadable, is no valid YAML or holds no mapping.
    """
    try:
        content = load_yaml(read_within(path, MAX_YAML_BYTES).decode('utf-8'))
    except (OSError, ValueError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise UserError(f'cannot read {path}: {reason}') from error
    except yaml.YAMLError as error:
        raise UserError(f'{path} is not valid YAML: {" ".join(str(error).split())}') from error
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise UserError(f'{path} must hold a mapping (key: value lines), not {kind}')
    return content


def config_from_mapping(kind: type[_Config], mapping: dict, where: str) -> _Config:
    """Build a frozen dataclass from a mapping, strictly.

    Handles nested dataclasses, `tuple[X, ...]`, optional values, numbers, strings and booleans.

    Parameters
    ----------
    kind
        The dataclass. Its own `__post_init__` may raise ValueError for values out of range.
    mapping
        Its fields by name.
    where
        The file or node that the mapping comes from, for error messages.

    Returns
    -------
    kind
        The dataclass.

    Raises
    ------
    UserError
        For an unknown key, missing keys (all of them at once), a value of the wrong type or out
        of range; it names `where` and the key.
    """
    _require_keys(kind, mapping, where)
    hints = typing.get_type_hints(kind)
    values = {
        name: _convert(hints[name], mapping[name], f'{where}: {name}')
        for name in _init_fields(kind)
        if name in mapping
    }
    try:
        config = kind(**values)
    except ValueError as error:
        raise UserError(f'{where}: {error}') from error
    for name, value in values.items():  # NaN lies in no range, and passes most checks of one
        if _holds_nan(value):
            raise UserError(f'{where}: {name} must be a number, not nan')
    return config


def _holds_nan(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_holds_nan, value))
    return isinstance(value, float) and value != value


def are_missing(keys: list[str]) -> str:
    """Tell in words that these keys (one or more) are missing."""
    if len(keys) == 1:
        return f'the key {keys[0]!r} is missing'
    return f'the keys {", ".join(map(repr, keys))} are missing'


def _require_keys(kind: Any, mapping: Any, where: str) -> None:
    """Raise UserError for what is no mapping, or has an unknown key or lacks one."""
    if not isinstance(mapping, dict):
        raise UserError(
            f'{where}: expected a mapping with the keys {_names(kind)}, got {mapping!r}'
        )
    fields = _init_fields(kind)
    unknown = [str(key) for key in mapping if key not in fields]
    if unknown:
        raise UserError(f'{where}: unknown key {unknown[0]!r}; known: {_names(kind)}')
    missing = _missing(kind, mapping)
    if missing:
        raise UserError(f'{where}: {are_missing(missing)}')


def _init_fields(kind: Any) -> dict[str, dataclasses.Field]:
    """List the fields that the constructor of a dataclass takes, by name."""
    return {field.name: field for field in dataclasses.fields(kind) if field.init}


def _missing(kind: Any, mapping: dict) -> list[str]:
    """Keys that `kind` needs and the mapping lacks; of nested dataclasses as 'camera.width'."""
    hints = typing.get_type_hints(kind)
    missing = []
    for name, field in _init_fields(kind).items():
        required = field.default is field.default_factory is dataclasses.MISSING
        if required and name not in mapping:
            missing.append(name)
        candidates = (hints[name], *typing.get_args(hints[name]))
        nested = [candidate for candidate in candidates if dataclasses.is_dataclass(candidate)]
        if nested and isinstance(mapping.get(name), dict):
            missing += [f'{name}.{inner}' for inner in _missing(nested[0], mapping[name])]
    return missing


def _names(kind: type) -> str:
    return ', '.join(_init_fields(kind))


def _convert(hint: Any, value: Any, where: str) -> Any:
    """Convert the value to the type that `hint` names. Raises UserError."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return config_from_mapping(hint, value, where)
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = next(argument for argument in arguments if argument is not type(None))
        return _convert(inner, value, where)
    if origin is tuple:
        return _convert_sequence(arguments, value, where)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint in (int, str, bool, float) and type(value) is hint:
        return value
    if hint is dict and isinstance(value, dict):
        return value
    raise UserError(f'{where} must be {getattr(hint, "__name__", hint)}, not {value!r}')


def _convert_sequence(arguments: tuple, value: Any, where: str) -> tuple:
    """Convert a list to a tuple of the types in `arguments`; (X, ...) takes any number of X."""
    if not isinstance(value, (list, tuple)):
        raise UserError(f'{where} must be a list, not {value!r}')
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise UserError(f'{where} must have {len(arguments)} values, not {len(value)}')
    return tuple(
        _convert(kind, item, f'{where}[{index}]')
        for index, (kind, item) in enumerate(zip(arguments, value))
    )


@functools.cache
def field_comments(kind: type) -> dict[str, str]:
    """Read what the source says of a dataclass's fields: the `#:` lines directly above each.

    They are the only description of a field; the ROS parameters that set it take theirs from here.

    Parameters
    ----------
    kind : type
        A dataclass; fields that it inherits count.

    Returns
    -------
    dict of str to str
        Text by name of the field, its lines joined by spaces; without the fields that have none.

    Raises
    ------
    LookupError
        When the source of the class is not there.
    """
    comments: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= _comments_in(base)
    return comments


def field_comment(kind: type, name: str) -> str:
    """Give one of `field_comments`.

    Raises
    ------
    LookupError
        When the field has no comment, or the source of the class is not there.
    """
    comments = field_comments(kind)
    if name not in comments:
        raise LookupError(
            f'{kind.__qualname__}.{name} has no comment: write lines that begin with #: '
            'directly above the field'
        )
    return comments[name]


def _comments_in(kind: type) -> dict[str, str]:
    """Read the comments in the body of one class, without those of its bases."""
    try:
        path = inspect.getsourcefile(kind) or ''
        lines = linecache.getlines(path)
        body = (
            _class_alone(lines, kind.__qualname__) or _classes_of(path)[kind.__qualname__]
        ).body
    except (OSError, TypeError, KeyError) as error:
        raise LookupError(
            f'the source of {kind.__qualname__} is not there: install the package with its '
            'source files, the comments of the fields are read from them'
        ) from error
    comments = {}
    for statement in body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            above = reversed(lines[: statement.lineno - 1])
            stripped = (line.strip() for line in above)
            block = [*itertools.takewhile(lambda line: line.startswith('#:'), stripped)]
            if block:
                words = (line[2:].strip() for line in reversed(block))
                comments[statement.target.id] = ' '.join(words)
    return comments


def _class_alone(lines: list[str], name: str) -> ast.ClassDef | None:
    """Parse one class of the outermost level, with its line numbers; None where it takes more.

    A node asks for dozens of classes when it starts, and whole files take four times as long.
    """
    is_start = re.compile(rf'class {re.escape(name)}\b').match
    start = next((number for number, line in enumerate(lines) if is_start(line)), None)
    if start is None:
        return None
    rest = enumerate(lines[start + 1 :], start + 1)
    end = next((number for number, line in rest if re.match(r'[^\s)#]', line)), len(lines))
    try:
        module = ast.parse('\n' * start + ''.join(lines[start:end]))
    except SyntaxError:  # something in it is not indented
        return None
    found = module.body[0]
    return found if isinstance(found, ast.ClassDef) else None


@functools.cache
def _classes_of(path: str) -> dict[str, ast.ClassDef]:
    """Find the classes of a source file by qualified name."""
    classes: dict[str, ast.ClassDef] = {}
    pending: list[tuple[str, ast.AST]] = [('', ast.parse(''.join(linecache.getlines(path))))]
    while pending:
        prefix, parent = pending.pop()
        for child in ast.iter_child_nodes(parent):
            if isinstance(child, ast.ClassDef):
                classes[prefix + child.name] = child
                pending.append((f'{prefix}{child.name}.', child))
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                pending.append((f'{prefix}{child.name}.<locals>.', child))
            elif isinstance(child, ast.stmt):
                pending.append((prefix, child))
    return classes
