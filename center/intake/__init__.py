"""Taking in: what gates say, judged, and answered after the commit."""
