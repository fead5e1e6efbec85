"""The center's database: what is kept, how it is written, read, and what of it goes."""
