"""The demonstration: a whole gate post on emulated devices, with the real daemon in its middle."""
