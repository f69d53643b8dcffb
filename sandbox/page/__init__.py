"""A page in the browser: the sandbox's Slack as a person sees it, next to its AISIX."""
