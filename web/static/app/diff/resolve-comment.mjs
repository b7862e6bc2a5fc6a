// Whether a comment on a task is settled, and the button that says so or opens it again.
import { Button, Time } from "../components/controls.mjs";
import { html } from "../components/html.mjs";
import { hasRole } from "../server/session.mjs";
import { actorName } from "../state/actors.mjs";
import { t } from "../words/language.mjs";

export function ResolvedBy({ comment: { resolvedBy, resolvedAt } }) {
  const name = actorName(resolvedBy) || t("Someone");
  return html`<span class="muted">${t("Resolved by {name}", { name })} <${Time} at=${resolvedAt} /></span>`;
}

// act(comment): async.
export const ResolveButton = ({ comment, act }) =>
  comment.kind === "comment" &&
  hasRole("member") &&
  html`<${Button} small kind="ghost" testid="comment-resolve" act=${() => act(comment)}>
  ${comment.resolvedAt ? t("Reopen") : t("Resolve")}
<//>`;
