"""The list: looked up, loaded by hand, and flashed from the center."""
