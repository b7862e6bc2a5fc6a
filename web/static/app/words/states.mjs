// Generated from common/values/states.py by `python -m tests.web.page_states`; not to be edited.

// Roles and priorities from the lowest to the highest; states in the order of their usual course.
export const ROLES = ["viewer", "member", "maintainer", "admin"];
export const PRIORITIES = ["low", "medium", "high", "urgent"];
export const ENVIRONMENTS = ["preview", "staging", "production"];
export const TASK_STATES = [
  "backlog",
  "in_progress",
  "needs_input",
  "ready_to_test",
  "approved",
  "staging",
  "production",
  "failed",
  "cancelled",
];
export const AGENT_STATES = ["starting", "idle", "busy", "draining", "offline", "error"];
export const JOB_STATES = ["queued", "running", "done", "failed", "cancelled"];

// From which states a person may cancel or drain, in which states a group holds its tasks, and the
// states that a task never leaves.
export const CANCELLABLE_TASK_STATES = ["backlog", "in_progress", "needs_input", "ready_to_test", "approved"];
export const CANCELLABLE_GROUP_STATES = ["pending", "merging", "merged", "deploying_staging", "staging", "failed"];
export const LIVE_GROUP_STATES = [
  "pending",
  "merging",
  "merged",
  "deploying_staging",
  "staging",
  "deploying_production",
  "failed",
];
export const DRAINABLE_AGENT_STATES = ["starting", "idle", "busy", "offline", "error"];
export const FINAL_TASK_STATES = ["production", "cancelled"];
