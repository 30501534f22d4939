# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the files that ship with the package (config, launch) and the test data are."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from av_perception.errors import UserError


def share_directory() -> Path:
    """The folder that holds `config/` and `launch/`: the source tree if we run from it, else `<prefix>/share/av_perception`."""
    source_tree = Path(__file__).resolve().parent.parent
    if (source_tree / 'package.xml').is_file() and (source_tree / 'config').is_dir():
        return source_tree
    prefixes = [
        Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p
    ] + [Path(sys.prefix)]
    for prefix in prefixes:
        share = prefix / 'share' / 'av_perception'
        if (share / 'config').is_dir():
            return share
    raise UserError(
        'the config folder of av_perception was not found: source the workspace (. install/setup.bash) or reinstall the package'
    )


def resolve_resource(name_or_path: str, folder: str, suffix: str = '.yaml') -> Path:
    """A file named on its own (`nao`) from `config/<folder>/`, or any path as given.

    Raises UserError that lists the names that exist.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix == suffix and path.is_file():
        return path.resolve()
    shipped = share_directory() / 'config' / folder
    candidate = shipped / f'{name_or_path}{suffix}'
    if candidate.is_file():
        return candidate
    names = ', '.join(sorted(p.stem for p in shipped.glob(f'*{suffix}')))
    raise UserError(
        f"no file '{name_or_path}' and no {folder[:-1]} of that name; known: {names}; or give the path of a {suffix} file"
    )


def cache_directory() -> Path:
    """Where downloaded assets and learnt maps are kept between runs.

    `AV_PERCEPTION_CACHE`, else the user's cache folder. It is a convenience: where it cannot be
    written this process goes on with a folder of its own, says so once and removes it at its end.
    """
    try:
        path = _wanted_cache()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # a learnt map tells of the room
        with tempfile.TemporaryFile(dir=path):  # whether it can be written shows only this way
            return path
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        return _cache_of_this_process(getattr(error, 'strerror', None) or str(error))


def _wanted_cache() -> Path:
    given = os.environ.get('AV_PERCEPTION_CACHE')
    if given:
        return Path(given).expanduser()
    base = os.environ.get('XDG_CACHE_HOME')
    return (Path(base) if base else Path.home() / '.cache') / 'av_perception'


_own_caches: list[Path] = []


def _cache_of_this_process(reason: str) -> Path:
    """A temporary folder, made and told at the first call. Raises UserError without any."""
    if not _own_caches:
        try:
            folder = Path(tempfile.mkdtemp(prefix='av_perception_cache_'))
        except OSError as error:
            raise UserError(
                f'no folder can be written, neither a cache ({reason}) nor a temporary one '
                f'({error.strerror}): set AV_PERCEPTION_CACHE or TMPDIR'
            ) from error
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _own_caches.append(folder)
        print(
            f'av-perception: warning: the cache cannot be written ({reason}), nothing is kept between '
            'runs: set AV_PERCEPTION_CACHE to a folder that can be written',
            file=sys.stderr,
        )
    return _own_caches[0]
