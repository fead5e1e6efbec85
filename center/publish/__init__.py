"""The signed whitelist repository of a site: proposing, signing, accepting, publishing. See protocol.repository."""
