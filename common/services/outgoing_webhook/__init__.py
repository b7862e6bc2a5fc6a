"""The outgoing webhook: its settings, the messages that events make, and their delivery."""
