"""How fast Keyturn is, and how much of it there may be: `make bench`. Ratios of one run; nothing is asserted."""
