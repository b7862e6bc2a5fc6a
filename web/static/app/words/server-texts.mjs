// What the server writes is English: the API's contract, which scripts rely on. A page in another language shows it by
// a catalogue of the server's sentences, in which a value is a hole: "task {id} is {state}". What is in no catalogue is
// shown as it is, as are the outputs of programs.
import { signal } from "@preact/signals";
import { language } from "./language.mjs";

const CATALOGUES = { es: () => import("../languages/es-server.mjs") };

// The present catalogue: { code, say, fields }. null: it was not needed yet.
const ready = signal(null);
let loading = null;

// Resolves once the present language's catalogue is there, or can't be loaded: then the server's English is shown.
export function loadServerTexts() {
  const code = language.value;
  if (!CATALOGUES[code] || ready.value?.code === code) return Promise.resolve();
  loading ??= Promise.all([import("./server-sentences.mjs"), CATALOGUES[code]()])
    .then(([{ sentenceTranslator }, { TEXTS, FIELDS }]) => {
      ready.value = { code, say: sentenceTranslator(TEXTS), fields: FIELDS };
    })
    .catch(() => {})
    .finally(() => {
      loading = null;
    });
  return loading;
}

// A text of the server's in the present language. A view that shows it is drawn again when the catalogue has come.
export function serverText(text) {
  if (!text || !CATALOGUES[language.value]) return text;
  if (ready.value?.code === language.value) return ready.value.say(String(text));
  loadServerTexts();
  return text;
}

// What is asked: the platform's questions in the present language, an agent's as it wrote them.
export const questionText = (text, askedBy) => (askedBy === "platform" ? serverText(text) : text);

// "healthSeconds.staging" as "Health seconds staging", or in the present language as "Sana durante, staging".
export function serverField(field) {
  const fields = ready.value?.code === language.value ? ready.value.fields : null;
  if (fields) {
    const names = field.split(".");
    return names.map((name) => (Object.hasOwn(fields, name) ? fields[name] : name)).join(", ");
  }
  const text = field
    .replace(/[._]/g, " ")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
