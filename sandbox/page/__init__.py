"""A workspace in the browser: the sandbox's Slack as a person sees it, and its AISIX beside it."""
