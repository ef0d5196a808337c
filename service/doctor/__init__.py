"""What `oneglance doctor` looks at; one file a subject."""
