// What the address says about which tasks a board shows.
const NAMES = ["q", "label", "priority", "agent", "state", "mine"];

// What of the address is a filter.
export const filterQuery = (query) =>
  Object.fromEntries(NAMES.map((name) => [name, query[name]]).filter(([, value]) => value));
// The filter of the address as the API takes it. The state is not in it: it is a choice of columns.
export function apiFilter({ q, label, priority, agent, mine }) {
  const filter = { q, label, priority, assignedAgentId: agent, mine: mine && "true" };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}
export const isFiltering = (query) => Object.keys(filterQuery(query)).length > 0;
