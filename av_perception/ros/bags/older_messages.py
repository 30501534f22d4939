# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Messages of bags that were recorded before a field was added: the field is empty in them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from av_perception.ros.bags.bag_file import ADDED_FIELDS, TypeStore, rosbags


def updater(connection, store: TypeStore) -> Callable[[bytes], bytes] | None:
    """Make what turns a topic's recorded messages into those of today.

    Parameters
    ----------
    connection
        Of rosbags, whose definition `foreign_definition` takes for readable.
    store
        The definitions of today.

    Returns
    -------
    callable or None
        None when the definitions are the same.
    """
    definition = connection.msgdef
    if definition.format.name != 'MSG' or not definition.data:
        return None
    recorded = store.parse(definition.data, connection.msgtype)
    if not any(_lacking(recorded, name) for name in recorded):
        return None
    typesys = rosbags()[1]
    old = typesys.get_typestore(typesys.Stores.EMPTY)
    old.register(recorded)
    store.require(connection.msgtype)

    def update(data: bytes) -> bytes:
        message = old.deserialize_cdr(data, connection.msgtype)
        return bytes(store.types.serialize_cdr(_updated(message, store), connection.msgtype))

    return update


def updated(update: Callable[[bytes], bytes], data: bytes) -> bytes:
    """Update the bytes of a message; none where they hold no message."""
    try:
        return update(data)
    except Exception:  # the library raises many types for damaged bytes
        return b''


def _lacking(recorded, name: str) -> tuple[str, ...]:
    """List the fields that were added to a message since it was recorded."""
    known = {field for field, _ in recorded[name][1]}
    return tuple(field for field in ADDED_FIELDS.get(name, ()) if field not in known)


def _updated(value, store: TypeStore):
    """Convert a message of rosbags, or a list of them, to the type of today."""
    if isinstance(value, list):
        return [_updated(part, store) for part in value]
    name = getattr(value, '__msgtype__', '')
    if not name:
        return value
    fields = {key: _updated(part, store) for key, part in vars(value).items() if key[0] != '_'}
    for added in ADDED_FIELDS.get(name, ()):
        fields.setdefault(added, np.zeros(0, np.float32))
    return store.types.types[name](**fields)
