"""A grid is a finite map from code to exact real; one kind, one file."""
