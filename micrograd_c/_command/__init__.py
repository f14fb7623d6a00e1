"""Parts of `python -m micrograd_c`: trainings, figures, and the pure-Python class to compare."""
