"""Rotations whose record is lost: found from the control plane alone, and brought to an end."""
