"""What people see, built only from a rotation. Pure: the same record gives the same blocks."""
