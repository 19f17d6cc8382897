"""A platform that is up, and what is asked of it. A package, so that its fixtures end with it."""
