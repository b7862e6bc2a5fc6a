"""The WebSocket: one reader of the feed per process, one writer per connection."""
