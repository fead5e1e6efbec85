"""Acme ProxLine readers for gated: the codec in `lines`, the driver in `reader`."""
