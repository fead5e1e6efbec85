"""`gatectl`: the site's tool for technicians and the committee. One module a family of commands."""
