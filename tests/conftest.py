"""What all tests share."""

from hypothesis import HealthCheck, settings

# A busy machine is slow now and then; how long an example takes is no property of ours.
settings.register_profile("gated", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gated")
