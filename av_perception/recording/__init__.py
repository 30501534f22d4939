# Copyright 2026 The av_perception developers
# SPDX-License-Identifier: Apache-2.0
"""A recording on disk: sound, images, truth; and the tables of truth and tracks."""

from av_perception.recording.recording import Recording, RecordingInfo, RecordingWriter
from av_perception.recording.tables import TrackTable, TruthTable

__all__ = ['Recording', 'RecordingInfo', 'RecordingWriter', 'TrackTable', 'TruthTable']
