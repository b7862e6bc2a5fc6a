"""Value objects that services, providers, jobs, the runner and the supervisor exchange: frozen dataclasses.

They have no side effects. `json_codec` writes each of them as JSON and reads it back.
"""
