"""What people see, made from a rotation alone. Pure: the same record gives the same blocks."""
