"""What agents call: registration, heartbeats, claims, reports, transcripts and tools, and people's messages to them."""
