"""Diagnosis: why a device is wrong: the mistakes that reproduce what it gave."""
