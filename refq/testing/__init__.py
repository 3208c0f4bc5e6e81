"""Testing: golden vectors and laws for other people's tests."""
