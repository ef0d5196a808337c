"""Learning from a frozen teacher: its embeddings of the same crops are the student's targets."""
