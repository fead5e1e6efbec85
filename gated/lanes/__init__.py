"""Lanes: what their readers see becomes passages, decided, written down, and the barrier opened."""
