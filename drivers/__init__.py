"""The hardware: opens ports, runs the codecs of `protocol`, keeps devices alive."""
