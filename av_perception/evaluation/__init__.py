"""Figures of merit of tracks against the truth, and the pictures of them.

The names below are loaded on first use: a node that only wants the palette does not pay for the metric libraries.
"""

from importlib import import_module

_HOMES = {'evaluate': 'metrics', 'Metrics': 'metrics', 'Scores': 'metrics', 'plot_timeline': 'timeline', 'draw_overlay': 'overlay',
          'PersonDrawing': 'overlay'}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)
