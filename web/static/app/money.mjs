// How money and tokens are said.

export function dollars(cost) {
  const value = cost ?? 0;
  if (value === 0 || value >= 1)
    return `$${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  return value < 0.0001 ? "<$0.0001" : `$${value.toFixed(4).replace(/0{1,2}$/, "")}`;
}

const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
export const compact = (number) => short.format(number ?? 0);
export const whole = (number) => (number ?? 0).toLocaleString("en");
