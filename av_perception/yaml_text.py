"""YAML as people write it: what is given twice is refused, not silently the last one."""

from __future__ import annotations

import yaml


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, for which a key that stands twice in a mapping is an error."""

    def construct_mapping(self, node, deep=False):
        """The mapping of a node. Raises yaml.constructor.ConstructorError."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        keys = [key for key in keys if key != '<<']   # several merges are allowed
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f'the key {twice!r} is there twice', node.start_mark
            )
        return super().construct_mapping(node, deep)


def load_yaml(text: str):
    """What the text holds. Raises yaml.YAMLError for whatever cannot be understood."""
    try:
        return yaml.load(text, Loader=_UniqueKeys)
    except RecursionError as error:
        raise yaml.YAMLError('it is nested too deeply') from error
    except (ValueError, TypeError) as error:   # such as a day that is in no month
        raise yaml.YAMLError(str(error)) from error
