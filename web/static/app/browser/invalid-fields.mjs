// Fields that the browser refuses before anything is sent. It says why beside a field that is shown, and nothing at all
// about one that is folded away.
export function unfoldInvalidFields() {
  const unfold = ({ target }) => {
    for (let folded = target; (folded = folded.closest("details:not([open])"));) folded.open = true;
  };
  addEventListener("invalid", unfold, true);
}
