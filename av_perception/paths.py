# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Where the files that ship with the package (config, launch) and the test data are."""

from __future__ import annotations

import atexit
import importlib.metadata
import os
import shutil
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from av_perception.errors import UserError
from av_perception.files import is_file

_SHARE = Path('share') / 'av_perception'  # below an installation's prefix, as ament wants it


def share_directory() -> Path:
    """Find the folder that holds `config/` and `launch/`.

    Returns
    -------
    Path
        The source tree if we run from it, else `share/av_perception` of the installation this
        module belongs to, or else of the colcon workspace or the Python environment.

    Raises
    ------
    UserError
        When there is none.
    """
    source_tree = Path(__file__).resolve().parent.parent
    if (source_tree / 'package.xml').is_file() and (source_tree / 'config').is_dir():
        return source_tree
    for share in _installed_shares():
        if (share / 'config').is_dir():
            return share
    raise UserError(
        'the config folder of av_perception was not found: source the workspace '
        '(. install/setup.bash) or reinstall the package'
    )


def _installed_shares() -> Iterator[Path]:
    """Every path at which an installation may keep the folder, the surest first.

    `pip install` puts data files below the prefix that it installs into: the environment's, the
    user's with --user, the one given with --prefix, or the very target folder with --target.
    """
    yield from _recorded_shares()
    # The prefix is some folders above this file: <prefix>/lib/python3.x/site-packages.
    for folder in Path(__file__).resolve().parents:
        yield folder / _SHARE
    prefixes = os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
    prefixes += [sysconfig.get_path('data'), sys.prefix, site.getuserbase()]
    for prefix in filter(None, prefixes):
        yield Path(prefix) / _SHARE


def _recorded_shares() -> Iterator[Path]:
    """Look into the installer's own list of the files of this installation."""
    package = Path(__file__).resolve().parent
    for distribution in importlib.metadata.distributions(
        name='av_perception', path=[str(package.parent)]
    ):
        for file in distribution.files or ():
            path = Path(str(distribution.locate_file(file))).resolve()
            if file.name == 'package.xml' and path.parent.parts[-2:] == _SHARE.parts:
                yield path.parent


def resolve_resource(name_or_path: str, folder: str, suffix: str = '.yaml') -> Path:
    """Find a file by the name of one that is shipped (`nao`) or by its path.

    Parameters
    ----------
    name_or_path
        Name without suffix of a file in `config/<folder>/`, or the path of a file.
    folder
        Folder below `config/`, in the plural (`heads`).
    suffix
        Of the file, also of one that is given by its path.

    Returns
    -------
    Path
        The file, which exists; absolute.

    Raises
    ------
    UserError
        When there is none; it lists the names that exist.
    """
    try:
        path = Path(name_or_path).expanduser()
    except RuntimeError as error:  # of a user that there is not
        raise UserError(f"no file '{name_or_path}': {error}") from error
    if path.suffix == suffix and is_file(path):
        return path.resolve()
    shipped = share_directory() / 'config' / folder
    candidate = shipped / f'{name_or_path}{suffix}'
    # A name may lead into the folder (`small_array/turns`), but not out of it.
    is_inside = candidate.is_relative_to(shipped) and '..' not in path.parts
    if is_inside and is_file(candidate):
        return candidate
    names = ', '.join(sorted(p.stem for p in shipped.glob(f'*{suffix}')))
    raise UserError(
        f"no file '{name_or_path}' and no {folder[:-1]} of that name; known: {names}; "
        f'or give the path of a {suffix} file'
    )


def cache_directory() -> Path:
    """Make the folder in which downloaded assets and learned maps are kept between runs.

    It is a convenience: where it cannot be written this process goes on with a folder of its own,
    says so once and removes it at its end.

    Returns
    -------
    Path
        The folder of `cache_location`, else a temporary one.

    Raises
    ------
    UserError
        When no temporary folder can be written either.
    """
    try:
        path = cache_location()
        path.mkdir(mode=0o700, parents=True, exist_ok=True)  # a learned map tells of the room
        with tempfile.TemporaryFile(dir=path):  # whether it can be written shows only this way
            return path
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        return _cache_of_this_process(getattr(error, 'strerror', None) or str(error))


def cache_location() -> Path:
    """Name the folder of the cache, whether it is there or not.

    Returns
    -------
    Path
        `AV_PERCEPTION_CACHE`, else `av_perception` in the user's cache folder.

    Raises
    ------
    RuntimeError
        When the user has no home.
    """
    given = os.environ.get('AV_PERCEPTION_CACHE')
    if given:
        return Path(given).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return Path(base) / 'av_perception'


_own_caches: list[Path] = []


def _cache_of_this_process(reason: str) -> Path:
    """Make a temporary folder, and tell so, at the first call. Raises UserError without any."""
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
            f'av-perception: warning: the cache cannot be written ({reason}), nothing is kept '
            'between runs: set AV_PERCEPTION_CACHE to a folder that can be written',
            file=sys.stderr,
        )
    return _own_caches[0]
