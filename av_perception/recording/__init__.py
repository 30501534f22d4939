"""A recording on disk: sound, images, truth; and the tables of truth and tracks."""

from av_perception.recording.tables import TrackTable, TruthTable

__all__ = ['TrackTable', 'TruthTable']
