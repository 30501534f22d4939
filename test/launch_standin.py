"""A small stand-in for the part of `launch` and `launch_ros` that our launch files use: no registry of Python packages has the real ones.

It resolves a launch file to the processes it would start. It checks names, files, parameters and remappings, not launch itself.
"""

from __future__ import annotations

import os
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
class EnvironmentVariable:
    name: str
    default_value: str = ''


@dataclass
class IfCondition:
    predicate: object
    wanted = True


class UnlessCondition(IfCondition):
    wanted = False


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: object = None
    description: str = ''


@dataclass
class LogInfo:
    msg: object


@dataclass
class SetEnvironmentVariable:
    name: str
    value: object


@dataclass
class ParameterValue:
    value: object
    value_type: type = str


@dataclass
class Shutdown:
    reason: str = ''


@dataclass
class Node:
    package: str
    executable: str
    name: str = ''
    exec_name: str = ''
    namespace: object = ''
    output: str = 'log'
    prefix: str | None = None
    condition: IfCondition | None = None
    parameters: list = field(default_factory=list)
    arguments: list = field(default_factory=list)
    remappings: list = field(default_factory=list)
    respawn: object = False
    respawn_delay: float = 0.0
    on_exit: object = None


@dataclass
class IncludeLaunchDescription:
    source: object
    launch_arguments: object = ()


@dataclass
class LaunchDescription:
    entities: list


@dataclass(frozen=True)
class Process:
    """One process as launch would start it; command: what follows the executable."""

    package: str
    executable: str
    name: str
    namespace: str
    parameters: dict
    params_files: tuple
    arguments: tuple
    remappings: dict
    respawn: bool
    environment: dict

    def command(self) -> list[str]:
        """The words after the executable."""
        words = ['--ros-args', *(['-r', f'__node:={self.name}'] if self.name else []), *(['-r', f'__ns:=/{self.namespace}'] if self.namespace else [])]
        words += [word for file in self.params_files for word in ('--params-file', file)]
        words += [word for a, b in self.remappings.items() for word in ('-r', f'{a}:={b}')]
        return [*self.arguments, *words, *(word for n, v in self.parameters.items() for word in ('-p', f'{n}:={_yaml(v)}'))]


def _yaml(value) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def _modules() -> dict:
    def module(name, **content):
        made = types.ModuleType(name)
        made.__dict__.update(content)
        return made
    return {m.__name__: m for m in (
        module('launch', LaunchDescription=LaunchDescription),
        module('launch.actions', DeclareLaunchArgument=DeclareLaunchArgument, IncludeLaunchDescription=IncludeLaunchDescription,
               LogInfo=LogInfo, SetEnvironmentVariable=SetEnvironmentVariable, Shutdown=Shutdown),
        module('launch.launch_description_sources', PythonLaunchDescriptionSource=lambda path: path),
        module('launch.substitutions', LaunchConfiguration=LaunchConfiguration, PythonExpression=PythonExpression, EnvironmentVariable=EnvironmentVariable),
        module('launch.conditions', IfCondition=IfCondition, UnlessCondition=UnlessCondition),
        module('launch_ros'), module('launch_ros.actions', Node=Node),
        module('launch_ros.parameter_descriptions', ParameterValue=ParameterValue))}


def resolve(path: Path, given: dict | None = None) -> tuple[list[Process], dict]:
    """(processes, declared arguments) of a launch file under the given arguments. AssertionError for an undeclared argument."""
    resolver = _Resolver(dict(given or {}))
    resolver.read(path)
    unknown = set(given or {}) - set(resolver.declared)
    assert not unknown, f'{path.name} does not declare {unknown}'
    return resolver.processes, resolver.declared


def resolve_said(path: Path, given: dict | None = None) -> tuple[list[Process], list[str]]:
    """(processes, what launch prints at start) of a launch file under the given arguments."""
    resolver = _Resolver(dict(given or {}))
    resolver.read(path)
    return resolver.processes, resolver.said


class _Resolver:
    """As in launch, an included file shares the configurations of the one that includes it."""

    def __init__(self, values: dict):
        self.values, self.declared, self.environment, self.processes = values, {}, {}, []
        self.said: list[str] = []   # what launch prints at start

    def read(self, path: Path) -> None:
        with mock.patch.dict(sys.modules, _modules()), mock.patch('ament_index_python.packages.get_package_share_directory', lambda name: str(SHARE)):
            description = runpy.run_path(str(path))['generate_launch_description']()
        for entity in description.entities:
            self.take(entity)

    def take(self, entity) -> None:
        if isinstance(entity, DeclareLaunchArgument):
            self.declared.setdefault(entity.name, entity)
            if entity.name not in self.values:
                self.values[entity.name] = self.text(entity.default_value)
        elif isinstance(entity, SetEnvironmentVariable):
            self.environment[entity.name] = self.text(entity.value)
        elif isinstance(entity, LogInfo):
            self.said.append(self.text(entity.msg))
        elif isinstance(entity, IncludeLaunchDescription):
            self.values.update({name: self.text(value) for name, value in entity.launch_arguments})
            self.read(Path(entity.source))
        elif isinstance(entity, Node):
            if self.holds(entity.condition):
                self.processes.append(self.process(entity))
        else:
            raise TypeError(f'the stand-in does not know {entity!r}')

    def process(self, node: Node) -> Process:
        files = tuple(self.text(p) for p in node.parameters if not isinstance(p, dict))
        merged = {k: self.typed(v) for p in node.parameters if isinstance(p, dict) for k, v in p.items()}
        return Process(node.package, node.executable, node.name, self.text(node.namespace), merged, files, tuple(map(self.text, node.arguments)),
                       {self.text(a): self.text(b) for a, b in node.remappings}, str(self.text(node.respawn)).lower() == 'true', dict(self.environment))

    def text(self, value):
        if isinstance(value, LaunchConfiguration):
            return self.values[value.name]
        if isinstance(value, EnvironmentVariable):
            return os.environ.get(value.name, value.default_value)
        if isinstance(value, PythonExpression):
            return str(eval(self.text(value.parts), {}, {}))
        return ''.join(map(self.text, value)) if isinstance(value, (list, tuple)) else value

    def typed(self, value):
        if not isinstance(value, ParameterValue):
            return self.text(value)
        string = str(self.text(value.value))
        return string.lower() == 'true' if value.value_type is bool else value.value_type(string)

    def holds(self, condition) -> bool:
        return condition is None or (str(self.text(condition.predicate)).lower() in ('true', '1')) == condition.wanted
