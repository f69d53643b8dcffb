"""The values, tables and rules of a rotation. Pure: no I/O, and no import from another room."""
