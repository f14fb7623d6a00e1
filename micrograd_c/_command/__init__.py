"""What `python -m micrograd_c` shows: trainings, figures, and the pure-Python class beside."""
