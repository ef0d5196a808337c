"""Who may ask for what: API keys, their scopes and collections, and how often."""
