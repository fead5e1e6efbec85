"""The daemon of one gate post: configuration, lanes, decision, journal, whitelist, command line."""

__version__ = "0.1.0"
