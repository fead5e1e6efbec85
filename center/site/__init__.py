"""A site's folder: its keys, its authority, its broker's rules, its gates. Made and changed by `gatectl`."""
