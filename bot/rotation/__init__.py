"""What a rotation is: values, tables and rules. Pure: no I/O, and nothing here imports another room."""
