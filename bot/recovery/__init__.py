"""Recovery of rotations whose record is lost: finds them from the control plane alone, and completes or undoes them."""
