"""The five columns of the paper's table whose data are at hand, in one resumable command."""
