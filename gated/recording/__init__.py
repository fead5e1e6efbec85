"""Recording: the journal, how it is written, read and mended, and the one way to write a file."""
