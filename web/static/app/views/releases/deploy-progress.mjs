// What deployments that are under way say of themselves.
import { useEffect, useState } from "preact/hooks";
import { listen } from "../../server/live-events.mjs";

// {deployment id: the newest message}, of those that said something since the view was opened.
export function useDeployProgress() {
  const [said, setSaid] = useState({});
  useEffect(
    () =>
      listen(({ event, data }) => {
        if (event === "deploy:progress") setSaid((old) => ({ ...old, [data.deploymentId]: data.message }));
      }),
    [],
  );
  return said;
}
