"""Audio-visual clustering by exact EM: weighted-data mixtures, audio-visual events, the two-microphone mode, microphone calibration."""
