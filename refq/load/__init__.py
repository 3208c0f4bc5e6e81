"""Bytes to graphs: the only place that knows the formats of models."""
