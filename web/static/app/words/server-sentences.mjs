// Finds the server's sentences in what it says, and says them in another language. Loaded only when they are needed.
import { labelOf } from "./words.mjs";

// A pattern with fewer letters of its own counts only where one of its values is a sentence, too.
const FEW_LETTERS = 6;
const DEEPEST = 4;
const MOST_KEPT = 5000;
// With more parts than these, no two of them are one sentence.
const MOST_PARTS = 12;
// Longer texts are mostly logs.
const LONGEST = 8000;

// Values that are words of the API, and values that a person, an agent or a program wrote.
const STATES = /^(state|phase|outcome|wanted|new)\d*$/;
const PLACES = /^environment\d*$/;
const VERBATIM = /^(title|summary|question|response|output|log|files|path)\d*$/;

const letters = (pieces) => pieces.join("").replace(/[^\p{L}]/gu, "").length;

// "a {b} c" as { pieces: ["a ", " c"], holes: ["b"], text, own }.
function patternOf([english, text]) {
  const parts = english.split(/\{(\w+)\}/);
  const pieces = parts.filter((_part, at) => at % 2 === 0);
  return { pieces, holes: parts.filter((_part, at) => at % 2), text, own: letters(pieces) };
}

const firstWord = (text) => text.slice(0, text.indexOf(" ") + 1);

function prepared(texts) {
  const byWord = new Map();
  // A text that is put after another begins with a space; what surrounds a text is kept as it is.
  const pairs = Object.entries(texts).map(([english, text]) => [english.trim(), text.trim()]);
  const patterns = pairs
    .filter(([english]) => english.includes("{"))
    .map(patternOf)
    .sort((one, other) => other.own - one.own);
  for (const pattern of patterns) {
    const word = firstWord(pattern.pieces[0]);
    if (!byWord.has(word)) byWord.set(word, []);
    byWord.get(word).push(pattern);
  }
  return { exact: Object.fromEntries(pairs), byWord, kept: new Map() };
}

// What stands in the holes, or null where the text is another one. Each piece is looked for from where the one before
// ends, so a text is read once.
function valuesOf({ pieces, holes }, text) {
  const last = pieces.length - 1;
  if (!text.startsWith(pieces[0]) || !text.endsWith(pieces[last])) return null;
  const values = [];
  const end = text.length - pieces[last].length;
  let from = pieces[0].length;
  for (let at = 0; at < holes.length; at += 1) {
    const to = at + 1 === last ? end : text.indexOf(pieces[at + 1], from);
    if (to < from || to > end) return null;
    values.push(text.slice(from, to));
    from = to + pieces[at + 1].length;
  }
  return values;
}

function sayWord(value, change = (word) => word) {
  const english = value.charAt(0).toUpperCase() + value.slice(1).replace(/[_-]/g, " ");
  const word = labelOf(value);
  return word === english ? value : change(word);
}

// What is known of a text: { text: as it is shown, known: how many of its letters are the catalogue's, lead: how many
// letters a value has that stands at its beginning }. Of two ways, the one that knows more is right; else the one that
// takes less for a value at the beginning, where a sentence could be hidden.
const asItIs = (text) => ({ text, known: 0, lead: text.length });
const better = (one, other) =>
  other.known > one.known || (other.known === one.known && other.lead < one.lead) ? other : one;

function shownValue(name, value, by, depth) {
  if (STATES.test(name)) return asItIs(sayWord(value));
  if (PLACES.test(name)) return asItIs(sayWord(value, (word) => word.toLowerCase()));
  return VERBATIM.test(name) ? asItIs(value) : translated(value, by, depth + 1);
}

// As a sentence begins: a value may stand there now.
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Whether the values speak for a pattern of few letters: one is known, and none hides the end of a sentence.
const isTold = (values, shown) =>
  !values.some((value) => SENTENCES[0].test(value)) &&
  !values[0].includes(": ") &&
  shown.some(({ known }, at) => known > letters([values[at]]) / 2);

