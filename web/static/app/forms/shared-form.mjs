// A form of what others may change while it is open: what they save goes into the fields that were not changed here,
// and of the others it is told before it is replaced.
import { useEffect, useState } from "preact/hooks";
import { t } from "../words/language.mjs";
import { useForm } from "./form.mjs";

// now: what is saved, as it was read last. draftOf(now): its draft. read (async): reads it again.
// Returns {form, fields, submit}: `form` is that of useForm; `fields` is for its fields, which show what others saved.
// submit(send, done): `send` (async) is given the draft and that of what is saved, and sends what differs. It returns
// the draft that is saved then, null if nothing was sent. After that comes `done` (async).
export function useSharedForm({ now, draftOf, read, keepAs, unkept }) {
  const [before, setBefore] = useState(() => draftOf(now));
  const [clashes, setClashes] = useState([]);
  const form = useForm(before, keepAs, unkept);
  const take = (one) => {
    const saved = draftOf(one);
    setBefore(saved);
    const renewed = form.renew(saved);
    setClashes((known) => [...known, ...renewed.clashes]);
    return { ...renewed, saved };
  };
  useEffect(() => void take(now), [now]);
  const submit = (send, done) =>
    form.submit(async () => {
      // No event may have come of what others saved.
      const { draft, saved, clashes: fresh } = take(await read());
      if (fresh.length) {
        const message = t("Somebody else changed this too. Save again to replace it.");
        throw Object.assign(new Error(message), { status: 409 });
      }
      const sent = await send(draft, saved);
      if (!sent) return;
      setBefore(sent);
      setClashes([]);
      form.saved(sent);
      await done();
    });
  const open = clashes.filter((name) => form.draft[name] !== before[name]);
  const fields = { ...form, theirs: Object.fromEntries(open.map((name) => [name, before[name]])) };
  return { form, fields, submit };
}
