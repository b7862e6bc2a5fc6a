"""The facts that services, providers, jobs, the runner and the supervisor share: one frozen dataclass each.

Nothing here reads or changes anything. `json_codec` writes and reads every one of them as JSON.
"""
