"""The statements, shared by SQLite and PostgreSQL; one file a table."""
