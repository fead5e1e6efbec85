"""The monitoring center and the site's tools: ingest, database, whitelist publishing, `gatectl`."""
