# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""Sequences of faces that may become a person's track (see `visual_birth`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass
class Hypotheses:
    """Sequences that end at the newest image.

    mean: (S, D), covariance: (S, D, D) filtered states; log_ratio: (S,); members: (S, L) running
    numbers of the faces, -1 before the first; embedding: (S, E) sums; face: (S,) index of the last
    face, -1 where it is not in the newest image; missed: (S,) images since; waited: (S,) faces
    beyond the full length.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_ratio: np.ndarray
    members: np.ndarray
    embedding: np.ndarray
    face: np.ndarray
    missed: np.ndarray
    waited: np.ndarray

    def __len__(self) -> int:
        return len(self.log_ratio)

    def select(self, index: np.ndarray) -> Hypotheses:
        """Those of the given indices."""
        return Hypotheses(*(getattr(self, name)[index] for name in self.__dataclass_fields__))

    def append(self, other: Hypotheses) -> Hypotheses:
        """Both together, the others last."""
        if self.embedding.shape[1] != other.embedding.shape[1]:
            # The size changes once, when the first embedding ever arrives.
            zeros = np.zeros((len(other), self.embedding.shape[1]))
            other = replace(other, embedding=zeros)
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__dataclass_fields__)
        return Hypotheses(*(np.concatenate(pair) for pair in pairs))

    @property
    def length(self) -> np.ndarray:
        """(S,) number of faces."""
        return (self.members >= 0).sum(1)


def shares_faces(members: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """(B,) bool: sequences (B, L) with a face of the chosen one (L,); -1 is no face yet."""
    return np.any(np.isin(members, chosen[chosen >= 0]), axis=1)
