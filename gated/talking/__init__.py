"""Talking with the center: what only a gate with a center imports."""