function filled(pattern, text, by, depth) {
  const values = valuesOf(pattern, text);
  if (!values) return asItIs(text);
  const shown = values.map((value, at) => shownValue(pattern.holes[at], value, by, depth));
  const inside = shown.reduce((sum, { known }) => sum + known, 0);
  if (pattern.own < FEW_LETTERS && !isTold(values, shown)) return asItIs(text);
  const words = pattern.text.replace(/\{(\w+)\}/g, (_whole, name) => shown[pattern.holes.indexOf(name)].text);
  const isCapital = pattern.text.startsWith("{") && /^\p{Lu}/u.test(text);
  return {
    text: isCapital ? capital(words) : words,
    known: pattern.own + inside,
    lead: pattern.pieces[0] ? 0 : values[0].length,
  };
}

const byPattern = (text, by, depth) =>
  [...(by.byWord.get(firstWord(text)) ?? []), ...(by.byWord.get("") ?? [])]
    .map((pattern) => filled(pattern, text, by, depth))
    .reduce(better, asItIs(text));

// Sentences in a row, and lists of them. Several parts in a row may be one text of the catalogue.
function byParts(text, [separator, between, most], by, depth) {
  const parts = text.split(separator);
  if (parts.length < 2) return asItIs(text);
  // The best for what begins with each part, from the last one on.
  const best = [asItIs("")];
  for (let from = parts.length - 1; from >= 0; from -= 1) {
    const ends = parts.slice(from, from + (parts.length > MOST_PARTS ? 1 : most)).map((_part, at) => from + at + 1);
    const ways = ends
      .filter((end) => end - from < parts.length)
      .map((end) => {
        const first = translated(parts.slice(from, end).join(between), by, depth + 1);
        const rest = best[parts.length - end];
        return {
          text: first.text + (end < parts.length ? between + rest.text : ""),
          known: first.known + rest.known,
          lead: first.lead,
        };
      });
    best.push(ways.reduce(better));
  }
  return best.at(-1);
}

// How texts are joined: where they are split, what is between them, and how many parts one of them may have.
const SENTENCES = [/(?<=[.!?]) /, " ", 6];
const JOINED = ["\n", "; ", ": "].map((separator) => [separator, separator, 1]);
const LISTED = [", ", ", ", 1];

function found(text, by, depth) {
  if (Object.hasOwn(by.exact, text)) return { text: by.exact[text], known: letters([text]), lead: 0 };
  // Where a pattern knows no more than sentence after sentence, one of its values is a sentence before it.
  const first = better(byParts(text, SENTENCES, by, depth), byPattern(text, by, depth));
  const ways = depth ? [...JOINED, LISTED] : JOINED;
  const whole = ways.map((way) => byParts(text, way, by, depth)).reduce(better, first);
  // A phrase of another sentence may have been made one by itself.
  const phrase = text.endsWith(".") ? translated(text.slice(0, -1), by, depth) : whole;
  return phrase.known > whole.known ? { ...phrase, text: `${phrase.text}.` } : whole;
}

function translated(text, by, depth) {
  const bare = text.trim();
  if (!bare || depth > DEEPEST || text.length > LONGEST) return asItIs(text);
  const key = `${depth} ${bare}`;
  if (!by.kept.has(key)) by.kept.set(key, found(bare, by, depth));
  const { text: words, known, lead } = by.kept.get(key);
  const at = text.indexOf(bare);
  return { text: text.slice(0, at) + words + text.slice(at + bare.length), known, lead };
}

// texts: {English pattern: pattern}. Returns what says a text of the server's by them; what is unknown stays as it is.
export function sentenceTranslator(texts) {
  const by = prepared(texts);
  return (text) => {
    if (by.kept.size > MOST_KEPT) by.kept.clear();
    return translated(text, by, 0).text;
  };
}
