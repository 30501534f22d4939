# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Bags that others recorded: their topics have other names, and some are left unread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from av_perception.errors import UserError

FOREIGN_SOUND = ('audio_common_msgs/msg/', 'naoqi_bridge_msgs/msg/AudioBuffer')
_MOST_NAMED = 8


def renamed(
    types: Mapping[str, str],
    rules: Sequence[str],
    wanted: Mapping[str, tuple[str, ...]],
    path: Path,
) -> dict[str, str]:
    """Apply FROM:=TO rules to the topics of a bag.

    Parameters
    ----------
    types
        Type by recorded topic.
    rules
        FROM is a recorded topic, TO a name that the suite reads, below no namespace.
    wanted
        The types that each such name may have; () for any.
    path
        Of the bag, in messages.

    Returns
    -------
    dict of str to str
        Recorded topic by the name under which it is to be seen. A renamed topic takes the place of
        one that was recorded under its new name.

    Raises
    ------
    UserError
        For a rule that is none, a topic that the bag has not, and one of another type.
    """
    moved: dict[str, str] = {}
    for rule in rules:
        recorded, name = _sides(rule)
        if recorded not in types:
            raise UserError(f'the bag {path} has no topic {recorded}, but {_named(types)}')
        _check_type(rule, types[recorded], name, wanted)
        moved[f'/{name}'] = recorded
    kept = {topic: topic for topic in types if topic not in moved.values()}
    return {**kept, **moved}


def _sides(rule: str) -> tuple[str, str]:
    """Divide FROM:=TO; a slash before TO may be. Raises UserError."""
    recorded, sign, name = (part.strip() for part in rule.partition(':='))
    name = name.lstrip('/')
    if not (recorded and sign and name):
        raise UserError(f"--remap needs FROM:=TO, as /camera/image:=left/image_raw: '{rule}'")
    return recorded, name


def _check_type(rule: str, kind: str, name: str, wanted: Mapping[str, tuple[str, ...]]) -> None:
    """Raise UserError where a topic of that kind cannot have that name."""
    if name not in wanted:
        raise UserError(f'--remap {rule}: {name} is none of {", ".join(wanted)}')
    if wanted[name] and kind not in wanted[name]:
        raise UserError(
            f'--remap {rule}: it is {kind}, {name} must be {" or ".join(wanted[name])}'
        )


def unread_problem(
    types: Mapping[str, str], pictures: tuple[str, ...], lacks_images: bool, lacks_sound: bool
) -> str:
    """Say which topics of a bag could be what it seems to lack.

    Parameters
    ----------
    types
        Type by recorded topic.
    pictures
        Types of images.
    lacks_images, lacks_sound
        Whether none are read, though the head has a camera, or microphones.

    Returns
    -------
    str
        A sentence, or ''.
    """
    words = []
    images = [topic for topic, kind in sorted(types.items()) if kind in pictures]
    if lacks_images and images:
        words.append(
            f'the images on {", ".join(images[:_MOST_NAMED])} are not read: name those of the '
            f'camera, --remap {images[0]}:=left/image_raw'
        )
    sounds = [topic for topic, kind in sorted(types.items()) if kind.startswith(FOREIGN_SOUND)]
    if lacks_sound and sounds:
        words.append(
            f'the sound on {", ".join(sounds[:_MOST_NAMED])} ({types[sounds[0]]}) is not read '
            'from bags: play it with ros2 bag play --clock into the launch file of the head, with '
            'use_sim_time:=true'
        )
    return '; '.join(words)


def _named(types: Mapping[str, str]) -> str:
    shown = sorted(types)[:_MOST_NAMED]
    more = f' and {len(types) - len(shown)} more' if len(types) > len(shown) else ''
    return ', '.join(shown) + more
