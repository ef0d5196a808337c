"""The paper's table, column by column: what its losses do under protocols that are named."""
