// How money, tokens and other numbers are said.
import { intl } from "./language.mjs";

const CENTS = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
const SMALL = { minimumFractionDigits: 2, maximumFractionDigits: 4 };

export function dollars(cost) {
  const value = cost ?? 0;
  if (value === 0 || value >= 1) return `$${intl("NumberFormat", CENTS).format(value)}`;
  return value < 0.0001
    ? `<$${intl("NumberFormat", SMALL).format(0.0001)}`
    : `$${intl("NumberFormat", SMALL).format(value)}`;
}

const SHORT = { notation: "compact", maximumFractionDigits: 1 };
export const compactNumber = (number) => intl("NumberFormat", SHORT).format(number ?? 0);
const TENTHS = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
export const oneDecimal = (number) => intl("NumberFormat", TENTHS).format(number ?? 0);
export const integer = (number) => intl("NumberFormat").format(number ?? 0);
