// The views in which a model is connected, loaded together: they share the form for it.
import { html } from "../../components/html.mjs";
import { Welcome } from "../frame/welcome.mjs";
import { Models } from "./models.mjs";

export const ModelViews = ({ isWelcome }) => (isWelcome ? html`<${Welcome} />` : html`<${Models} />`);
