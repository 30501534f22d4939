"""Audio-visual clustering by exact EM: weighted-data mixtures, audio-visual events, the two-microphone mode, microphone calibration."""

from av_perception.clustering.estimator import WeightedDataGaussianMixture

__all__ = ['WeightedDataGaussianMixture']
