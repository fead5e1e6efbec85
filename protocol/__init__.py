"""Every byte that goes over a wire, as pure functions and values.

No I/O, no clock, no logging, no asyncio: what is here can be called from anywhere and tested with plain values.
"""
