"""A small stand-in for the part of `launch` and `launch_ros` that our launch files use: no registry of Python packages has the real ones.

It resolves a launch file to the processes it would start. It checks names, files, parameters and remappings, not launch itself.
"""

from __future__ import annotations

import runpy
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

SHARE = Path(__file__).resolve().parent.parent


@dataclass
class LaunchConfiguration:
    name: str


@dataclass
class PythonExpression:
    parts: list


@dataclass
class IfCondition:
    predicate: PythonExpression


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: object = None
    description: str = ''


@dataclass
class SetEnvironmentVariable:
    name: str
    value: object


@dataclass
class ParameterValue:
    value: object
    value_type: type = str


@dataclass
class Node:
    package: str
    executable: str
    name: str
    namespace: object = ''
    output: str = 'log'
    prefix: str | None = None
    condition: IfCondition | None = None
    parameters: list = field(default_factory=list)
    arguments: list = field(default_factory=list)


@dataclass
class IncludeLaunchDescription:
    source: object
    launch_arguments: object = ()


@dataclass
class LaunchDescription:
    entities: list


@dataclass(frozen=True)
class Process:
    """One process as launch would start it."""

    package: str
    executable: str
    name: str
    namespace: str
    parameters: dict
    params_files: tuple
    environment: dict


def _modules() -> dict:
    def module(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        return made
    return {m.__name__: m for m in (
        module('launch', LaunchDescription=LaunchDescription),
        module('launch.actions', DeclareLaunchArgument=DeclareLaunchArgument, IncludeLaunchDescription=IncludeLaunchDescription,
               SetEnvironmentVariable=SetEnvironmentVariable),
        module('launch.launch_description_sources', PythonLaunchDescriptionSource=lambda path: path),
        module('launch.substitutions', LaunchConfiguration=LaunchConfiguration, PythonExpression=PythonExpression),
        module('launch.conditions', IfCondition=IfCondition),
        module('launch_ros'), module('launch_ros.actions', Node=Node),
        module('launch_ros.parameter_descriptions', ParameterValue=ParameterValue))}


def resolve(path: Path, given: dict | None = None) -> tuple[list[Process], dict]:
    """(processes, declared arguments) of a launch file under the given arguments. KeyError for an undeclared argument."""
    with mock.patch.dict(sys.modules, _modules()), mock.patch('ament_index_python.packages.get_package_share_directory', lambda name: str(SHARE)):
        description = runpy.run_path(str(path))['generate_launch_description']()
    processes, declared, values, environment = [], {}, dict(given or {}), {}

    def text(value):
        return text(values[value.name]) if isinstance(value, LaunchConfiguration) else value

    def typed(value):
        if not isinstance(value, ParameterValue):
            return text(value)
        string = str(text(value.value))
        return string.lower() == 'true' if value.value_type is bool else value.value_type(string)

    def holds(condition):
        return condition is None or eval(''.join(text(part) for part in condition.predicate.parts))

    for entity in description.entities:
        if isinstance(entity, DeclareLaunchArgument):
            declared[entity.name] = entity
            values.setdefault(entity.name, entity.default_value)
        elif isinstance(entity, SetEnvironmentVariable):
            environment[entity.name] = text(entity.value)
        elif isinstance(entity, IncludeLaunchDescription):
            processes += resolve(Path(entity.source), {name: text(value) for name, value in entity.launch_arguments})[0]
        elif isinstance(entity, Node) and not holds(entity.condition):
            continue
        elif isinstance(entity, Node):
            files = tuple(text(p) for p in entity.parameters if not isinstance(p, dict))
            merged = {k: typed(v) for p in entity.parameters if isinstance(p, dict) for k, v in p.items()}
            processes.append(Process(entity.package, entity.executable, entity.name, text(entity.namespace), merged, files, dict(environment)))
        else:
            raise TypeError(f'the stand-in does not know {entity!r}')
    unknown = set(given or {}) - set(declared)
    assert not unknown, f'{path.name} does not declare {unknown}'
    return processes, declared
