"""Figures of merit of tracks, boxes and diarization against the truth."""
