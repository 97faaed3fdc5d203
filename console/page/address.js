// What was chosen stands in the address, so that a reload keeps it and a link has it. What is the default is left out.

/** The choice of a name; otherwise the default. */
export function chosen(name, otherwise = '') { return new URLSearchParams(location.search).get(name) ?? otherwise; }

/** Notes a choice. */
export function choose(name, value, otherwise = '') {
  const query = new URLSearchParams(location.search);
  if (value === otherwise) query.delete(name); else query.set(name, value);
  const text = query.toString();
  const next = `${location.pathname}${text ? `?${text}` : ''}`;
  if (next !== location.pathname + location.search) history.replaceState(null, '', next);
}
