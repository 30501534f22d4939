# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Build a ROS 2 interface package as a wheel against the ROS wheels of the running environment.

Only g++ is needed, no CMake. The generators, headers and libraries are those the wheels lay into
the environment (`<prefix>/share`, `<prefix>/include`, `<prefix>/lib`). The libraries must land in
`<prefix>/lib`, where the type-support dispatcher looks for them by name; hence an ordinary
install, never an editable one.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor

from setuptools import Distribution, setup

PREFIX = pathlib.Path(sys.prefix)
RUNTIME = ('rosidl_runtime_c', 'rcutils')
KINDS = ('msg', 'srv')


class BinaryDistribution(Distribution):
    """A distribution that is bound to the platform."""

    def has_ext_modules(self):
        """Tell that the wheel holds libraries."""
        return True


def run_in_environment(code: str, folder: pathlib.Path) -> str:
    """Run Python code with the environment's own modules, also when pip builds in isolation.

    Parameters
    ----------
    code
        What to run.
    folder
        Where to run it.

    Returns
    -------
    str
        What it printed.
    """
    env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'PYTHONNOUSERSITE')}
    env['AMENT_PREFIX_PATH'] = str(PREFIX)
    command = [sys.executable, '-c', code]
    return subprocess.run(
        command, check=True, cwd=folder, env=env, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


class InterfaceBuild:
    """One interface package: generate the sources, compile them, lay out the wheel."""

    def __init__(self, folder: pathlib.Path):
        manifest = (folder / 'package.xml').read_text()
        self.folder = folder
        self.name = re.search(r'<name>(.*?)</name>', manifest)[1]
        self.version = re.search(r'<version>(.*?)</version>', manifest)[1]
        self.kinds = [kind for kind in KINDS if (folder / kind).is_dir()]
        self.interfaces = [
            f'{kind}/{p.name}'
            for kind in self.kinds
            for p in sorted((folder / kind).glob(f'*.{kind}'))
        ]
        self.generated = folder / 'build' / 'generated'
        self.libraries = folder / 'build' / 'libraries'
        known = [
            p.name
            for p in sorted((PREFIX / 'share').glob('*'))
            if (p / 'msg').is_dir() and p.name != self.name
        ]
        self.known_packages = known
        self.dependencies = [
            d for d in known if d in manifest or d in ('builtin_interfaces', 'service_msgs')
        ]

    def generate(self):
        """Run the rosidl generators.

        They find their plugins through the environment, not through pip's build path. Each parses
        every interface, which is most of what it does: they share the trees, which they only read.
        """
        share = PREFIX / 'share'
        includes = [
            word for package in self.known_packages for word in ('-I', str(share / package))
        ]
        arguments = ['generate', '-o', str(self.generated), *includes, self.name, *self.interfaces]
        code = (
            f'import functools, sys; sys.argv[1:] = {arguments!r}; '
            'from rosidl_parser import parser; '
            'parse = functools.lru_cache(None)(parser.get_ast_from_idl_string); '
            'parser.get_ast_from_idl_string = parse; '
            'from rosidl_cli.cli import main; sys.exit(main())'
        )
        run_in_environment(code, self.folder)

    def include_flags(self) -> list[str]:
        """List where the headers are; generated ones are included as <package>/msg/..."""
        flags = [
            f'-I{sysconfig.get_paths()["include"]}',
            f'-I{run_in_environment("import numpy; print(numpy.get_include())", self.folder)}',
        ]
        for part in ('c', 'fastrtps_c', 'introspection_c'):
            headers = self.generated / 'include' / part
            headers.mkdir(parents=True, exist_ok=True)
            if not (headers / self.name).exists():
                (headers / self.name).symlink_to(self.generated / part)
            flags.append(f'-I{headers}')
        return [
            *flags,
            f'-I{PREFIX / "include"}',
            *(f'-I{p}' for p in (PREFIX / 'include').iterdir() if p.is_dir()),
        ]

    def compile(self, source: pathlib.Path, flags: list[str]) -> str:
        """Compile one object file; return its name."""
        compiler = ['g++', '-std=c++17'] if source.suffix == '.cpp' else ['gcc', '-std=gnu11']
        target = f'{source}.o'
        package = f'-DROS_PACKAGE_NAME="{self.name}"'
        options = ['-O1', '-fPIC', package, *flags]
        subprocess.run([*compiler, *options, '-c', str(source), '-o', target], check=True)
        return target

    def join(self, name: str, sources: list[pathlib.Path]) -> list[pathlib.Path]:
        """Let one C++ file include the others: their large headers are parsed once, not in each.

        Those in C stay apart, as they define the same static names.
        """
        joined = [source for source in sources if source.suffix == '.cpp']
        if len(joined) < 2:
            return sources
        one = self.generated / f'{name}.cpp'
        one.write_text(''.join(f'#include "{source.resolve()}"\n' for source in joined))
        return [one, *(source for source in sources if source.suffix != '.cpp')]

    def link(self, target: pathlib.Path, sources, libraries: list[str], flags: list[str]):
        """Compile the sources and link one shared library."""
        sources = self.join(target.stem, sorted(sources))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda source: self.compile(source, flags), sources))
        output = ['-shared', '-o', str(target), f'-Wl,-soname,{target.name}']
        folders = [
            f'-L{self.libraries}',
            f'-L{PREFIX / "lib"}',
            f'-Wl,-rpath-link,{PREFIX / "lib"}',
        ]
        names = [f'-l{name}' for name in libraries]
        subprocess.run(['g++', *output, *objects, *folders, *names], check=True)

    def build(self):
        """Generate, compile and link everything, in the order the libraries need each other."""
        self.generate()
        self.libraries.mkdir(parents=True, exist_ok=True)
        flags = self.include_flags()
        own = f'{self.name}__rosidl_generator_c'
        base = [*RUNTIME, *(f'{d}__rosidl_generator_c' for d in self.dependencies)]
        for kind, pattern, libraries in self._plan():
            peers = [f'{d}__{kind}' for d in self.dependencies]
            needed = [*libraries, *base, *peers]
            target = self.libraries / f'lib{self.name}__{kind}.so'
            self.link(target, self.generated.glob(pattern), needed, flags)
        python = self.generated / 'py'
        suffix = sysconfig.get_config_var('EXT_SUFFIX')
        needed = [
            f'{self.name}__rosidl_generator_py',
            f'{self.name}__rosidl_typesupport_c',
            own,
            'rosidl_typesupport_c',
            *base,
        ]
        source = python / f'_{self.name}_s.ep.rosidl_typesupport_c.c'
        target = python / f'{self.name}_s__rosidl_typesupport_c{suffix}'
        self.link(target, [source], needed, flags)
        self.write_index()

    def _plan(self) -> list[tuple[str, str, list[str]]]:
        """List kind, pattern of the sources and libraries of every shared library, in order."""
        own = f'{self.name}__rosidl_generator_c'
        fastrtps = [
            'rosidl_typesupport_fastrtps_c',
            'rosidl_typesupport_fastrtps_cpp',
            'fastcdr',
            'rmw',
        ]
        introspection = 'rosidl_typesupport_introspection_c'
        typesupport = f'{self.name}__rosidl_typesupport_c'
        return [
            ('rosidl_generator_c', 'c/*/detail/*.c', []),
            (
                'rosidl_typesupport_fastrtps_c',
                'fastrtps_c/*/detail/*.cpp',
                [own, *fastrtps],
            ),
            (introspection, 'introspection_c/*/detail/*.c', [own, introspection]),
            ('rosidl_typesupport_c', 'c/*/*.cpp', [own, 'rosidl_typesupport_c']),
            ('rosidl_generator_py', 'py/*/*.c', [own, typesupport]),
        ]

    def write_index(self):
        """Write the markers by which the ament index knows the package."""
        for kind, text in (('packages', ''), ('rosidl_interfaces', '\n'.join(self.interfaces))):
            folder = self.generated / 'index' / kind
            folder.mkdir(parents=True, exist_ok=True)
            (folder / self.name).write_text(text)

    def data_files(self) -> list[tuple[str, list[str]]]:
        """List what goes where under the prefix."""

        def relative(paths):
            return sorted(str(p.relative_to(self.folder)) for p in paths)

        def marker(kind):
            target = f'share/ament_index/resource_index/{kind}'
            return target, relative([self.generated / 'index' / kind / self.name])

        def definitions(kind):
            return [
                *self.folder.glob(f'{kind}/*.{kind}'),
                *self.generated.glob(f'c/tmp/{kind}/*.idl'),
                *self.generated.glob(f'c/{kind}/*.json'),
            ]

        return [
            ('lib', relative(self.libraries.glob('*.so'))),
            (f'share/{self.name}', ['package.xml']),
            *((f'share/{self.name}/{kind}', relative(definitions(kind))) for kind in self.kinds),
            *(marker(kind) for kind in ('packages', 'rosidl_interfaces')),
        ]


def setup_interface_package(folder: pathlib.Path):
    """Do the whole of an interface package's setup.py."""
    package = InterfaceBuild(folder)
    for kind in package.kinds:
        (package.generated / 'py' / kind).mkdir(parents=True, exist_ok=True)
    (package.generated / 'py' / '__init__.py').touch()
    building = 'bdist_wheel' in sys.argv
    if building:
        package.build()
    setup(
        name=package.name,
        version=package.version,
        packages=[package.name, *(f'{package.name}.{kind}' for kind in package.kinds)],
        package_dir={
            package.name: 'build/generated/py',
            **{f'{package.name}.{kind}': f'build/generated/py/{kind}' for kind in package.kinds},
        },
        package_data={package.name: ['*.so']},
        data_files=package.data_files() if building else [],
        distclass=BinaryDistribution,
        zip_safe=False,
    )
