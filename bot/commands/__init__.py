"""What `keyturn status`, `show` and `resume` do; they need the store alone, neither Slack nor AISIX."""
