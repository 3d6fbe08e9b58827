"""Messages to people and webhooks: what is to be told is found by comparing what is with what was told."""
