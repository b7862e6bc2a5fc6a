// Sign-in. What went wrong is said beside the form, in the server's words.
import { useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../../components/html.mjs";
import { TextField } from "../../forms/fields.mjs";
import { FormError, useForm } from "../../forms/form.mjs";
import { signIn } from "../../server/api.mjs";
import { lastUsername, sessionExpired, storeUsername, user } from "../../server/session.mjs";
import { t } from "../../words/language.mjs";
import { LanguageChoice } from "./appearance.mjs";

export function LogIn() {
  const box = useRef();
  // The browser's own autofocus acts once, when the page is opened.
  useLayoutEffect(() => box.current.querySelector("[type=password]").focus(), []);
  const form = useForm({ username: lastUsername(), password: "" });
  const submit = form.submit(async ({ username, password }) => {
    user.value = await signIn(username.trim(), password);
    storeUsername(user.value.username);
  });
  return html`<main class="login">
    <form onSubmit=${submit} class="login-box" ref=${box}>
      <img src="/static/icon.svg" alt="" width="40" height="40" />
      <h1>AiWorker</h1>
      <p class="muted" data-testid="login-lead">
        ${
          sessionExpired.value ? t("Your session has ended. Please sign in again.") : t("Sign in to see your projects.")
        }
      </p>
      <${TextField}
        label=${t("Username")}
        name="username"
        form=${form}
        testid="login-username"
        autocomplete="username"
        autocapitalize="none"
        required
      />
      <${TextField}
        label=${t("Password")}
        name="password"
        type="password"
        form=${form}
        testid="login-password"
        autocomplete="current-password"
        required
      />
      <div data-testid="login-error"><${FormError} form=${form} /></div>
      <button class="button primary" data-testid="login-submit" disabled=${form.busy}>
        ${form.busy ? t("Signing in…") : t("Sign in")}
      </button>
      <footer>
        <a href="/docs">${t("Documentation")}</a>
        <${LanguageChoice} />
      </footer>
    </form>
  </main>`;
}
