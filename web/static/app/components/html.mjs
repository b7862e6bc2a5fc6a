// htm bound to preact. Text put between tags is always text: only markdown.mjs sets HTML.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
