"""Prediction by a trained model: the predictor, the output folder, and the writers.

Knows images and models. Knows nothing of training.
"""
