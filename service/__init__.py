"""Online: the HTTP service. Never imports training."""
